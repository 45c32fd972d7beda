"""What a raw dataset is: its files in a local folder, its place on the Hub, its maker in the embedded world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RawSource:
    """One raw dataset: its files in a local folder, its place on the Hub, its maker in the embedded world.

    `files` are patterns under the data folder, in order of preference: the first that matches anything is read, all
    of its matches, sorted. `fields` are those that a record must have, with their types. `hub` is "" and `embedded`
    None where the dataset is not to be had that way.
    """

    name: str
    files: tuple[str, ...]
    fields: Mapping[str, type]
    hub: str = ""
    hub_config: str | None = None
    hub_dir: str | None = None  # a folder within the Hub dataset
    split: str = "train"
    embedded: str | None = None  # "module.function" of fedkit.mini
    licence: str = ""
    description: str = field(default="", compare=False)


def spellings(folder: str, stem: str) -> tuple[str, ...]:
    """The usual spellings of one table in a folder, upstream's own first."""
    return tuple(f"{folder}/{stem}{end}" for end in (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".csv.gz"))
