"""What a judge is asked: prompts in fedkit's own words, or those of a file in MT-Bench's format.

The names are MT-Bench's (Zheng et al. 2023, single-answer grading), so that its `judge_prompts.jsonl` takes the place
of the prompts here; `ref` grades against a reference answer as FedLLM-Bench does (its figure 8).
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ...common.errors import FedkitError, unknown
from .judge import JudgeItem

FIELDS = frozenset(
    (
        "question",
        "answer",
        "reference",
        "ref_answer_1",
        "ref_answer_2",
        "question_1",
        "question_2",
        "answer_1",
        "answer_2",
    )
)


@dataclass(frozen=True)
class JudgePrompt:
    """`template` holds fields in braces: question, answer, reference, by turn question_1, answer_1, ref_answer_1."""

    name: str
    system: str
    template: str

    def messages(self, item: JudgeItem) -> list[dict[str, str]]:
        """The chat that asks for a rating of `item`; `FedkitError` where the template needs what the item lacks."""
        values = {"question": item.questions[-1], "answer": item.answers[-1]}
        for name, texts in (("question", item.questions), ("answer", item.answers), ("ref_answer", item.references)):
            values |= {f"{name}_{turn}": text for turn, text in enumerate(texts, 1)}
        if item.references:
            values["reference"] = item.references[-1]
        for field in fields(self.template):
            if field not in values:
                raise FedkitError(
                    f"item {item.id!r} has no {field} for the judge's prompt {self.name!r}; give it, or another prompt"
                )
        system = [{"role": "system", "content": self.system}] if self.system.strip() else []
        return [*system, {"role": "user", "content": self.template.format(**values)}]


def fields(template: str) -> list[str]:
    """The names in braces; `ValueError` where braces do not match."""
    return [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]


_SYSTEM = "You grade answers of language models, strictly and without favour."
_FORM = (
    "First say in a few sentences what is good and what is wrong. Then end with one line that holds your grade, a "
    "whole number from 1 (useless) to 10 (could not be better), in double square brackets, like this: Grade: [[4]]"
)
_CRITERIA = "Look at whether it helps, keeps to the question, is right, goes deep enough and is well written."
_AGAINST = "A reference answer is given. Compare the answer with it, find every mistake, and let correctness decide."
_ONE = "\n\n## Question\n{question}\n\n"
_TWO = "\n\n## First question\n{question_1}\n\n## First answer\n{answer_1}\n\n## Second question\n{question_2}\n\n"
_SECOND = "Grade the second answer only; the first is there to understand it."

OWN: Mapping[str, JudgePrompt] = MappingProxyType(
    {
        name: JudgePrompt(name, _SYSTEM, template)
        for name, template in {
            "single-v1": f"Grade the answer to the question below. {_CRITERIA} {_FORM}{_ONE}## Answer\n{{answer}}",
            "single-math-v1": f"Grade the answer to the question below. {_AGAINST} {_FORM}{_ONE}"
            "## Reference answer\n{ref_answer_1}\n\n## Answer\n{answer}",
            "single-v1-multi-turn": f"Below is a talk of two turns. {_SECOND} {_CRITERIA} {_FORM}{_TWO}"
            "## Second answer\n{answer_2}",
            "single-math-v1-multi-turn": f"Below is a talk of two turns. {_SECOND} {_AGAINST} {_FORM}{_TWO}"
            "## Second answer\n{answer_2}\n\n## Reference answer to the first question\n{ref_answer_1}\n\n"
            "## Reference answer to the second question\n{ref_answer_2}",
            "ref": "Grade the answer to the question below by how well it agrees with the reference answer in content, "
            "completeness and usefulness, in whatever words; it should be in the question's language. "
            f"{_FORM}{_ONE}## Reference answer\n{{reference}}\n\n## Answer\n{{answer}}",
        }.items()
    }
)


def load_prompts(path: str | Path | None = None) -> dict[str, JudgePrompt]:
    """fedkit's prompts, those of a file in their place: JSON lines of name, system_prompt, prompt_template.

    Prompts that compare two answers (MT-Bench's `pair-...`) are passed over: fedkit grades single answers.
    `FedkitError` where a line lacks a field or its template asks for one that no item has.
    """
    from ...data.readers import read_file

    prompts = dict(OWN)
    for number, record in enumerate(read_file(Path(path)) if path is not None else (), 1):
        where = f"prompt {number} of {path}"
        for field in ("name", "system_prompt", "prompt_template"):
            if not isinstance(record, Mapping) or not isinstance(record.get(field), str):
                raise FedkitError(f"{where} has no text in the field {field!r}; see MT-Bench's judge_prompts.jsonl")
        if record.get("type", "single") != "single":
            continue
        prompt = JudgePrompt(record["name"], record["system_prompt"], record["prompt_template"])
        try:
            strange = sorted(set(fields(prompt.template)) - FIELDS)
        except ValueError as error:
            raise FedkitError(f"{where}: {error}; write braces that are no field twice") from None
        if strange:
            raise unknown(f"field of the template of {where}", strange[0], FIELDS)
        prompts[prompt.name] = prompt
    return prompts
