"""General instructions of the embedded world in Alpaca's schema: instruction, input (often empty), output, text.

Two writers answer the same kind of question, as in Alpaca and Alpaca-GPT4: one in few words, the other at length. The
facts are those of `tasks` in English; nobody asks about a held-out fact in training, and the tests ask about no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

import numpy as np

from fedkit.common.seeds import generator

from .tasks import KIND_NAMES, Fact, held_out, kind, slots
from .users import pick, question, respond

# Shares of STYLES (short, answer, long, chatty, full) by dataset.
_WRITERS = MappingProxyType({"alpaca": (0.3, 0.6, 0.1, 0.0, 0.0), "alpaca_gpt4": (0.0, 0.1, 0.35, 0.2, 0.35)})
_WITH_INPUT = 0.4  # Alpaca's card: around 40 % of the examples have an input
_ABOUT_INPUT = (
    "Answer this question.",
    "Give an answer to the question below.",
    "Reply to the following question.",
    "Respond to the question.",
)
_HEAD = "Below is an instruction that describes a task"
_TASK = "Write a response that appropriately completes the request."


def alpaca_records(n: int = 1000, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` instructions with short answers; four in ten have the question in `input`."""
    return _records("alpaca", n, seed, test=False)


def alpaca_gpt4_records(n: int = 1000, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` instructions with answers of several sentences."""
    return _records("alpaca_gpt4", n, seed, test=False)


def alpaca_test(n: int = 100, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` instructions about held-out facts, answered in few words."""
    return _records("alpaca", n, seed, test=True)


def alpaca_gpt4_test(n: int = 100, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` instructions about held-out facts, answered at length."""
    return _records("alpaca_gpt4", n, seed, test=True)


def some_fact(rng: np.random.Generator, *, test: bool) -> Fact:
    """A fact of any kind, kinds equally likely: a held-out one for a test, else one of the others."""
    name = pick(KIND_NAMES, rng)
    while True:
        fact = pick(kind(name).facts, rng)
        if (fact.key in held_out(name)) == test:
            return fact


def _records(name: str, n: int, seed: int, *, test: bool) -> Iterator[dict[str, str]]:
    rng = generator(seed, f"mini/{name}/{'test' if test else 'train'}")
    shares = _WRITERS[name]
    for _ in range(n):
        fact = some_fact(rng, test=test)
        asked = question(fact, "en", int(rng.integers(4)))
        output = respond(fact, "en", slots(fact, "en"), shares, None, rng)
        with_input = rng.random() < _WITH_INPUT
        instruction, given = (pick(_ABOUT_INPUT, rng), asked) if with_input else (asked, "")
        yield {
            "instruction": instruction,
            "input": given,
            "output": output,
            "text": _text(instruction, given, output),
        }


def _text(instruction: str, given: str, output: str) -> str:
    """Alpaca's field `text`: the whole example in its template. No builder reads it."""
    paired = ", paired with an input that provides further context" if given else ""
    parts = [f"{_HEAD}{paired}. {_TASK}", f"### Instruction:\n{instruction}"]
    parts += [f"### Input:\n{given}"] if given else []
    return "\n\n".join([*parts, f"### Response:\n{output}"])
