"""Word problems in MathInstruct's schema (source, instruction, output): answered in words, or by a Python program.

The problems are those of `word_problems`, so the training and test sets here have no text in common, nor with each
other's counterpart in GSM8K's schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fedkit.common.seeds import derive, generator

from .word_problems import gsm8k_records, gsm8k_test

_PROGRAMS = 0.4  # of the problems are to be solved by a program
_IN_WORDS, _AS_PROGRAM = "data/CoT/mini.json", "data/PoT/mini.json"
_ASK = " Let's write a Python program."
_STEP = re.compile(r"<<([-+*/\d]+)=(\d+)>>")


def mathinstruct_records(n: int = 1000, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` problems for training."""
    return _records(gsm8k_records(n, derive(seed, "mini/mathinstruct/train")), seed)


def mathinstruct_test(n: int = 100, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` problems for testing; no question of them occurs in `mathinstruct_records` of any seed."""
    return _records(gsm8k_test(n, derive(seed, "mini/mathinstruct/test")), seed)


def _records(problems: Iterator[dict[str, str]], seed: int) -> Iterator[dict[str, str]]:
    rng = generator(seed, "mini/mathinstruct/form")
    for problem in problems:
        steps, _, result = problem["answer"].rpartition("\n#### ")
        if rng.random() < _PROGRAMS:
            yield {"source": _AS_PROGRAM, "instruction": problem["question"] + _ASK, "output": _program(steps)}
        else:
            words = " ".join(_STEP.sub("", steps).split("\n"))
            output = f"{words} The answer is {result}."
            yield {"source": _IN_WORDS, "instruction": problem["question"], "output": output}


def _program(steps: str) -> str:
    """The calculations of a worked answer as lines of Python that print the result; a later line names an earlier."""
    lines: list[str] = []
    names: dict[str, str] = {}  # the value of a step -> its name
    for i, (calculation, value) in enumerate(_STEP.findall(steps)):
        terms = re.split(r"([-+*/])", calculation)
        if i:  # what was worked out before is not written out again
            terms = [names.get(term, term) for term in terms]
        names[value] = name = f"step_{i + 1}"
        lines.append(f"{name} = {' '.join(terms)}".replace(" / ", " // "))
    return "\n".join([*lines, f"print(step_{len(lines)})"])
