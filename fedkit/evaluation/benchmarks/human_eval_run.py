"""HumanEval (Chen et al. 2021): one completion a function, greedy, run against its tests in the sandbox (pass@1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .base import (
    Benchmark,
    Item,
    Place,
    Score,
    Subject,
    ask,
    checked,
    cut_note,
    notes,
    part_note,
    records,
    sample,
    share,
    too_long,
)

if TYPE_CHECKING:
    from ..judges.judge import Judge


def items(place: Place, dataset: str) -> list[Item]:
    """The problems."""
    found = [checked(raw, number, "human_eval") for number, raw in enumerate(records("human_eval", place), 1)]
    return sample(found, place.limit, "human_eval")


def answer(subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    """A completion with what came of it. The prompt is the function as published, without a template.

    What the model wrote is run letter for letter up to the first line that leaves the function, so a body that is not
    indented fails. `fedkit` generates and runs it, not lm-eval: lm-eval's task runs generated code in its own process.
    """
    from ...common.console import quiet
    from ..human_eval import cut_completion, human_eval_pass
    from ..sandbox import require_sandbox

    require_sandbox()
    prompts = [item["prompt"] for item in asked]
    with quiet():  # cut prompts are counted and said in the score
        texts = ask(subject, prompts, temperature=0.0, strip=False)
    found = []
    for item, text, cut in zip(asked, texts, too_long(subject, prompts), strict=True):
        completion = cut_completion(text)
        outcome = human_eval_pass(item, completion)
        found.append({"completion": completion, "passed": outcome.passed, "reason": outcome.reason, "cut": cut})
    return found


def score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`pass@1`."""
    note = notes(part_note(asked), cut_note(answers))
    return {"pass@1": share((answer["passed"] for answer in answers), note, 0.0)}


HUMAN_EVAL = Benchmark("human_eval", "HumanEval", ("human_eval",), items, answer, score, judged=False)
