"""Where raw records come from: a local folder, the Hub, or the embedded world.

It is settled once, by `Place.locate`, before anything is read, and is said in words. From then on nothing falls back: a
file that cannot be read is an error, never a reason to take another source.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from ..common.errors import FedkitError, unknown
from ..common.files import user_path
from ..mini.records import SHIPPED, World, embedded_records
from .origins import RECORDS, Origin, Origins
from .readers import read_file
from .sources import RawSource, matches


@dataclass(frozen=True)
class Located:
    """Where the records of a source will come from; made by `Place.locate`."""

    source: RawSource
    kind: Literal["local", "hub", "embedded"]
    where: str  # the files, the Hub dataset, or the embedded world
    files: tuple[Path, ...] = ()
    note: str = ""  # what was looked for first and not there
    world: World = SHIPPED  # of an embedded source
    part: str = RECORDS  # what the records are to whoever reads them
    root: Path | None = field(default=None, compare=False, repr=False)  # of the data folder
    log: Origins = field(default_factory=Origins, compare=False, repr=False)

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
        self.log.add(self.origin)
        return itertools.islice(_KINDS[self.kind](self, limit), limit)

    def opened(self) -> tuple[Path, ...]:
        """The files, for whoever reads them by a form of its own; () where the records are not local."""
        if self.files:
            self.log.add(self.origin)
        return self.files

    def as_part(self, part: str) -> Located:
        """The same, to be read as questions, worked examples or reference answers."""
        return replace(self, part=part)

    @property
    def origin(self) -> Origin:
        """What a table says of where this came from."""
        config = f" ({self.source.hub_config})" if self.source.hub_config else ""
        where = {
            "local": self._files(),
            "hub": self.source.hub and f"{self.source.hub}{config}, {self.source.split}",
            "embedded": f"seed {self.world.seed}" if self.world.seed else "",
        }
        return Origin(self.source.name, self.part, self.kind, where[self.kind], self.note)

    def _files(self) -> str:
        """The files as they lie in the data folder: all of few, the first of many."""
        names = [str(p.relative_to(self.root)) if self.root in p.parents else p.name for p in self.files]
        return ", ".join(names) if len(names) < 3 else f"{names[0]} and {len(names) - 1} more"


@dataclass(frozen=True)
class Place:
    """Where to look: a data folder (None: none), then the embedded world if `embedded`, else the Hub unless `offline`.

    A source is given as a `RawSource`, or by the name of one that a dataset reads. `origins`: what was read so far, by
    this place and by those made of it.
    """

    data_dir: Path | None = None
    offline: bool = False
    embedded: bool = False
    world: World = SHIPPED  # the embedded world that is read
    origins: Origins = field(default_factory=Origins, compare=False, repr=False)

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
                paths = matches(base, under) if under else ()
                if paths:
                    return paths
        return ()

    def require_any(self, sources: Iterable[RawSource]) -> None:
        """`FedkitError` with the names looked for, where a data folder holds no file of any of the sources."""
        sources = list(sources)
        if self.data_dir is None or not sources or any(self.files(source) for source in sources):
            return
        names = list(dict.fromkeys(source.files[0] for source in sources if source.files))
        shown = ", ".join(names[:24]) + (f" and {len(names) - 24} more" if names[24:] else "")
        raise FedkitError(
            f"the data folder {self.data_dir} holds no file of any data set; names looked for: {shown} (all spellings:"
            " docs/data_folder.md); name the files so, give the folder above them, or leave --data-dir out"
        )

    def locate(self, source: RawSource | str) -> Located:
        """Settle where a source's records come from; `FedkitError` where there is no way left."""
        source = get_source(source)
        note = ""
        if self.data_dir is not None:
            if files := self.files(source):
                names = ", ".join(str(path) for path in files[:3]) + (
                    f" and {len(files) - 3} more" if files[3:] else ""
                )
                root = data_folder(self.data_dir)
                return Located(source, "local", f"read from {names}", files, root=root, log=self.origins)
            note = f"the data folder {self.data_dir} holds none of its files ({_wanted(source)})"
        if self.embedded and source.embedded:
            return Located(source, "embedded", f"made by {self.world}", note=note, world=self.world, log=self.origins)
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
        where = f"read from the Hub dataset {source.hub}{config}, split {source.split}"
        return Located(source, "hub", where, note=note, log=self.origins)

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
        yield from read_file(path, located.source.json_cells)


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
        raise hub_fault(source, error) from error


def hub_fault(source: RawSource, error: Exception) -> FedkitError:
    """The error for a Hub dataset that cannot be read; of a gated one it says where to ask, and for what."""
    what = str(error).splitlines()[0] if str(error) else type(error).__name__
    words = f"{type(error).__name__} {error}".lower()
    shut = source.gated or any(sign in words for sign in ("gated", "401", "403", "must be authenticated"))
    ask = (
        f" accept the form at https://huggingface.co/datasets/{source.hub} with your account and put a token of it"
        " into the variable HF_TOKEN (it is gated);"
    )
    return FedkitError(
        f"the Hub dataset {source.hub} cannot be read ({what});{ask if shut else ''} check the network and"
        f" HF_HUB_OFFLINE, put {_wanted(source)} in a folder and pass it as --data-dir, or take the profile mini"
    )


_KINDS: Mapping[str, Callable[[Located, int | None], Iterator[Any]]] = MappingProxyType(
    {"local": _local, "hub": _hub, "embedded": _embedded}
)
