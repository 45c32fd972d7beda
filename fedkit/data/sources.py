"""Raw records by dataset name: from a local folder, from the Hub, or from the embedded world.

Where they come from is settled once, by `locate`, before anything is read, and is said in words. From then on nothing
falls back: a file that cannot be read is an error, never a reason to take another source.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from ..common.errors import FedkitError, unknown
from .catalog import SOURCES, RawSource
from .readers import read_file

__all__ = ["SOURCES", "Located", "RawSource", "find_files", "get_source", "load_raw", "locate", "raw_records"]


@dataclass(frozen=True)
class Located:
    """Where the records of a source will come from; made by `locate`."""

    source: RawSource
    kind: Literal["local", "hub", "embedded"]
    where: str  # the files, the Hub dataset, or the embedded world
    files: tuple[Path, ...] = ()
    note: str = ""  # what was looked for first and not found

    def describe(self) -> str:
        """One sentence: what is read, from where, and why not from the data folder that was given."""
        return f"{self.source.name}: {self.where}{'; ' + self.note if self.note else ''}."


def get_source(name: str) -> RawSource:
    """The source of that name; `FedkitError` names the known ones."""
    if name not in SOURCES:
        raise unknown("raw dataset", name, SOURCES)
    return SOURCES[name]


def find_files(source: RawSource, data_dir: str | Path) -> tuple[Path, ...]:
    """The source's files under a data folder, () where there are none.

    `data_dir` may also be the dataset's own folder (`.../gsm8k`). `FedkitError` where it is not a folder.
    """
    root = Path(data_dir).expanduser()
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise FedkitError(f"the data folder {root} {what}; give --data-dir an existing folder or leave it out")
    for pattern in source.files:
        head, _, rest = pattern.partition("/")
        for base, under in ((root, pattern), (root, rest if root.resolve().name == head else "")):
            found = tuple(sorted(base.glob(under))) if under else ()
            if found:
                return found
    return ()


def locate(name: str, *, data_dir: str | Path | None = None, offline: bool = False, embedded: bool = False) -> Located:
    """Settle where a dataset's raw records come from: the data folder, else the embedded world, else the Hub.

    The embedded world is taken only when `embedded` asks for it, the Hub only when neither applies and `offline` is
    False. `FedkitError` for an unknown name, a data folder that does not exist, or no way left.
    """
    source = get_source(name)
    note = ""
    if data_dir is not None:
        if files := find_files(source, data_dir):
            names = ", ".join(str(path) for path in files[:3]) + (f" and {len(files) - 3} more" if files[3:] else "")
            return Located(source, "local", f"read from {names}", files)
        note = f"the data folder {data_dir} holds none of its files ({_wanted(source)})"
    if embedded and source.embedded:
        return Located(source, "embedded", "made by fedkit's embedded world", note=note)
    remedy = f"put one of {_wanted(source)} in a folder and pass it as --data-dir"
    if not source.hub or embedded:
        lack = "is not part of the embedded world" if embedded else "is read from local files only"
        raise FedkitError(f"{name} {lack}{': ' + note if note else ''}; {remedy}")
    if offline:
        raise FedkitError(
            f"{name} is not at hand and offline forbids the Hub{': ' + note if note else ''}; {remedy},"
            " drop --offline, or take the profile mini"
        )
    config = f" ({source.hub_config})" if source.hub_config else ""
    return Located(source, "hub", f"read from the Hub dataset {source.hub}{config}, split {source.split}", note=note)


def _wanted(source: RawSource) -> str:
    shown = source.files[:3]
    return ", ".join(shown) + (" ..." if len(source.files) > len(shown) else "")


def raw_records(located: Located, *, seed: int = 0, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """The raw records, streamed; at most `limit`. In the embedded world `limit` is the size made, `seed` its seed.

    Records are in the upstream schema and unchecked. `FedkitError`, with the file and the line, where one cannot be
    read; for the Hub, where it cannot be reached.
    """
    if limit is not None and limit < 1:
        raise FedkitError(f"limit is {limit}; ask {located.source.name} for at least one record")
    return itertools.islice(_KINDS[located.kind](located, seed, limit), limit)


def load_raw(
    name: str,
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    embedded: bool = False,
    limit: int | None = None,
) -> tuple[Located, Iterator[dict[str, Any]]]:
    """`locate`, and the records of what it found."""
    located = locate(name, data_dir=data_dir, offline=offline, embedded=embedded)
    return located, raw_records(located, limit=limit)


def _local(located: Located, seed: int, limit: int | None) -> Iterator[Any]:
    for path in located.files:
        yield from read_file(path)


def _embedded(located: Located, seed: int, limit: int | None) -> Iterator[Any]:
    module, _, maker = str(located.source.embedded).partition(".")
    made = getattr(import_module(f"fedkit.mini.{module}"), maker)
    # Questions are asked for by language, not in all; `builders.questions` does so.
    sized = limit is not None and located.source.name != "aya_test"
    yield from made(n=limit, seed=seed) if sized else made(seed=seed)


def _hub(located: Located, seed: int, limit: int | None) -> Iterator[Any]:
    source = located.source
    try:
        import datasets

        # A few records are streamed; all of them go through the cache, memory-mapped, and are there the next time.
        part = {"data_dir": source.hub_dir} if source.hub_dir else {}
        streaming = limit is not None
        loaded = datasets.load_dataset(source.hub, source.hub_config, split=source.split, streaming=streaming, **part)
        yield from loaded
    except Exception as error:  # datasets raises its own, huggingface_hub's, httpx's and OSError
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FedkitError(
            f"the Hub dataset {source.hub} cannot be read ({what}); check the network and HF_HUB_OFFLINE,"
            f" put {_wanted(source)} in a folder and pass it as --data-dir, or take the profile mini"
        ) from error


_KINDS = MappingProxyType({"local": _local, "hub": _hub, "embedded": _embedded})
