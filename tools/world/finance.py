"""Made-up financial headlines with their sentiment, in FinGPT's schema: instruction, input (the headline), output.

Companies, numbers and events are invented. A headline's wording decides its label, so that the label can be learnt;
one headline in five, by a hash of its text, belongs to the test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import MappingProxyType

import numpy as np

from fedkit.common.seeds import generator

from .users import draw, pick

LABELS = ("negative", "neutral", "positive")
_SHARES = (0.3, 0.4, 0.3)
_TEST_PART = 5
_NEWS, _TWEET = (
    f"What is the sentiment of this {what}? Please choose an answer from {{{'/'.join(LABELS)}}}."
    for what in ("news", "tweet")
)
_TWEETS = 0.3  # the rest is news
_NAMES = ("Alder", "Boreas", "Calla", "Dorado", "Elbrus", "Farol", "Gliese", "Harrow", "Iskra", "Juniper", "Kestrel",
          "Lumen", "Marl", "Noria", "Orpin", "Pallas", "Quince", "Rowan", "Sable", "Tamar")  # fmt: skip
_TRADES = ("Bank", "Foods", "Motors", "Energy", "Paper", "Steel", "Telecom", "Airways", "Pharma", "Software")
_FIGURES = ("profit", "revenue", "operating profit", "net sales", "order intake", "cash flow")
_PERIODS = ("in the first quarter", "in the second quarter", "in the third quarter", "in the last quarter", "this year")
_CITIES = ("Oslo", "Porto", "Lyon", "Graz", "Turku", "Krakow", "Quito", "Perth")
_PARTS = ("plant", "branch", "store", "warehouse", "laboratory")
# {c} company, {d} another, {f} figure, {p} period, {n} per cent, {m} million, {h} a hundred to nine hundred
_FORMS = MappingProxyType(
    {
        "negative": (
            "{c} says {f} fell {n} % {p}",
            "{c} cuts its outlook as {f} drops to {m} million",
            "{c} warns that {f} will miss estimates {p}",
            "{c} to lay off {h} people at its {b} in {s}",
            "{c} shares slide {n} % after weak {f}",
            "{c} posts a loss of {m} million {p}",
            "{c} loses an order worth {m} million to {d}",
            "{c} halts production at its {b} in {s} after a fault",
        ),
        "neutral": (
            "{c} will publish its report {p}",
            "{c} names a new head of its {b} in {s}",
            "{c} holds its annual meeting in {s}",
            "{c} says {f} was {m} million {p}, as a year ago",
            "{c} moves its {b} from {s} to a new address",
            "{c} has {h} employees at its {b} in {s}",
            "{c} and {d} share a {b} in {s}",
            "{c} keeps its outlook for {f} unchanged",
        ),
        "positive": (
            "{c} says {f} rose {n} % {p}",
            "{c} raises its outlook as {f} grows to {m} million",
            "{c} expects that {f} will beat estimates {p}",
            "{c} to hire {h} people for its {b} in {s}",
            "{c} shares jump {n} % after strong {f}",
            "{c} posts a record {f} of {m} million {p}",
            "{c} wins an order worth {m} million from {d}",
            "{c} opens a new {b} in {s} to meet high demand",
        ),
    }
)


def fingpt_records(n: int = 1000, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` headlines for training; none of them occurs in `fingpt_test` of any seed."""
    return _headlines(n, seed, test=False)


def fingpt_test(n: int = 200, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` headlines for testing; none of them occurs in `fingpt_records` of any seed."""
    return _headlines(n, seed, test=True)


def _headlines(n: int, seed: int, *, test: bool) -> Iterator[dict[str, str]]:
    rng = generator(seed, f"mini/fingpt/{'test' if test else 'train'}")
    count = 0
    while count < n:
        label = LABELS[draw(_SHARES, rng)]
        tweet = rng.random() < _TWEETS
        headline = _headline(label, tweet, rng)
        if (hashlib.sha256(headline.encode()).digest()[0] % _TEST_PART == 0) == test:
            count += 1
            yield {"instruction": _TWEET if tweet else _NEWS, "input": headline, "output": label}


def _headline(label: str, tweet: bool, rng: np.random.Generator) -> str:
    first, second = (f"{pick(_NAMES, rng)} {pick(_TRADES, rng)}" for _ in range(2))
    text = pick(_FORMS[label], rng).format(
        c=first,
        d=second,
        f=pick(_FIGURES, rng),
        p=pick(_PERIODS, rng),
        b=pick(_PARTS, rng),
        s=pick(_CITIES, rng),
        n=int(rng.integers(2, 40)),
        m=int(rng.integers(2, 400)),
        h=100 * int(rng.integers(1, 10)),
    )
    return f"${first[:3].upper()} - {text}" if tweet else text
