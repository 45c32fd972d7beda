"""Small tasks for a programmer in CodeAlpaca's schema: instruction, input (often empty), output.

A task is a function to write, a line to explain by its result, or a function to complete. Numbers, names and words
vary; one task in five, by a hash of what is to be done, belongs to the test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from types import MappingProxyType

import numpy as np

from fedkit.common.seeds import generator

from .users import pick

Task = tuple[str, str, str, str]  # what is to be done, instruction, input, output

_TEST_PART = 5
_VERBS = ("Write", "Create", "Implement", "Give")
_WORDS = (
    "apple",
    "river",
    "stone",
    "cloud",
    "garden",
    "music",
    "paper",
    "window",
    "summer",
    "bridge",
    "copper",
    "lemon",
)
_LETTERS = "abcdefghilmnoprstu"
# What a function of one argument does: name, argument, what is said, expression; {k} is a number, {w} a letter.
_FUNCTIONS = (
    ("add_{k}", "x", "adds {k} to a number", "x + {k}"),
    ("subtract_{k}", "x", "subtracts {k} from a number", "x - {k}"),
    ("times_{k}", "x", "multiplies a number by {k}", "x * {k}"),
    ("remainder_{k}", "x", "returns the remainder of a number divided by {k}", "x % {k}"),
    ("is_multiple_of_{k}", "x", "checks whether a number is a multiple of {k}", "x % {k} == 0"),
    ("is_above_{k}", "x", "checks whether a number is greater than {k}", "x > {k}"),
    ("power_{k}", "x", "raises a number to the power of {k}", "x ** {k}"),
    ("above_{k}", "values", "keeps the numbers of a list that are greater than {k}", "[v for v in values if v > {k}]"),
    ("scale_{k}", "values", "multiplies every number of a list by {k}", "[{k} * v for v in values]"),
    ("first_{k}", "values", "returns the first {k} items of a list", "values[:{k}]"),
    ("last_{k}", "values", "returns the last {k} items of a list", "values[-{k}:]"),
    ("largest_{k}", "values", "returns the {k} largest numbers of a list", "sorted(values)[-{k}:]"),
    ("repeat_{k}", "text", "repeats a string {k} times", "text * {k}"),
    ("longer_than_{k}", "text", "checks whether a string is longer than {k} characters", "len(text) > {k}"),
    ("cut_to_{k}", "text", "cuts a string to {k} characters", "text[:{k}]"),
    ("count_{w}", "text", "counts the letter {w} in a string", 'text.count("{w}")'),
    ("without_{w}", "text", "removes the letter {w} from a string", 'text.replace("{w}", "")'),
    ("starts_with_{w}", "text", "checks whether a string starts with {w}", 'text.startswith("{w}")'),
    ("split_at_{w}", "text", "splits a string at the letter {w}", 'text.split("{w}")'),
)
# Expressions whose value is asked for, and their value: {a} and {b} are numbers (b is 2 to 8), {t} is a word.
_LINES: tuple[tuple[str, Callable[[int, int, str], object]], ...] = (
    ("{a} + {b} * 2", lambda a, b, t: a + b * 2),
    ("({a} + {b}) * 2", lambda a, b, t: (a + b) * 2),
    ("{a} % {b}", lambda a, b, t: a % b),
    ("max({a}, {b})", lambda a, b, t: max(a, b)),
    ("sum([{a}, {b}, 1])", lambda a, b, t: a + b + 1),
    ("sorted([{a}, {b}, 5])", lambda a, b, t: sorted([a, b, 5])),
    ("list(range({b}))", lambda a, b, t: list(range(b))),
    ("len('{t}')", lambda a, b, t: len(t)),
    ("'{t}'.upper()", lambda a, b, t: t.upper()),
    ("'{t}'[::-1]", lambda a, b, t: t[::-1]),
    ("'{t}'[:{b}]", lambda a, b, t: t[:b]),
    ("'{t}' * {b}", lambda a, b, t: t * b),
)


def code_alpaca_records(n: int = 1000, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` tasks for training; none of them occurs in `code_alpaca_test` of any seed."""
    return _tasks(n, seed, test=False)


def code_alpaca_test(n: int = 100, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` tasks for testing; none of them occurs in `code_alpaca_records` of any seed."""
    return _tasks(n, seed, test=True)


def _tasks(n: int, seed: int, *, test: bool) -> Iterator[dict[str, str]]:
    rng = generator(seed, f"mini/code_alpaca/{'test' if test else 'train'}")
    makers = tuple(_MAKERS.values())
    count = 0
    while count < n:
        task, instruction, given, output = pick(makers, rng)(rng)
        if (hashlib.sha256(task.encode()).digest()[0] % _TEST_PART == 0) == test:
            count += 1
            yield {"instruction": instruction, "input": given, "output": output}


def _function(rng: np.random.Generator) -> tuple[str, str, str]:
    """The purpose, the head and the body of a function."""
    filled = {"k": int(rng.integers(2, 25)), "w": pick(_LETTERS, rng)}
    name, argument, purpose, expression = (part.format_map(filled) for part in pick(_FUNCTIONS, rng))
    return purpose, f"def {name}({argument}):", f"return {expression}"


def _write(rng: np.random.Generator) -> Task:
    purpose, head, body = _function(rng)
    return purpose, f"{pick(_VERBS, rng)} a Python function that {purpose}.", "", f"{head}\n    {body}"


def _complete(rng: np.random.Generator) -> Task:
    purpose, head, body = _function(rng)
    return purpose, "Complete this Python function.", f"{head}\n    # {purpose}", f"{head}\n    {body}"


def _print(rng: np.random.Generator) -> Task:
    form, value = pick(_LINES, rng)
    a, b, t = int(rng.integers(2, 60)), int(rng.integers(2, 9)), pick(_WORDS, rng)
    line = form.format(a=a, b=b, t=t)
    return line, "What does this line of Python print?", f"print({line})", str(value(a, b, t))


_MAKERS: MappingProxyType[str, Callable[[np.random.Generator], Task]] = MappingProxyType(
    {"write": _write, "complete": _complete, "print": _print}
)
