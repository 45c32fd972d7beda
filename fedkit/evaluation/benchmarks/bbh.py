"""BBH through lm-eval: the task in a sentence and 3 worked examples, the exact answer.

Suzgun et al. 2022, without chain of thought; this is lm-eval's form, where OpenFedLLM's Table 2 has InstructEval's.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...data.sources import RawSource
from .base import Item, Pool, checked, constant, grouped, spread
from .choices import examples
from .harness import close_ended, stock_task, written

SOURCE = RawSource(
    "bbh",
    ("bbh/*.json",),
    fields=MappingProxyType({"input": str, "target": str}),
    hub="SaylorTwift/bbh",  # lm-eval's; one configuration a task
    split="test",
    embedded=True,
    licence="MIT",
    description="BIG-Bench Hard (Suzgun et al. 2022): one file for each of up to 27 reasoning tasks",
)


def items(pool: Pool, dataset: str) -> list[Item]:
    """task, input, target, about (the task in a sentence) and worked examples.

    The last two are lm-eval's for the tasks that it knows; else the task's own first three, which are then not asked.
    """
    raw, upstream = _raw(pool)
    if upstream:
        pool.packaged(SOURCE, "lm-eval's own")
    rows = [checked(row, number, SOURCE) for number, row in enumerate(raw, 1)]
    every: list[Item] = []
    for name, places in grouped(rows, "task").items():
        own = [{key: rows[i][key] for key in ("task", "input", "target")} for i in places]
        about, shots = _known(name) if upstream else ("", None)
        if shots is None:
            shots, own = own[:3], own[3:]
        shots = [{"input": shot["input"], "target": shot["target"]} for shot in shots]
        every += [{**row, "about": about, "shots": shots} for row in own]
    return spread(every, pool.limit, "task")


def _raw(pool: Pool) -> tuple[list[Any], bool]:
    """All records, and whether they are upstream's. Files are a task each, and so are the Hub's configurations."""
    located = pool.locate(SOURCE)
    if located.kind == "local":
        return [{**row, "task": path.stem} for path in located.opened() for row in examples(path)], True
    if located.kind == "embedded":
        return list(located.records()), False
    parts = {name: pool.locate(replace(SOURCE, hub_config=name)).records() for name in _names()}
    return [{"task": name, **row} for name, rows in parts.items() for row in rows], True


def _names() -> list[str]:
    """The tasks that lm-eval has, which are the Hub's 27 configurations."""
    import lm_eval.tasks

    folder = Path(str(resources.files(lm_eval.tasks))) / "bbh" / "fewshot"
    return sorted(path.stem for path in folder.glob("[!_]*.yaml"))


def _known(name: str) -> tuple[str, list[dict[str, str]] | None]:
    """What lm-eval says before the worked examples of a task, and those; "" and None for one that it does not know."""
    try:
        known = stock_task(f"bbh/fewshot/{name}.yaml")
        return known["description"], known["fewshot_config"]["samples"]
    except (OSError, KeyError):
        return "", None


TASK = written(
    num_fewshot=3,
    doc_to_text="Q: {{input}}\nA:",
    doc_to_target="{{target}}",
    until=["\nQ:", "\n\n"],
    most=256,
)


def chance(some: list[Item]) -> float:
    """What the most frequent answer to each task scores, over all."""
    by_task = [[some[i]["target"] for i in places] for places in grouped(some, "task").values()]
    return sum(constant(targets) * len(targets) for targets in by_task) / len(some)


BBH = close_ended(
    "bbh",
    "BBH",
    (SOURCE,),
    items,
    TASK,
    part="exact",
    right=lambda item, answer: answer["exact_match"],
    chance=chance,
    group="task",
)
BENCHMARKS = (BBH,)
