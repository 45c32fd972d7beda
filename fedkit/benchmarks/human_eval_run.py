"""HumanEval (Chen et al. 2021): one completion a function, greedy, run against its tests in the sandbox (pass@1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .base import Benchmark, Item, Place, Score, Subject, ask, checked, records, share

if TYPE_CHECKING:
    from ..judge import Judge


def items(place: Place, dataset: str) -> list[Item]:
    """The problems."""
    found = [checked(raw, number, "human_eval") for number, raw in enumerate(records("human_eval", place), 1)]
    return found[: place.limit]


def answer(subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    """A completion with what came of it. The prompt is the bare text of the function, without a template."""
    from ..human_eval import cut_completion, human_eval_pass

    texts = ask(subject, [item["prompt"].rstrip() for item in asked], temperature=0.0)
    found = []
    for item, text in zip(asked, texts, strict=True):
        # Answers come without outer blanks; the body of a function begins a line and is indented.
        completion = cut_completion(f"\n    {text}\n")
        outcome = human_eval_pass({**item, "prompt": item["prompt"].rstrip()}, completion)
        found.append({"completion": completion, "passed": outcome.passed, "reason": outcome.reason})
    return found


def score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`pass@1`."""
    return {"pass@1": share(answer["passed"] for answer in answers)}


HUMAN_EVAL = Benchmark("human_eval", "HumanEval", ("human_eval",), items, answer, score, judged=False)
