"""Where raw records come from: a local folder, the Hub, or the embedded world.

It is settled once, by `Place.locate`, before anything is read, and is said in words. From then on nothing falls back: a
file that cannot be read is an error, never a reason to take another source.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from ..common.errors import FedkitError, unknown
from ..common.files import user_path
from ..mini.records import SHIPPED, World, embedded_records
from .readers import read_file
from .sources import RawSource


@dataclass(frozen=True)
class Located:
    """Where the records of a source will come from; made by `Place.locate`."""

    source: RawSource
    kind: Literal["local", "hub", "embedded"]
    where: str  # the files, the Hub dataset, or the embedded world
    files: tuple[Path, ...] = ()
    note: str = ""  # what was looked for first and not there
    world: World = SHIPPED  # of an embedded source

    def describe(self) -> str:
        """One sentence: what is read, from where, and why not from the data folder that was given."""
        return f"{self.source.name}: {self.where}{'; ' + self.note if self.note else ''}."

    def records(self, limit: int | None = None) -> Iterator[Any]:
        """The raw records, streamed; at most `limit`. In the embedded world `limit` is the size of the corpus.

        Records are in the upstream schema and unchecked. `FedkitError`, with the file and the line, where one cannot
        be read; for the Hub, where it cannot be reached.
        """
        if limit is not None and limit < 1:
            raise FedkitError(f"limit is {limit}; ask {self.source.name} for at least one record")
        return itertools.islice(_KINDS[self.kind](self, limit), limit)


@dataclass(frozen=True)
class Place:
    """Where to look: a data folder (None: none), then the embedded world if `embedded`, else the Hub unless `offline`.

    A source is given as a `RawSource`, or by the name of one that a dataset reads.
    """

    data_dir: Path | None = None
    offline: bool = False
    embedded: bool = False
    world: World = SHIPPED  # the embedded world that is read

    def files(self, source: RawSource | str) -> tuple[Path, ...]:
        """The source's files under the data folder, () where there are none.

        The data folder may also be the dataset's own (`.../gsm8k`). `FedkitError` where it is not a folder.
        """
        if self.data_dir is None:
            return ()
        root = data_folder(self.data_dir)
        for pattern in get_source(source).files:
            head, _, rest = pattern.partition("/")
            for base, under in ((root, pattern), (root, rest if root.resolve().name == head else "")):
                matches = tuple(sorted(base.glob(under))) if under else ()
                if matches:
                    return matches
        return ()

    def locate(self, source: RawSource | str) -> Located:
        """Settle where a source's records come from; `FedkitError` where there is no way left."""
        source = get_source(source)
        note = ""
        if self.data_dir is not None:
            if files := self.files(source):
                names = ", ".join(str(path) for path in files[:3]) + (
                    f" and {len(files) - 3} more" if files[3:] else ""
                )
                return Located(source, "local", f"read from {names}", files)
            note = f"the data folder {self.data_dir} holds none of its files ({_wanted(source)})"
        if self.embedded and source.embedded:
            return Located(source, "embedded", f"made by {self.world}", note=note, world=self.world)
        remedy = f"put one of {_wanted(source)} in a folder and pass it as --data-dir"
        if not source.hub or self.embedded:
            lack = "is not part of the embedded world" if self.embedded else "is read from local files only"
            raise FedkitError(f"{source.name} {lack}{': ' + note if note else ''}; {remedy}")
        if self.offline:
            raise FedkitError(
                f"{source.name} is not at hand and offline forbids the Hub{': ' + note if note else ''}; {remedy},"
                " drop --offline, or take the profile mini"
            )
        config = f" ({source.hub_config})" if source.hub_config else ""
        return Located(
            source, "hub", f"read from the Hub dataset {source.hub}{config}, split {source.split}", note=note
        )

    def real(self) -> Place:
        """The same place without the embedded world."""
        return replace(self, embedded=False)

    def records(self, source: RawSource | str, limit: int | None = None) -> Iterator[Any]:
        """The raw records of a source, from where `locate` has them; see `Located.records`."""
        return self.locate(source).records(limit)


def data_folder(path: str | Path) -> Path:
    """The data folder that a user names, absolute; `FedkitError` where it is not a folder."""
    root = user_path(path)
    if not os.path.isdir(root):  # False, not an error, also where a name is too long or a folder above is closed
        what = "is not a folder" if os.path.exists(root) else "does not exist"
        raise FedkitError(f"--data-dir {path}: it {what}; give the folder that holds the raw files, or leave it out")
    return root


def get_source(source: RawSource | str) -> RawSource:
    """A source by its name; `FedkitError` names those that datasets read."""
    if isinstance(source, RawSource):
        return source
    from .datasets.registry import SOURCES

    if source not in SOURCES:
        raise unknown("raw dataset", source, SOURCES)
    return SOURCES[source]


def _wanted(source: RawSource) -> str:
    shown = source.files[:3]
    return ", ".join(shown) + (" ..." if len(source.files) > len(shown) else "")


def _local(located: Located, limit: int | None) -> Iterator[Any]:
    for path in located.files:
        yield from read_file(path)


def _embedded(located: Located, limit: int | None) -> Iterator[Any]:
    yield from embedded_records(located.source.name, limit, located.world)


def _hub(located: Located, limit: int | None) -> Iterator[Any]:
    source = located.source
    try:
        import datasets

        # A few records are streamed; all of them go through the cache, memory-mapped, and are there the next time.
        part = {"data_dir": source.hub_dir} if source.hub_dir else {}
        streaming = limit is not None
        yield from datasets.load_dataset(source.hub, source.hub_config, split=source.split, streaming=streaming, **part)
    except Exception as error:  # datasets raises its own, huggingface_hub's, httpx's and OSError
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FedkitError(
            f"the Hub dataset {source.hub} cannot be read ({what}); check the network and HF_HUB_OFFLINE,"
            f" put {_wanted(source)} in a folder and pass it as --data-dir, or take the profile mini"
        ) from error


_KINDS: Mapping[str, Callable[[Located, int | None], Iterator[Any]]] = MappingProxyType(
    {"local": _local, "hub": _hub, "embedded": _embedded}
)
