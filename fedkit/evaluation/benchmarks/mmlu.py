"""MMLU (Hendrycks et al. 2021) through lm-eval: 5 worked examples of the subject, the likeliest of the letters."""

from __future__ import annotations

import string
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from ...common.errors import FedkitError
from ...data.place import Located
from ...data.readers import read_csv
from ...data.sources import RawSource
from .base import Item, Pool, constant, grouped, spread
from .harness import chosen, close_ended

DEV = RawSource(
    "mmlu_dev",
    ("mmlu/dev/*.csv",),
    fields=MappingProxyType({}),
    hub="cais/mmlu",
    hub_config="all",
    split="dev",
    embedded=True,
    licence="MIT",
    description="MMLU (Hendrycks et al. 2021), five worked examples a subject",
)
TEST = RawSource(
    "mmlu",
    ("mmlu/test/*.csv",),
    fields=MappingProxyType({}),
    hub="cais/mmlu",
    hub_config="all",
    split="test",
    embedded=True,
    licence="MIT",
    description="MMLU (Hendrycks et al. 2021): questions of 57 subjects with four choices",
)
_COLUMNS = ("question", "choice0", "choice1", "choice2", "choice3", "answer")


def _rows(located: Located) -> list[Item]:
    """subject, question, options (lettered lines), letters, answer (its number)."""
    raw = _from_files(located.opened()) if located.kind == "local" else located.records()
    return [_item(row, number, located.source.name) for number, row in enumerate(raw, 1)]


def _from_files(files: Any) -> Iterator[dict[str, Any]]:
    """`anatomy_test.csv` is about anatomy; upstream's own files have no header, other copies have one."""
    for path in files:
        subject = path.stem.removesuffix("_test").removesuffix("_dev").removesuffix("_val")
        for number, row in enumerate(read_csv(path, names=_COLUMNS)):
            if number or tuple(row.values()) != _COLUMNS:
                yield {"subject": subject, "choices": [row[name] for name in _COLUMNS[1:5]], **row}


def _item(row: Any, number: int, name: str) -> Item:
    try:
        given = str(row["answer"]).strip()
        answer = string.ascii_uppercase.find(given) if given.isalpha() else int(given)
        if None in row["choices"] or not 0 <= answer < len(row["choices"]):
            raise ValueError(f"answer {row['answer']!r} to {len(row['choices'])} choices")
        letters = list(string.ascii_uppercase[: len(row["choices"])])
        options = "\n".join(f"{letter}. {choice}" for letter, choice in zip(letters, row["choices"], strict=True))
        texts = {"subject": str(row["subject"]), "question": str(row["question"])}
        return {**texts, "options": options, "letters": letters, "answer": answer}
    except (KeyError, TypeError, ValueError) as error:
        raise FedkitError(f"question {number} of {name} is malformed ({error}); fetch the file anew") from None


def items(pool: Pool, dataset: str) -> list[Item]:
    """The questions, each with the worked examples of its subject under `shots`."""
    worked = _rows(pool.worked(DEV, TEST))
    questions = spread(_rows(pool.locate(TEST)), pool.limit, "subject")
    shots = {subject: [worked[i] for i in places] for subject, places in grouped(worked, "subject").items()}
    lacking = sorted({item["subject"] for item in questions} - shots.keys())
    if lacking:
        raise FedkitError(f"MMLU has no worked examples of {lacking[0]}; put mmlu/dev/{lacking[0]}_dev.csv beside them")
    about = "The following are multiple choice questions (with answers) about {}.\n\n"
    return [
        {**q, "shots": shots[q["subject"]], "about": about.format(q["subject"].replace("_", " "))} for q in questions
    ]


TASK = chosen(
    num_fewshot=5,
    doc_to_text="{{question.strip()}}\n{{options}}\nAnswer:",
    doc_to_choice="{{letters}}",
    doc_to_target="answer",
)
# Over all questions as lm-eval weighs its subjects. Chance is what the most frequent letter alone would score: a small
# model often says one letter whatever is asked.
MMLU = close_ended(
    "mmlu",
    "MMLU",
    (TEST, DEV),
    items,
    TASK,
    group="subject",
    chance=lambda some: constant([item["answer"] for item in some]),
)
BENCHMARKS = (MMLU,)
