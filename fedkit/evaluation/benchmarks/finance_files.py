"""The files of the financial sets, in the forms of their publishers and of Kaggle as well as in those of the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...data.place import Located
from ...data.readers import read_csv, read_file
from ...data.sources import RawSource
from ...data.streams import whole

PUBLISHERS = "the publisher's"  # order of records, which is not that of the Hub's copy
_ENCODINGS = ("utf-8-sig", "iso-8859-1")  # of the Financial PhraseBank, the first that fits: Latin-1 fits all


def joined(located: Located) -> list[Any]:
    """All records, files in the order train, validation, test, as OpenFedLLM joins the splits."""
    if not located.files:
        return list(located.records())
    order = ("train", "val", "test")
    rank = {path: next((i for i, part in enumerate(order) if part in path.name.lower()), 0) for path in located.files}
    files = sorted(located.opened(), key=lambda path: (rank[path], path))
    return [row for path in files for row in _file(path, located.source)]


def _file(path: Path, source: RawSource) -> list[Any]:
    """The records of one file, in the publishers' own forms as well."""
    if path.suffix == ".txt":
        return _phrase_bank(path)
    if path.name == "all-data.csv":
        return list(read_csv(path, names=("label", "sentence"), encoding=whole(path, *_ENCODINGS)[1]))  # Kaggle's copy
    return [one for raw in read_file(path, source.json_cells) for one in _opinions(raw, path)]


def _phrase_bank(path: Path) -> list[dict[str, str]]:
    """The publisher's own form of FPB, `sentence@label` a line: in Latin-1, or in UTF-8 where somebody made it so."""
    lines = whole(path, *_ENCODINGS)[0].split("\n")  # not splitlines, to which Latin-1's 0x85 is the end of a line
    parts = [line.strip("\r").rpartition("@") for line in lines if line.strip()]
    return [{"sentence": text, "label": label} for text, _, label in parts]


def _opinions(raw: Any, path: Path) -> list[Any]:
    """FiQA's publisher has `{number: {sentence, info: [{sentiment_score, ...}]}}`, headlines and posts a file each."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("info"), list):
        return [raw]
    kind = "post" if "post" in path.name.lower() else "headline"
    text = {"sentence": raw.get("sentence"), "format": kind, "order": PUBLISHERS}
    return [{**text, **one} if isinstance(one, Mapping) else one for one in raw["info"]]
