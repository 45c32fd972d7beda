"""Vicuna bench (Chiang et al. 2023): 80 questions of one turn, each answer graded from 1 to 10."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...training.prompts import get_template
from .base import Benchmark, Item, Place, Score, Subject, ask, notes, part_note, rated
from .mt_bench import question_items

if TYPE_CHECKING:
    from ..judges.judge import Judge


def items(place: Place, dataset: str) -> list[Item]:
    """The questions; only the embedded ones have reference answers."""
    return question_items("vicuna_bench", place, 1)


def answer(subject: Subject, asked: Sequence[Item]) -> list[str]:
    """One answer a question, at the profile's temperature (the reference system samples at 0.7)."""
    form = get_template(subject.template)
    return ask(subject, [form.prompt(item["turns"][0]) for item in asked])


def score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`score`: the mean over questions."""
    from ..judges import rate_all, vicuna_items, without_reference

    questions = [{"question_id": item["id"], "turns": item["turns"]} for item in asked]
    made = vicuna_items(questions, {item["id"]: text for item, text in zip(asked, answers, strict=True)})
    whole = [replace(one, references=tuple(i["reference"])) for one, i in zip(made, asked, strict=True)]
    values = rate_all(judge, whole)
    # The bench has no references, so to grade without one is as it should be; not to be able to is not.
    bare = without_reference(judge, whole, values) if getattr(judge, "needs_reference", False) else ""
    return {"score": rated(values, judge.name, notes(part_note(asked), bare))}


VICUNA = Benchmark("vicuna", "Vicuna bench", ("vicuna_bench",), items, answer, score)
