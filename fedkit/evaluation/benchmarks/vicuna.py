"""Vicuna bench (Chiang et al. 2023): 80 questions of one turn, each answer graded from 1 to 10."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...data.sources import RawSource, spellings
from ..judges.judge import JudgeItem, without_reference
from .base import Benchmark, Item, Pool, Score, Subject, notes, part_note, rated, replies
from .mt_bench import question_items

if TYPE_CHECKING:
    from ..judges.judge import Judge

SOURCE = RawSource(
    "vicuna_bench",
    ("vicuna_bench/question.jsonl", "vicuna/question.jsonl", *spellings("vicuna_bench", "questions")),
    fields=MappingProxyType({}),  # `mt_bench.question_items` checks
    embedded=True,  # no lasting copy on the Hub is known: local or embedded
    licence="Apache-2.0",
    nested=("turns", "prompt", "reference"),
    description="Vicuna bench (Chiang et al. 2023): 80 questions of one turn in 9 categories",
)


def items(pool: Pool, dataset: str) -> list[Item]:
    """The questions; only the embedded ones have reference answers."""
    return question_items(SOURCE, pool, 1)


def answer(subject: Subject, some: Sequence[Item]) -> list[str]:
    """One answer a question, at the profile's temperature (the reference system samples at 0.7)."""
    return replies(subject, [(item["turns"][0], "en") for item in some])


def score(some: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`score`: the mean over questions."""
    graded = [
        JudgeItem(str(item["id"]), "single-v1", (item["turns"][0],), (text,), tuple(item["reference"]))
        for item, text in zip(some, answers, strict=True)
    ]
    values = judge.rate_all(graded)
    # The bench has no references, so to grade without one is as it should be; not to be able to is not.
    bare = without_reference(judge, graded, values) if judge.needs_reference else ""
    return {"score": rated(values, judge.name, notes(part_note(some), bare))}


VICUNA = Benchmark("vicuna", "Vicuna bench", (SOURCE,), items, answer, score, judged=True)
BENCHMARKS = (VICUNA,)
