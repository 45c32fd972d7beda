"""What a raw dataset is: its files in a local folder, its place on the Hub, and whether the embedded world has it."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..common.errors import FedkitError
from ..common.files import visible

_SHARD = re.compile(r"^(?P<stem>.*)-(?P<i>\d{5})-of-(?P<n>\d{5})(?:-[0-9a-f]{16})?(?P<end>\..*)$")
_COPY = re.compile(
    r"(?:[ _]?\(\d+\)|(?: - |[ _-])[Cc]opy(?: ?\(?\d+\)?)?)(?=\.[^/]*$)"
)  # as browsers and desktops name them


@dataclass(frozen=True)
class RawSource:
    """One raw dataset: its files in a local folder, its place on the Hub, and whether the embedded world has it.

    `files` are patterns under the data folder, in order of preference: the first that matches anything is read, all
    of its matches, sorted. `fields` are those that a record must have, with their types; lists and objects among them,
    and `nested`, are JSON text in a CSV file. `hub` is "" and `embedded` False where the dataset is not to be had that
    way. `gated`: the Hub wants a form to be accepted. `others`: fields by which a relative of the dataset is known that
    cannot be read in its place, and what is said of it.
    """

    name: str
    files: tuple[str, ...]
    fields: Mapping[str, type] = field(hash=False)
    hub: str = ""
    hub_config: str | None = None
    hub_dir: str | None = None  # a folder within the Hub dataset
    split: str = "train"
    embedded: bool = False  # whether `fedkit.mini.records` has records of this name
    licence: str = ""
    description: str = field(default="", compare=False)
    nested: tuple[str, ...] = ()
    gated: bool = False
    others: tuple[tuple[str, str], ...] = ()

    @property
    def json_cells(self) -> tuple[str, ...]:
        """The fields that a CSV file holds as JSON text."""
        return tuple(dict.fromkeys((*self.nested, *(n for n, kind in self.fields.items() if kind in (list, dict)))))

    def relative(self, raw: Any) -> str:
        """What a record is where it belongs to a known relative of the dataset; else ""."""
        names = raw if isinstance(raw, Mapping) else {}
        return next((words for name, words in self.others if name in names), "")


def spellings(folder: str, stem: str) -> tuple[str, ...]:
    """The usual spellings of one table in a folder, upstream's own first."""
    return tuple(f"{folder}/{stem}{end}" for end in (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".csv.gz"))


def tables(folder: str, stem: str, *others: str) -> tuple[str, ...]:
    """A clone of the Hub dataset (parquet under data/), one table in a folder, or upstream's own file names."""
    return (f"{folder}/data/{stem}*.parquet", f"{folder}/{stem}*.parquet", *spellings(folder, stem), *others)


def matches(base: Path, pattern: str) -> tuple[Path, ...]:
    """The visible files of a pattern, sorted; `FedkitError` for a part of a table's shards, or two copies of one."""
    paths = visible(base, pattern)
    if len(paths) == 1 and not _SHARD.match(paths[0].name):
        return tuple(paths)
    _refuse_copies(paths)
    _refuse_parts(paths)
    return tuple(paths)


def _refuse_parts(paths: Sequence[Path]) -> None:
    """`train-00000-of-00003.parquet` and the second of the three are no table."""
    shards: dict[tuple[Path, str, str], dict[str, dict[int, Path]]] = defaultdict(lambda: defaultdict(dict))
    single: dict[tuple[Path, str], Path] = {}
    for path in paths:
        name = _SHARD.match(path.name)
        if name:
            known = shards[path.parent, name["stem"], name["end"]][name["n"]]
            if int(name["i"]) in known:
                raise _two(known[int(name["i"])], path)
            known[int(name["i"])] = path
        else:
            stem, _, end = path.name.partition(".")
            single[path.parent, f"{stem}.{end}"] = path
    for (folder, stem, end), of in shards.items():
        if len(of) > 1:
            a, b = (next(iter(parts.values())) for parts in list(of.values())[:2])
            raise _two(a, b)
        if (folder, f"{stem}{end}") in single:
            raise _two(single[folder, f"{stem}{end}"], next(iter(next(iter(of.values())).values())))
        for total, known in of.items():
            lacking = [i for i in range(int(total)) if i not in known]
            if lacking:
                names = ", ".join(f"{stem}-{i:05d}-of-{total}{end}" for i in lacking[:3])
                raise FedkitError(
                    f"{folder} holds {len(known)} of {int(total)} parts of {stem}{end}; fetch also {names}"
                    + (f" and {len(lacking) - 3} more" if lacking[3:] else "")
                )


def _refuse_copies(paths: Sequence[Path]) -> None:
    """`train.parquet` and `train (1).parquet`, or any two files of the same bytes, are one table twice."""
    names: dict[Path, Path] = {}
    sizes: dict[int, list[Path]] = defaultdict(list)
    for path in paths:
        plain = path.with_name(_COPY.sub("", path.name).removesuffix(".gz"))
        if plain in names:
            raise _two(names[plain], path)
        names[plain] = path
        if path.is_file():
            sizes[path.stat().st_size].append(path)
    for alike in (some for size, some in sizes.items() if size and some[1:]):
        known: dict[str, Path] = {}
        for path in alike:
            digest = _digest(path, path.stat().st_mtime_ns)
            if digest in known:
                raise _two(known[digest], path)
            known[digest] = path


@lru_cache
def _digest(path: Path, changed: int) -> str:
    """The hash of a file's bytes; `changed`: when it was."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _two(a: Path, b: Path) -> FedkitError:
    return FedkitError(f"{a} and {b} look like two copies of one table, which would be read twice; keep one of them")
