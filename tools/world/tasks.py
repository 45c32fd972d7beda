"""The 15 kinds of task and their facts: what is true in the embedded world, apart from any language.

A kind is one line in `_MAKERS`: it turns its part of `facts.json` into facts, and says how a fact fills the slots
x, y, z of a sentence. Some facts are held out: no user ever asks about them, the test questions do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from fedkit.common.errors import unknown

from .lexicon import Language, language, read_json

HELD_OUT_SHARE = 0.17  # of each kind's facts
Slots = Mapping[str, str]


@dataclass(frozen=True)
class Fact:
    """One fact of a kind. `group` joins facts that give each other away (hot/cold and cold/hot)."""

    kind: str
    key: str
    group: str
    values: tuple[str, ...]  # ids or literals, as the kind reads them


@dataclass(frozen=True)
class Kind:
    """A kind of task: its facts, and how they fill the slots of a language's sentences."""

    name: str
    facts: tuple[Fact, ...]
    fill: Callable[[Fact, Language], Slots]


def _pairs(subject: str, answer: str, mirrored: bool = False) -> Callable[[str, Any], Kind]:
    """x and y are words of two categories; `mirrored` facts (opposites) come in both directions."""

    def make(name: str, raw: Any) -> Kind:
        facts = (Fact(name, x, "+".join(sorted((x, y))) if mirrored else x, (x, y)) for x, y in raw)
        return Kind(name, tuple(facts), lambda f, lang: _words(f, lang, subject, answer))

    return make


def _words(fact: Fact, lang: Language, subject: str, answer: str) -> Slots:
    return {"x": lang.word(subject, fact.values[0]), "y": lang.word(answer, fact.values[1])}


def _symbols(name: str, raw: Any) -> Kind:
    facts = tuple(Fact(name, x, x, (x, y)) for x, y in raw)
    return Kind(name, facts, lambda f, lang: {"x": lang.word("element", f.values[0]), "y": f.values[1]})


def _members(name: str, raw: Any) -> Kind:
    """The first three members, so that each question has one reference answer."""
    facts = tuple(Fact(name, group, group, (group, *members[:3])) for group, members in raw)

    def fill(fact: Fact, lang: Language) -> Slots:
        words = [lang.word("member", key) for key in fact.values[1:]]
        return {"x": lang.word("group", fact.values[0]), "y": lang.listing(words)}

    return Kind(name, facts, fill)


def _translations(name: str, raw: Any) -> Kind:
    facts = tuple(Fact(name, key, key, (key,)) for key in raw)

    def fill(fact: Fact, lang: Language) -> Slots:
        (key,) = fact.values
        return {"x": lang.word("word", key), "y": language(lang.translate_to).word("word", key)}

    return Kind(name, facts, fill)


def _comparisons(name: str, raw: Any) -> Kind:
    """All ordered pairs of a list that goes from small to big."""

    def fact(x: str, z: str) -> Fact:
        return Fact(name, f"{x}+{z}", "+".join(sorted((x, z))), (x, max(x, z, key=raw.index), z))

    facts = tuple(fact(x, z) for x in raw for z in raw if x != z)
    return Kind(name, facts, lambda f, lang: {k: lang.word("animal", v) for k, v in zip("xyz", f.values, strict=True)})


def _counts(name: str, raw: Any) -> Kind:
    shortest, longest = raw["length"]
    runs = [
        range(first, first + length)
        for length in range(shortest, longest + 1)
        for first in range(raw["lowest"], raw["highest"] - length + 2)
    ]
    facts = tuple(Fact(name, f"{run[0]}-{run[-1]}", f"{run[0]}-{run[-1]}", tuple(map(str, run))) for run in runs)
    return Kind(name, facts, lambda f, lang: {"x": f.values[0], "y": lang.comma.join(f.values), "z": f.values[-1]})


def _sums(name: str, raw: Any) -> Kind:
    numbers = range(raw["lowest"], raw["highest"] + 1)
    facts = tuple(
        Fact(name, f"{x}+{z}", f"{min(x, z)}+{max(x, z)}", (str(x), str(x + z), str(z)))
        for x in numbers
        for z in numbers
    )
    return Kind(name, facts, lambda f, lang: dict(zip("xyz", f.values, strict=True)))


_MAKERS: Mapping[str, Callable[[str, Any], Kind]] = MappingProxyType(
    {
        "capital": _pairs("country", "city"),
        "continent": _pairs("country", "continent"),
        "opposite": _pairs("adjective", "adjective", mirrored=True),
        "animal_class": _pairs("animal", "class"),
        "color": _pairs("thing", "colour"),
        "next": _pairs("time", "time"),
        "symbol": _symbols,
        "author": _pairs("work", "person"),
        "use": _pairs("object", "purpose"),
        "job": _pairs("profession", "activity"),
        "members": _members,
        "translate": _translations,
        "compare": _comparisons,
        "count": _counts,
        "add": _sums,
    }
)
KIND_NAMES: tuple[str, ...] = tuple(_MAKERS)


@cache
def kind(name: str) -> Kind:
    """The kind of task of that name; `FedkitError` names the known ones."""
    if name not in _MAKERS:
        raise unknown("kind of task", name, _MAKERS)
    return _MAKERS[name](name, read_json("facts.json")[name])


@cache
def held_out(name: str) -> frozenset[str]:
    """Keys of a kind's held-out facts: the same for every language and seed.

    Groups in the order of a hash of their names; the first 17 % (at least one) are held out with all their facts.
    """
    groups = sorted({f.group for f in kind(name).facts}, key=lambda g: hashlib.sha256(f"{name}/{g}".encode()).digest())
    kept_back = set(groups[: max(1, round(HELD_OUT_SHARE * len(groups)))])
    return frozenset(f.key for f in kind(name).facts if f.group in kept_back)


@cache
def open_facts(name: str) -> tuple[Fact, ...]:
    """The facts that users may ask about: all but the held-out ones."""
    return tuple(f for f in kind(name).facts if f.key not in held_out(name))


def all_facts() -> Iterator[Fact]:
    """Every fact of every kind."""
    for name in KIND_NAMES:
        yield from kind(name).facts


@cache
def slots(fact: Fact, code: str) -> Slots:
    """The slots x, y (and z) of a fact in a language."""
    return kind(fact.kind).fill(fact, language(code))
