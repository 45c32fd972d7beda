"""Simple word problems in GSM8K's schema: `question`, and an `answer` with its steps that ends in '#### 7'."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from fedkit.common.seeds import generator

_NAMES = ("Amira", "Bruno", "Chen", "Dina", "Emil", "Fatima", "Goran", "Hana", "Ivan", "Julia", "Karim", "Lena")
_THINGS = ("apples", "books", "coins", "eggs", "flowers", "marbles", "pencils", "stamps", "stickers", "tickets")
_TEST_PART = 5  # one problem in five, by a hash of its text, belongs to the test

Draw = Callable[[int, int], int]


def _more(who: str, other: str, what: str, draw: Draw) -> tuple[str, str]:
    a, b = draw(2, 40), draw(2, 30)
    return (
        f"{who} has {a} {what}. {other} gives {who} {b} more. How many {what} does {who} have now?",
        f"{who} has {a}+{b} = <<{a}+{b}={a + b}>>{a + b} {what} now.\n#### {a + b}",
    )


def _fewer(who: str, other: str, what: str, draw: Draw) -> tuple[str, str]:
    b = draw(2, 30)
    a = b + draw(1, 30)
    return (
        f"{who} had {a} {what} and sold {b} of them to {other}. How many {what} are left?",
        f"There are {a}-{b} = <<{a}-{b}={a - b}>>{a - b} {what} left.\n#### {a - b}",
    )


def _boxes(who: str, other: str, what: str, draw: Draw) -> tuple[str, str]:
    a, b, c = draw(2, 12), draw(2, 12), draw(1, 9)
    total = a * b
    return (
        f"{who} fills {a} boxes with {b} {what} each and has {c} {what} over. How many {what} are there in all?",
        f"The boxes hold {a}*{b} = <<{a}*{b}={total}>>{total} {what}.\n"
        f"With the rest there are {total}+{c} = <<{total}+{c}={total + c}>>{total + c} {what}.\n#### {total + c}",
    )


def _price(who: str, other: str, what: str, draw: Draw) -> tuple[str, str]:
    a, b = draw(2, 12), draw(2, 9)
    cost = a * b
    paid = (cost // 10 + draw(1, 3)) * 10
    return (
        f"{who} buys {a} {what} for ${b} each and pays with ${paid}. How much money does {who} get back?",
        f"The {what} cost {a}*{b} = $<<{a}*{b}={cost}>>{cost}.\n"
        f"{who} gets back {paid}-{cost} = $<<{paid}-{cost}={paid - cost}>>{paid - cost}.\n#### {paid - cost}",
    )


def _share(who: str, other: str, what: str, draw: Draw) -> tuple[str, str]:
    people, each = draw(2, 9), draw(2, 12)
    total = people * each
    return (
        f"{who} shares {total} {what} equally among {people} friends. How many {what} does each friend get?",
        f"Each friend gets {total}/{people} = <<{total}/{people}={each}>>{each} {what}.\n#### {each}",
    )


def _twice(who: str, other: str, what: str, draw: Draw) -> tuple[str, str]:
    a = draw(3, 25)
    return (
        f"{who} has {a} {what}. {other} has twice as many. How many {what} do they have together?",
        f"{other} has {a}*2 = <<{a}*2={a * 2}>>{a * 2} {what}.\n"
        f"Together they have {a}+{a * 2} = <<{a}+{a * 2}={a * 3}>>{a * 3} {what}.\n#### {a * 3}",
    )


def _days(who: str, other: str, what: str, draw: Draw) -> tuple[str, str]:
    a, b = draw(2, 9), draw(2, 7)
    total = a * b
    c = draw(1, total - 1)
    return (
        f"{who} makes {a} {what} every day for {b} days and gives {c} to {other}. How many {what} does {who} keep?",
        f"In {b} days {who} makes {a}*{b} = <<{a}*{b}={total}>>{total} {what}.\n"
        f"{who} keeps {total}-{c} = <<{total}-{c}={total - c}>>{total - c}.\n#### {total - c}",
    )


_PROBLEMS = (_more, _fewer, _boxes, _price, _share, _twice, _days)


def gsm8k_records(n: int = 1000, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` problems for training; no text of them occurs in `gsm8k_test` of any seed."""
    return _problems(n, seed, test=False)


def gsm8k_test(n: int = 100, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` problems for testing; no text of them occurs in `gsm8k_records` of any seed."""
    return _problems(n, seed, test=True)


def _problems(n: int, seed: int, *, test: bool) -> Iterator[dict[str, str]]:
    rng = generator(seed, "mini/gsm8k/test" if test else "mini/gsm8k/train")

    def draw(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    count = 0
    while count < n:
        who, other = rng.choice(len(_NAMES), size=2, replace=False)
        what = _THINGS[int(rng.integers(len(_THINGS)))]
        problem = _PROBLEMS[int(rng.integers(len(_PROBLEMS)))]
        question, answer = problem(_NAMES[int(who)], _NAMES[int(other)], what, draw)
        if _is_test(question) == test:
            count += 1
            yield {"question": question, "answer": answer}


def _is_test(question: str) -> bool:
    return hashlib.sha256(question.encode()).digest()[0] % _TEST_PART == 0
