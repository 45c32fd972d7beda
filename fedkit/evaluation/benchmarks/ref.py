"""Ref: answers to a dataset's Ref questions graded against a reference answer (FedLLM-Bench, section 3.4 and Figure 8).

The paper's judge is GPT-4 (Ref-GPT4). The questions are those that the dataset itself declares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...common.errors import FedkitError
from ..judges.judge import ref_item, without_reference
from ..words import says
from .base import (
    Benchmark,
    Item,
    Pool,
    Score,
    Subject,
    constant,
    grouped,
    notes,
    part_note,
    rated,
    replies,
    share,
    spread,
)

if TYPE_CHECKING:
    from ..judges.judge import Judge


FACTS = "right facts"  # the part that is no judge's


def items(pool: Pool, dataset: str) -> list[Item]:
    """The Ref questions of a federated dataset: id, language, instruction, reference."""
    if pool.questions is None:
        raise FedkitError("Ref is asked with a dataset's questions; use Session.evaluate, or give Pool(questions=...)")
    return spread(pool.questions(dataset), pool.limit, "language")


def answer(subject: Subject, some: Sequence[Item]) -> list[str]:
    """One answer a question, asked in the template's form for its language."""
    return replies(subject, [(item["instruction"], item["language"]) for item in some])


def score(some: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`score` over all questions, and `<language>` for each language; `right facts`, which nobody judges."""
    graded = [ref_item(i["instruction"], text, i["reference"], i["id"]) for i, text in zip(some, answers, strict=True)]
    values = judge.rate_all(graded)

    def part(places: Sequence[int]) -> Score:
        own = [values[i] for i in places]
        bare = without_reference(judge, [graded[i] for i in places], own)
        return rated(own, judge.name, notes(part_note(some), bare))

    languages = {code: part(places) for code, places in sorted(grouped(some, "language").items())}
    return {"score": part(range(len(some))), **languages, FACTS: right_facts(some, answers)}


def right_facts(some: Sequence[Item], answers: Sequence[str]) -> Score:
    """The share of answers that name the fact asked for; without a value where no question says which that is.

    By the words of the answer alone, whatever its form (`fedkit.evaluation.words.says`). Chance is the fact that most
    questions ask for.
    """
    known = [(item, text) for item, text in zip(some, answers, strict=True) if item.get("fact")]
    if not known:
        return Score(None, 0, len(some), note="no question here says which fact is right")
    right = [says(text, item["fact"], item["instead"]) for item, text in known]
    note = "" if len(known) == len(some) else f"{len(known)} of {len(some)} questions say which fact is right"
    return share(right, notes(part_note(some), note), constant([item["fact"] for item, _ in known]))


REF = Benchmark("ref", "Ref", (), items, answer, score, judged=True)
BENCHMARKS = (REF,)
