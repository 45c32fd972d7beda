"""What evaluations keep on disk: answers by chunk, so that a stop loses one, named by a hash of what they depend on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..common.console import say
from ..common.errors import FedkitError
from ..common.files import read_sealed, write_sealed

Item = TypeVar("Item")

CHUNK = 64  # items between two writes
REPLIES = "judge.jsonl"  # of judges behind an API, under evaluations/


def hash_of(basis: Any) -> str:
    """Sixteen hexadecimal digits of plain data."""
    return hashlib.sha256(json.dumps(basis, sort_keys=True, ensure_ascii=True).encode()).hexdigest()[:16]


def read(path: Path) -> Any:
    """What is kept at a place; None where nothing is, or, with a word to whoever waits, where it is damaged."""
    try:
        return read_sealed(path, "it is made anew")
    except FedkitError as error:
        say(str(error))
        return None


def write(path: Path, data: Any) -> Any:
    """Keep plain data and give it as it will be read."""
    return read_sealed(write_sealed(path, data))


def answers(
    path: Path, items: Sequence[Item], answer: Callable[[Sequence[Item]], Sequence[Any]], chunk: int = CHUNK
) -> list[Any]:
    """One answer an item, made `chunk` items at a time and kept at `path`, where `read` finds them.

    `path` must name all that the answers depend on. Each chunk is written when it is done, so a run that is killed
    and begun again asks for none of them twice.
    """
    folder = path.with_name(f"{path.stem}-by{chunk}")
    every: list[Any] = []
    for first in range(0, len(items), chunk):
        some = items[first : first + chunk]
        part = folder / f"{first:06d}.json"
        own = read(part)
        if own is None:
            own = list(answer(some))
            if len(items) > chunk:
                write(part, own)
        every += own
    every = write(path, every)
    shutil.rmtree(folder, ignore_errors=True)
    return every
