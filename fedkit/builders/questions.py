"""Ref questions with reference answers: the test set of FedLLM-Bench's Ref-GPT4 score, 20 a language for Fed-Aya."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import FedkitError, unknown
from ..profiles import Profile
from ..sources import SOURCES, Located, find_files, locate, raw_records
from .checks import fault
from .drops import DropReport
from .fed_aya import LANGUAGES, two_letter, usable
from .fed_aya import find as find_aya


@dataclass(frozen=True)
class Question:
    """One question of a test set; `language` is two-letter."""

    id: str
    language: str
    instruction: str
    reference: str


def has_questions(name: str) -> bool:
    """Whether a federated dataset has Ref questions."""
    return name in _SETS


def question_source(
    name: str, profile: Profile, *, data_dir: str | Path | None = None, offline: bool = False
) -> Located:
    """Where `questions` would take them from; `describe()` says it in a sentence."""
    if name not in _SETS:
        raise unknown("dataset with Ref questions", name, _SETS)
    return _SETS[name][0](profile, data_dir, offline)


def questions(
    name: str,
    profile: Profile,
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    per_language: int | None = None,
) -> list[Question]:
    """The Ref questions of a federated dataset, `per_language` of each language (the profile's number if None).

    Fed-Aya, in this order: `fedllm_bench/aya_test.json` of the data folder (FedLLM-Bench's own 160); the embedded
    world's questions, where the profile is embedded; else Aya's held-out split (CohereLabs/aya_dataset, split `test`,
    from the data folder or the Hub). That split has no Spanish, French or Russian: for a language that it lacks,
    questions come from annotators whom the profile's minimum keeps out of the natural Fed-Aya, so none is trained on.
    Where a set holds more than is asked for, the first in the file are taken, or, of the Aya dataset, the first by the
    hash of their text.

    `FedkitError` for an unknown dataset, a malformed question, or a language without any question.
    """
    wanted = profile.dataset(name).test_questions if per_language is None else per_language
    located = question_source(name, profile, data_dir=data_dir, offline=offline)
    if wanted < 1:
        raise FedkitError(f"{name} is asked for {wanted} questions a language; per_language must be at least 1")
    found = _SETS[name][1](located, profile, data_dir, offline, wanted)
    for code in LANGUAGES.values():
        if not any(question.language == code for question in found):
            every = ", ".join(LANGUAGES.values())
            raise FedkitError(f"{name} has no question in {code}, {located.where}; give some in all of {every}")
    return found


def _find_aya(profile: Profile, data_dir: str | Path | None, offline: bool) -> Located:
    local = data_dir is not None and bool(find_files(SOURCES["aya_test"], data_dir))
    if local or profile.embedded:
        return locate("aya_test", data_dir=data_dir, offline=offline, embedded=profile.embedded)
    return locate("aya_heldout", data_dir=data_dir, offline=offline)


def _aya(located: Located, profile: Profile, data_dir: Any, offline: bool, wanted: int) -> list[Question]:
    if located.kind == "embedded":
        from ..mini import world

        return [Question(**record) for record in world.aya_questions(per_language=wanted)]
    if located.source.name == "aya_test":
        return _released(located, wanted)
    return _held_out(located, profile, data_dir, offline, wanted)


def _released(located: Located, wanted: int) -> list[Question]:
    """`{language: [{instruction, reference}]}`; a test set is short, so a fault in it stops with its place."""
    found: dict[str, list[Question]] = {}
    for number, raw in enumerate(raw_records(located), 1):
        why = fault(raw, located.source.fields)
        code = two_letter(raw["client_id"]) if why is None else None
        if code is None:
            why = why or f"unknown language {raw['client_id']!r}"
            raise FedkitError(
                f"question {number} of {located.files[0]} is malformed ({why}); mend it or fetch the file anew"
            )
        own = found.setdefault(code, [])
        own.append(Question(f"aya-{code}-{len(own):03d}", code, raw["instruction"], raw["reference"]))
    return [question for own in found.values() for question in own[:wanted]]


def _held_out(located: Located, profile: Profile, data_dir: Any, offline: bool, wanted: int) -> list[Question]:
    """Aya's test split, and the annotators below the minimum for the languages that it lacks."""
    found = _by_language([row for row in map(_row, raw_records(located)) if row is not None])
    lacking = [code for code in LANGUAGES.values() if code not in found]
    if lacking:
        minimum = profile.dataset("fed_aya").minimum
        training = find_aya(profile, data_dir, offline)
        sizes: Counter[str] = Counter()
        rows = []
        for row in map(_row, raw_records(training)):
            if row is not None:
                sizes[row["client_id"]] += 1
                rows += [row] if row["language"] in lacking else []
        found |= _by_language([row for row in rows if sizes[row["client_id"]] < minimum])
    return [
        Question(f"aya-{code}-{i:03d}", code, row["instruction"], row["response"])
        for code in LANGUAGES.values()
        for i, row in enumerate(found.get(code, [])[:wanted])
    ]


def _row(raw: Any) -> dict[str, str] | None:
    return usable(raw, "aya", DropReport())


def _by_language(rows: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    """Rows by language, in the order of the hash of their instruction: a draw that is the same everywhere."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in sorted(rows, key=lambda row: hashlib.sha256(row["instruction"].encode()).hexdigest()):
        found.setdefault(row["language"], []).append(row)
    return found


_SETS: Mapping[str, tuple[Callable[..., Located], Callable[..., list[Question]]]] = MappingProxyType(
    {"fed_aya": (_find_aya, _aya)}
)
