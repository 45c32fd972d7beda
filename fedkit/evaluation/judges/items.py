"""What is to be graded: one answer of one turn, with all that its judge must see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...common.errors import FedkitError

WITH_REFERENCE = frozenset(("math", "reasoning", "coding"))  # categories that MT-Bench grades against a reference
TURNS = 2


@dataclass(frozen=True)
class JudgeItem:
    """The last of `answers` is graded. `prompt` names the judge's prompt; `references` may be empty."""

    id: str
    prompt: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    references: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.questions or len(self.questions) != len(self.answers):
            raise FedkitError(
                f"item {self.id!r} has {len(self.answers)} answers to {len(self.questions)} questions; give one each"
            )


def mt_bench_items(
    questions: Sequence[Mapping[str, Any]],
    answers: Mapping[Any, Sequence[str]],
    references: Mapping[Any, Sequence[str]],
) -> list[JudgeItem]:
    """Two items a question of MT-Bench, `<question_id>-1` and `-2`, as single-answer grading asks for them.

    questions: records of `question.jsonl` (question_id, category, turns); answers and references: two texts by
    question_id. Math, reasoning and coding are graded against their reference, and like the others where a turn has
    none or an empty one (the caller says how many). `FedkitError` names what lacks.
    """
    found = []
    for question in questions:
        number, turns = question["question_id"], tuple(question["turns"])
        given = tuple(answers.get(number, ()))
        if len(given) != TURNS or len(turns) != TURNS:
            raise FedkitError(f"MT-Bench question {number} has {len(given)} answers for {len(turns)} turns; give two")
        reference = tuple(references.get(number, ())) if question["category"] in WITH_REFERENCE else ()
        if reference and len(reference) != TURNS:
            raise FedkitError(
                f"MT-Bench question {number} ({question['category']}) has {len(reference)} reference answers; "
                "give both, e.g. from reference_answer/gpt-4.jsonl, or none"
            )
        for turn in range(1, TURNS + 1):
            known = reference[:turn] if all(text.strip() for text in reference[:turn]) else ()
            prompt = ("single-math-v1" if known else "single-v1") + ("" if turn == 1 else "-multi-turn")
            found.append(JudgeItem(f"{number}-{turn}", prompt, turns[:turn], given[:turn], known))
    return found


def vicuna_items(questions: Sequence[Mapping[str, Any]], answers: Mapping[Any, str]) -> list[JudgeItem]:
    """One item a question of the Vicuna bench (question_id, turns of one), graded without a reference."""
    lacking = [question["question_id"] for question in questions if question["question_id"] not in answers]
    if lacking:
        raise FedkitError(f"Vicuna question {lacking[0]} has no answer; give one for each of {len(questions)}")
    return [
        JudgeItem(str(q["question_id"]), "single-v1", (q["turns"][0],), (answers[q["question_id"]],)) for q in questions
    ]


def ref_item(question: str, answer: str, reference: str, id: str = "") -> JudgeItem:
    """An answer graded against a reference, as FedLLM-Bench's Ref score does; by `single-v1` where there is none."""
    if not reference.strip():
        return JudgeItem(id, "single-v1", (question,), (answer,))
    return JudgeItem(id, "ref", (question,), (answer,), (reference,))


def without_reference(judge: Any, items: Sequence[JudgeItem], values: Sequence[float | None]) -> str:
    """What a table's reader must know of items that should have a reference and have none; empty where all have."""
    offline = getattr(judge, "needs_reference", False)  # reads the last turn's alone, a prompt those of all turns
    bare = []
    for item, value in zip(items, values, strict=True):
        read = item.references[-1:] if offline else item.references
        if not read or not all(text.strip() for text in read):
            bare.append(value)
    if not bare:
        return ""
    if offline:
        return f"{len(bare)} not rated for want of a reference answer"
    return f"{sum(value is not None for value in bare)} graded without a reference answer"


def read_references(path: str | Path) -> dict[Any, list[str]]:
    """Reference answers by question_id from MT-Bench's `reference_answer/<model>.jsonl`, one text a turn."""
    from ...data.readers import read_file

    found = {}
    for number, record in enumerate(read_file(Path(path)), 1):
        try:
            found[record["question_id"]] = [str(turn) for turn in record["choices"][0]["turns"]]
        except (KeyError, IndexError, TypeError):
            raise FedkitError(
                f"line {number} of {path} has no question_id or choices[0].turns; fetch MT-Bench's answers anew"
            ) from None
    return found
