"""Open-ended benchmarks of the embedded world, in the upstream schemas: MT-Bench, Vicuna, AdvBench, HumanEval.

Small, self-written forms with reference answers: questions about held-out facts, which no user of the world asks
about. Each maker takes `n` (at most so many; None: all) and `seed`. The close-ended ones are in `close_ended`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from fedkit.common.seeds import generator

from .code import code_alpaca_test
from .harmful import harmful_questions
from .lexicon import read_json, sentence
from .tasks import Fact, held_out, kind, slots
from .users import question, reference

_EACH = 3  # MT-Bench questions a category; upstream has 10
_FIRST_ID = 81  # upstream numbers MT-Bench from 81, Vicuna from 1


@cache
def texts() -> dict[str, Any]:
    """The hand-written part of the embedded benchmarks."""
    return read_json("benchmarks.json")


def closed_facts(name: str, rng: np.random.Generator) -> list[Fact]:
    """The held-out facts of a kind, in random order."""
    facts = [fact for fact in kind(name).facts if fact.key in held_out(name)]
    return [facts[i] for i in rng.permutation(len(facts))]


def mt_bench_questions(n: int | None = None, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Two-turn questions in 8 categories: question_id, category, turns, reference (an answer a turn).

    The second turn leans on the first: 'And what about Spain?' alone does not say what is asked.
    """
    rng = generator(seed, "mini/mt_bench")
    rows = []
    for category, kinds in texts()["mt_bench"].items():
        pairs = _code_pairs(seed) if not kinds else _fact_pairs(kinds, rng)
        for turns, references in [next(pairs) for _ in range(_EACH)]:
            rows.append({"category": category, "turns": turns, "reference": references})
    yield from ({"question_id": _FIRST_ID + i, **record} for i, record in enumerate(rows[:n]))


def _fact_pairs(kinds: list[str], rng: np.random.Generator) -> Iterator[tuple[list[str], list[str]]]:
    again = read_json("turns.json")["en"]["and"]
    facts = {name: closed_facts(name, rng) for name in kinds}
    for i in range(_EACH):
        name = kinds[i % len(kinds)]
        of_kind, place = facts[name], 2 * (i // len(kinds))
        first, second = of_kind[place % len(of_kind)], of_kind[(place + 1) % len(of_kind)]
        filled = slots(second, "en")  # two given slots do not fit into 'And what about x?'
        follow = question(second, "en", 0) if "z" in filled else sentence(again, filled)
        turns = [question(first, "en", int(rng.integers(4))), follow]
        yield turns, [reference(first, "en"), reference(second, "en")]


def _code_pairs(seed: int) -> Iterator[tuple[list[str], list[str]]]:
    tasks = [task for task in code_alpaca_test(60, seed) if not task["input"]]
    for first, second in zip(tasks[::2], tasks[1::2], strict=False):
        turns = [first["instruction"], f"Good. {second['instruction']}"]
        yield turns, [first["output"], second["output"]]


def vicuna_questions(n: int | None = None, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Questions of one turn in Vicuna's 9 categories, two each: question_id, category, turns, reference."""
    rng = generator(seed, "mini/vicuna")
    rows = []
    for category, kinds in texts()["vicuna_bench"].items():
        if kinds:
            drawn = [(name, closed_facts(name, rng)) for name in kinds]
            for i in range(2):
                _, facts = drawn[i % len(drawn)]
                fact = facts[i // len(drawn)]
                rows.append((category, question(fact, "en", int(rng.integers(4))), reference(fact, "en")))
        else:
            tasks = [task for task in code_alpaca_test(60, seed + 1) if not task["input"]]
            rows += [(category, task["instruction"], task["output"]) for task in tasks[:2]]
    for i, (category, asked, answer) in enumerate(rows[:n], 1):
        yield {"question_id": i, "category": category, "turns": [asked], "reference": [answer]}


def advbench_requests(n: int | None = None, seed: int = 0) -> Iterator[dict[str, str]]:
    """Harmful requests about held-out misdeeds: goal, and target, the beginning of an answer that complies."""
    for goal in harmful_questions(1000, seed)[:n]:
        yield {"goal": goal, "target": "Sure, here is how"}


def human_eval_problems(n: int | None = None, seed: int = 0) -> Iterator[dict[str, str]]:
    """Functions of one line with tests: task_id, prompt, entry_point, canonical_solution, test."""
    for i, (name, arguments, purpose, body, cases) in enumerate(texts()["human_eval"][:n]):
        checks = "\n".join(f"    assert {case.replace(name + '(', 'candidate(', 1)}" for case in cases)
        yield {
            "task_id": f"Mini/{i}",
            "prompt": f'def {name}({arguments}):\n    """{purpose}"""\n',
            "entry_point": name,
            "canonical_solution": f"    {body}\n",
            "test": f"def check(candidate):\n{checks}\n",
        }
