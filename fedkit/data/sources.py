"""What a raw dataset is: its files in a local folder, its place on the Hub, and whether the embedded world has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RawSource:
    """One raw dataset: its files in a local folder, its place on the Hub, and whether the embedded world has it.

    `files` are patterns under the data folder, in order of preference: the first that matches anything is read, all
    of its matches, sorted. `fields` are those that a record must have, with their types. `hub` is "" and `embedded`
    False where the dataset is not to be had that way.
    """

    name: str
    files: tuple[str, ...]
    fields: Mapping[str, type]
    hub: str = ""
    hub_config: str | None = None
    hub_dir: str | None = None  # a folder within the Hub dataset
    split: str = "train"
    embedded: bool = False  # whether `fedkit.mini.records` has records of this name
    licence: str = ""
    description: str = field(default="", compare=False)


def spellings(folder: str, stem: str) -> tuple[str, ...]:
    """The usual spellings of one table in a folder, upstream's own first."""
    return tuple(f"{folder}/{stem}{end}" for end in (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".csv.gz"))


def __getattr__(name: str):  # TEMPORARY: until every caller takes a Place
    from importlib import import_module

    place = import_module("fedkit.data.place")
    if name == "SOURCES":
        return import_module("fedkit.data.catalog").SOURCES
    calls = {
        "Located": place.Located,
        "get_source": place.get_source,
        "find_files": lambda source, data_dir: place.Place(data_dir).files(source),
        "locate": lambda name, *, data_dir=None, offline=False, embedded=False: place.Place(
            data_dir, offline, embedded
        ).locate(name),
        "raw_records": lambda located, limit=None: located.records(limit),
        "load_raw": lambda name, *, data_dir=None, offline=False, embedded=False, limit=None: (
            (located := place.Place(data_dir, offline, embedded).locate(name)),
            located.records(limit),
        ),
    }
    if name not in calls:
        raise AttributeError(name)
    return calls[name]
