"""What was read, and from where: a log that every place keeps, so that each table can name the source of every part.

`FEDKIT_ORIGINS` may name a file that gets a line of JSON for each; so the runner learns what a notebook read.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

LOG = "FEDKIT_ORIGINS"
RECORDS, TESTS = "records", "test records"
QUESTIONS, WORKED, REFERENCES = "questions", "worked examples", "reference answers"
# How a kind of place is called, in the order of a sentence.
KINDS: Mapping[str, str] = MappingProxyType(
    {"local": "data folder", "hub": "Hub", "embedded": "embedded world", "package": "package", "given": "caller"}
)


@dataclass(frozen=True)
class Origin:
    """Where one part of a result came from. `part`: records, test records, questions, worked examples and the like.

    `kind`: local (the data folder), hub, embedded, package (what lm-eval or fedkit brings along), given (by the
    caller). `where`: the files or the Hub dataset, in short. `absent`: what was looked for first, and not there.
    """

    source: str
    part: str
    kind: str
    where: str = ""
    absent: str = ""

    @property
    def brief(self) -> str:
        """`questions: data folder, gsm8k/test.jsonl`."""
        return f"{self.part}: {KINDS[self.kind]}{f', {self.where}' if self.where else ''}"

    @property
    def named(self) -> str:
        """`gsm8k_test (questions, gsm8k/test.jsonl)`."""
        return f"{self.source} ({self.part}{f', {self.where}' if self.where else ''})"


class Origins:
    """What was read so far, in order, each once."""

    def __init__(self) -> None:
        self._seen: dict[Origin, None] = {}
        self._since: dict[Origin, None] | None = None

    def add(self, origin: Origin) -> None:
        """Note what is being read."""
        if origin not in self._seen and (path := os.environ.get(LOG)):
            with contextlib.suppress(OSError), open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(origin)) + "\n")
        self._seen[origin] = None
        if self._since is not None:
            self._since[origin] = None

    def watch(self) -> None:
        """Begin anew what `watched` gives."""
        self._since = {}

    def watched(self) -> tuple[Origin, ...]:
        """What was read since `watch`, also where it had been read before."""
        return tuple(self._since or ())

    @property
    def all(self) -> tuple[Origin, ...]:
        """All of it."""
        return tuple(self._seen)


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines that processes wrote to the file that `FEDKIT_ORIGINS` named, each once; a torn one is left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    kept = []
    for line in dict.fromkeys(lines):
        try:
            kept.append(json.loads(line))
        except ValueError:
            continue
    return [asdict(origin) for origin in origins_of(kept)]


def origins_of(kept: Any) -> list[Origin]:
    """Origins as they were written into JSON; what is none is left out."""
    names = set(Origin.__dataclass_fields__)
    plain = [each for each in kept if isinstance(each, dict)] if isinstance(kept, list) else []
    return [
        Origin(**each)
        for each in plain
        if {"source", "part", "kind"} <= set(each) <= names
        and all(isinstance(value, str) for value in each.values())
        and each["kind"] in KINDS
    ]


def brief(origins: Iterable[Origin]) -> str:
    """For one cell of a table: `questions: embedded world; worked examples: embedded world`."""
    return "; ".join(dict.fromkeys(origin.brief for origin in origins))


def sentence(origins: Iterable[Origin]) -> str:
    """For a table's foot: what came from where, kind by kind, and what the data folder lacks."""
    every = list(dict.fromkeys(origins))
    parts = []
    for kind, title in KINDS.items():
        if own := dict.fromkeys(origin.named for origin in every if origin.kind == kind):
            parts.append(f"from the {title}: {', '.join(own)}")
    if absent := lacking(every):
        parts.append(f"not in the data folder: {', '.join(absent)}")
    return "; ".join(parts)


def lacking(origins: Iterable[Origin]) -> list[str]:
    """The sources that were looked for in a data folder and not read from there."""
    every = list(origins)
    local = {origin.source for origin in every if origin.kind == "local"}
    return list(dict.fromkeys(one.source for one in every if one.absent and one.source not in local))
