"""The words and sentence forms of the 17 languages, read from `languages/<code>.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fedkit.common.errors import unknown

CORE: tuple[str, ...] = ("ar", "en", "es", "fr", "pt", "ru", "te", "zh")  # the languages of Fed-Aya
NEIGHBOURS: tuple[str, ...] = ("de", "it", "pl", "uk", "ja", "ko", "ur", "fa", "zht")
LANGUAGES: tuple[str, ...] = CORE + NEIGHBOURS

_FOLDER = Path(__file__).parent
_OPENING_MARKS = "¿¡\"'«“„‘(["


@dataclass(frozen=True)
class Forms:
    """The sentences of one kind of task in one language; {x}, {y}, {z} are the slots of a fact.

    `ask` has four instructions; `answer` is the reference form; `short` the bare answer; `extra` a sentence that may
    follow it; `plain` other statements of the same fact.
    """

    ask: tuple[str, ...]
    short: str
    answer: str
    extra: str
    plain: tuple[str, ...]


@dataclass(frozen=True)
class Language:
    """One language: its names, its forms by kind of task, its words by category and id."""

    code: str  # two-letter as in Fed-Aya; "zht" is Traditional Chinese
    name: str
    aya_language: str  # Aya's `language`, e.g. "Standard Arabic"
    aya_code: str  # Aya's `language_code`, e.g. "arb"; both Chinese are "zho"
    comma: str
    conjunction: str
    translate_to: str
    openers: tuple[str, ...]
    closers: tuple[str, ...]
    forms: Mapping[str, Forms]
    lexicon: Mapping[str, Mapping[str, str]]

    @property
    def gap(self) -> str:
        """What stands between two sentences: nothing in scripts without spaces, else a space."""
        return " " if self.comma.endswith(" ") else ""

    def word(self, category: str, key: str) -> str:
        """The word of an id, e.g. ("city", "rome") -> "Rome"."""
        return self.lexicon[category][key]

    def listing(self, words: Sequence[str]) -> str:
        """'a, b and c' as this language writes it."""
        return self.conjunction.join(filter(None, (self.comma.join(words[:-1]), words[-1])))

    def paragraph(self, sentences: Sequence[str]) -> str:
        """Sentences in a row."""
        return self.gap.join(sentences)


def capitalized(text: str) -> str:
    """The text with its first letter in upper case; opening marks before it are skipped."""
    start = len(text) - len(text.lstrip(_OPENING_MARKS))
    return text[:start] + text[start : start + 1].upper() + text[start + 1 :]


def sentence(form: str, slots: Mapping[str, str]) -> str:
    """A form with its slots filled, beginning in upper case."""
    return capitalized(form.format_map(slots))


def read_json(name: str) -> Any:
    """A JSON file of this package, e.g. "facts.json"."""
    return json.loads((_FOLDER / name).read_text(encoding="utf-8"))


@cache
def language(code: str) -> Language:
    """The language of that two-letter code ("zht": Traditional Chinese); `FedkitError` names the known ones."""
    if code not in LANGUAGES:
        raise unknown("language", code, LANGUAGES)
    raw = read_json(f"languages/{code}.json")
    forms = {
        kind: Forms(tuple(f["ask"]), f["short"], f["answer"], f["extra"], tuple(f["plain"]))
        for kind, f in raw["templates"].items()
    }
    words = {category: MappingProxyType(entries) for category, entries in raw["lexicon"].items()}
    return Language(
        code=raw["code"],
        name=raw["name"],
        aya_language=raw["aya_language"],
        aya_code=raw["aya_code"],
        comma=raw["comma"],
        conjunction=raw["and"],
        translate_to=raw["translate_to"],
        openers=tuple(raw["openers"]),
        closers=tuple(raw["closers"]),
        forms=MappingProxyType(forms),
        lexicon=MappingProxyType(words),
    )
