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
    fields: Mapping[str, type] = field(hash=False)
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


def tables(folder: str, stem: str, *others: str) -> tuple[str, ...]:
    """A clone of the Hub dataset (parquet under data/), one table in a folder, or upstream's own file names."""
    return (f"{folder}/data/{stem}*.parquet", f"{folder}/{stem}*.parquet", *spellings(folder, stem), *others)
