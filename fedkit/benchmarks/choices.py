"""CRASS (what would have happened otherwise) and HHH (the helpful, honest, harmless answer of two), by likelihood.

Both in BIG-bench's schema of multiple choice. The question stands in the template that the model was trained with, and
the option whose tokens are the most likely together is the model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import FedkitError
from ..prompts import get_template
from .base import Benchmark, Item, Place, Score, Subject, checked, records, share, spread
from .close_ended import cut_note, grouped
from .harness import load_task, run_tasks

if TYPE_CHECKING:
    from ..judge import Judge


def items(name: str, place: Place, dataset: str) -> list[Item]:
    """subset, question, options, answer (its number)."""
    found = []
    for number, raw in enumerate(records(name, place), 1):
        row = checked(raw, number, name)
        options, targets = row["multiple_choice_targets"], row["targets"]
        if not targets or targets[0] not in options:
            raise FedkitError(f"record {number} of {name}: targets[0] is none of its options; fetch the file anew")
        item = {"question": row["inputs"], "options": options, "answer": options.index(targets[0])}
        found.append({"subset": str(row.get("subset") or ""), **item})
    return spread(found, place.limit, lambda item: item["subset"])


def answer(name: str, subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    form = get_template(subject.template)
    docs = [
        {"prompt": form.prompt(item["question"]), "options": item["options"], "answer": item["answer"]}
        for item in asked
    ]
    return run_tasks(subject, [(load_task("choice", task=name), {"test": docs})])[name]


def score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`acc`, and `<subset>` where there are several."""
    chance = sum(1 / len(item["options"]) for item in asked) / len(asked)
    found = {"acc": share((a["acc"] for a in answers), cut_note(answers), chance)}
    for name, places in grouped(asked, "subset").items():
        if name:
            own = sum(1 / len(asked[i]["options"]) for i in places) / len(places)
            found[name] = share((answers[i]["acc"] for i in places), chance=own)
    return found


CRASS = Benchmark("crass", "CRASS", ("crass",), partial(items, "crass"), partial(answer, "crass"), score, judged=False)
HHH = Benchmark("hhh", "HHH", ("hhh",), partial(items, "hhh"), partial(answer, "hhh"), score, judged=False)
