"""Ref: answers to held-out questions graded against a reference answer (FedLLM-Bench, section 3.4 and Figure 8).

The paper's judge is GPT-4 (Ref-GPT4). The questions are those of the suite's dataset; see `builders.questions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...training.prompts import get_template
from .base import Benchmark, Item, Place, Score, Subject, ask, notes, part_note, rated, spread

if TYPE_CHECKING:
    from ..judges.judge import Judge


def items(place: Place, dataset: str) -> list[Item]:
    """The Ref questions of a federated dataset: id, language, instruction, reference."""
    from ...data.builders import questions

    found = questions(dataset, place.profile, data_dir=place.data_dir, offline=place.offline)
    return spread([asdict(question) for question in found], place.limit, lambda item: item["language"])


def answer(subject: Subject, asked: Sequence[Item]) -> list[str]:
    """One answer a question, asked in the template's form for its language."""
    form = get_template(subject.template)
    return ask(subject, [form.prompt(item["instruction"], item["language"]) for item in asked])


def score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`score` over all questions, and `<language>` for each language."""
    from ..judges import rate_all, ref_item, without_reference

    made = [ref_item(i["instruction"], text, i["reference"], i["id"]) for i, text in zip(asked, answers, strict=True)]
    values = rate_all(judge, made)

    def part(places: Sequence[int]) -> Score:
        own = [values[i] for i in places]
        bare = without_reference(judge, [made[i] for i in places], own)
        return rated(own, judge.name, notes(part_note(asked), bare))

    found = {"score": part(range(len(made)))}
    for code in sorted({item["language"] for item in asked}):
        found[code] = part([i for i, item in enumerate(asked) if item["language"] == code])
    return found


REF = Benchmark("ref", "Ref", ("aya_test", "chatbot_test", "wildchat_test"), items, answer, score)
