"""What the two papers print: tables, set-ups and names, read from `paper.toml` and `paper.csv` when first asked for.

FedLLM-Bench: Ye et al., NeurIPS 2024 Datasets and Benchmarks. OpenFedLLM: Ye et al., KDD 2024.

paper.csv has one line a printed number, as printed: table (its key), row, metric, value, source. `source` is empty for
what the table's own paper prints; else it names where a number was read at second hand. A cell that the paper leaves
out has no line.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

WORDS, NUMBERS = (Path(__file__).with_name(f"paper.{end}") for end in ("toml", "csv"))


@dataclass(frozen=True)
class PaperTable:
    """One results table as printed: `rows[row][metric]` is a number in `unit`, as scored by `judge`.

    `key` is what our own table's name ends in (`41_table2_fed_aya` shows `table2_fed_aya`). `sources[row, metric]`
    names where a number that is not its own paper's was read.
    """

    key: str
    paper: str
    place: str
    title: str
    unit: str
    judge: str
    metrics: tuple[str, ...]
    rows: Mapping[str, Mapping[str, float]]
    sources: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def value(self, row: str, metric: str) -> float | None:
        """The printed number, or None where the paper has none."""
        return self.rows.get(row, {}).get(metric)

    def frame(self) -> pd.DataFrame:
        """The table as printed: one line a row, one column a metric."""
        import pandas as pd

        return pd.DataFrame.from_dict(self.rows, orient="index").reindex(columns=list(self.metrics))


@dataclass(frozen=True)
class Setup:
    """One run as Table 7 prints it, or as the public scripts start it. None: not there, or no legible cell."""

    sampled: int  # clients a round
    clients: int | None
    rounds: int
    local_steps: int | str | None = None
    local_epochs: int | None = None  # of the local baseline
    batch_size: int | None = None
    grad_accum: int | None = None
    max_length: int | None = None
    lr_first: float | None = None
    lr_last: float | None = None
    lora_r: int | None = None
    lora_alpha: int | None = None
    base: str | None = None


@cache
def _words() -> dict[str, Any]:
    return tomllib.loads(WORDS.read_text(encoding="utf-8"))


def read_tables(words: Mapping[str, Any], numbers: Path) -> dict[str, PaperTable]:
    """The tables of `words["table"]` by key, filled from a CSV; `ValueError` for a cell of no table or column."""
    heads = {head["key"]: head for head in words["table"]}
    rows: dict[str, dict[str, dict[str, float]]] = {key: {} for key in heads}
    sources: dict[str, dict[tuple[str, str], str]] = {key: {} for key in heads}
    with numbers.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            key, row, metric = line["table"], line["row"], line["metric"]
            if metric not in heads.get(key, {}).get("metrics", ()):
                raise ValueError(f"{numbers.name}: table {key!r} has no column {metric!r}; see {WORDS.name}")
            if metric in rows[key].setdefault(row, {}):
                raise ValueError(f"{numbers.name}: table {key!r} has {row!r}, {metric!r} twice; keep one line")
            rows[key][row][metric] = float(line["value"])
            if line["source"]:
                sources[key][row, metric] = line["source"]
    return {
        key: PaperTable(**{**head, "metrics": tuple(head["metrics"])}, rows=rows[key], sources=sources[key])
        for key, head in heads.items()
    }


def _script(fields: Mapping[str, Any]) -> Setup:
    own = dict(fields)
    return Setup(**{**_words()["common"][own.pop("like", "FedLLM-Bench")], **own})


_READERS = {
    "TABLES": lambda: read_tables(_words(), NUMBERS),
    "TABLE7": lambda: {name: Setup(**fields) for name, fields in _words()["setup"].items()},
    "SETTINGS": lambda: {name: _script(fields) for name, fields in _words()["script"].items()},
    "REPEATS": lambda: _words()["repeats"],
    "LABELS": lambda: _words()["labels"],
}

if TYPE_CHECKING:
    TABLES: Mapping[str, PaperTable]
    TABLE7: Mapping[str, Setup]  # by the paper's name of a set-up
    SETTINGS: Mapping[str, Setup]  # the scripts'
    REPEATS: Mapping[str, str]  # our dataset -> the set-up that it repeats
    LABELS: Mapping[str, str]  # algorithm -> how the papers write it


@cache
def _read(name: str) -> Mapping[str, Any]:
    return MappingProxyType(_READERS[name]())


def __getattr__(name: str) -> Mapping[str, Any]:
    if name in _READERS:
        return _read(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def label(method: str, detail: str = "") -> str:
    """The row name of a method: `label("local", "ar")` is "Local Training (ar)"; a name of no paper stays as it is."""
    name = _read("LABELS").get(method, method)
    return f"{name} ({detail})" if detail else name


def key_of(table: str) -> str:
    """The key of the paper's table that ours of that name repeats: `41_table2_fed_aya` is `table2_fed_aya`."""
    return re.sub(r"^\d+_", "", table)


def published(table: str) -> PaperTable | None:
    """The printed table that ours of that name repeats, or None where it repeats none."""
    return _read("TABLES").get(key_of(table))
