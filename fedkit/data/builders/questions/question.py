"""A Ref question, and what a set of them is: where it is found and how it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....profiles import Profile
from ...sources import Located

DataDir = str | Path | None


@dataclass(frozen=True)
class Question:
    """One question of a test set; `language` is two-letter, `reference` "" where the set has no answers."""

    id: str
    language: str
    instruction: str
    reference: str


@dataclass(frozen=True)
class QuestionSet:
    """The Ref questions of one dataset or of two.

    `languages`: the questions are so many in each of these; None: so many in all. `find(profile, data_dir, offline)`
    settles where they come from, `read(located, profile, data_dir, offline, wanted)` reads them. `sources`: the raw
    sources that it may read. `find_answered(data_dir, offline)`: where questions with references are to be had if those
    found have none; None: nowhere.
    """

    sources: tuple[str, ...]
    languages: tuple[str, ...] | None
    find: Callable[[Profile, DataDir, bool], Located]
    read: Callable[[Located, Profile, DataDir, bool, int], list[Question]]
    find_answered: Callable[[DataDir, bool], Located] | None = None


def embedded(located: Located) -> list[Question]:
    """The embedded world's questions of a test source."""
    return [Question(**record) for record in located.records()]


def draw_key(row: dict[str, Any]) -> str:
    """The hash of a row's instruction; in its order, a draw is the same everywhere."""
    return hashlib.sha256(row["instruction"].encode()).hexdigest()
