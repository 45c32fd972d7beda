"""The Ref questions of Fed-Aya: FedLLM-Bench's own 160, the embedded world's, or Aya's held-out split."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ....common.errors import FedkitError
from ....profiles import Profile
from ...sources import SOURCES, Located, find_files, locate, raw_records
from ..checks import fault
from ..drops import DropReport
from ..fed_aya import LANGUAGES, build_fed_aya, two_letter
from .question import DataDir, Question, QuestionSet, draw_key, embedded

_CODES = tuple(LANGUAGES.values())


def find(profile: Profile, data_dir: DataDir, offline: bool) -> Located:
    """The released questions, those of the embedded world, or Aya's held-out split."""
    local = data_dir is not None and bool(find_files(SOURCES["aya_test"], data_dir))
    if local or profile.embedded:
        return locate("aya_test", data_dir=data_dir, offline=offline, embedded=profile.embedded)
    return locate("aya_heldout", data_dir=data_dir, offline=offline)


def read(located: Located, profile: Profile, data_dir: DataDir, offline: bool, wanted: int) -> list[Question]:
    """`wanted` questions of each language; `FedkitError` for a language without any."""
    if located.kind == "embedded":
        every = embedded(located)
        found = [q for code in _CODES for q in [q for q in every if q.language == code][:wanted]]
    elif located.source.name == "aya_test":
        found = _released(located, wanted)
    else:
        found = _held_out(located, profile, data_dir, offline, wanted)
    for code in _CODES:
        if not any(question.language == code for question in found):
            every = ", ".join(_CODES)
            raise FedkitError(f"fed_aya has no question in {code}, {located.where}; give some in all of {every}")
    return found


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
    lacking = [code for code in _CODES if code not in found]
    if lacking:
        minimum = profile.dataset("fed_aya").minimum
        training = build_fed_aya.find(profile, data_dir, offline)
        sizes: Counter[str] = Counter()
        rows = []
        for row in map(_row, raw_records(training)):
            if row is not None:
                sizes[row["client_id"]] += 1
                rows += [row] if row["language"] in lacking else []
        found |= _by_language([row for row in rows if sizes[row["client_id"]] < minimum])
    return [
        Question(f"aya-{code}-{i:03d}", code, row["instruction"], row["response"])
        for code in _CODES
        for i, row in enumerate(found.get(code, [])[:wanted])
    ]


def _row(raw: Any) -> dict[str, Any] | None:
    return build_fed_aya.forms[0].read(raw, DropReport())


def _by_language(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Rows by language, in the order of the hash of their instruction."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=draw_key):
        found.setdefault(row["language"], []).append(row)
    return found


AYA = QuestionSet(("aya_test", "aya_heldout", *build_fed_aya.sources), _CODES, find, read)
