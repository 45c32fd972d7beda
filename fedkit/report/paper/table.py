"""The shape of a published table and of a published claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PaperTable:
    """One results table as printed: `rows[row][metric]` is a number in `unit`, as scored by `judge`.

    `key` is what our own table's name ends in (`41_table2_fed_aya` shows `table2_fed_aya`). A cell that the paper
    leaves out is absent from its row.
    """

    key: str
    paper: str
    place: str
    title: str
    unit: str
    judge: str
    metrics: tuple[str, ...]
    rows: Mapping[str, Mapping[str, float]]

    def value(self, row: str, metric: str) -> float | None:
        """The printed number, or None where the paper has none."""
        return self.rows.get(row, {}).get(metric)

    def frame(self) -> pd.DataFrame:
        """The table as printed: one line a row, one column a metric."""
        import pandas as pd

        return pd.DataFrame.from_dict(self.rows, orient="index").reindex(columns=list(self.metrics))


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper that its table is said to show; `table` is the key of that `PaperTable`."""

    id: str
    paper: str
    place: str
    text: str
    table: str
    note: str = ""


def as_rows(metrics: tuple[str, ...], lines: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Rows from lines of numbers in the order of `metrics`; a dash stands for a cell that was not printed."""
    table = {}
    for row, line in lines.items():
        cells = line.split()
        if len(cells) != len(metrics):
            raise ValueError(f"row {row!r} has {len(cells)} cells, its table has {len(metrics)} columns")
        table[row] = {m: float(c) for m, c in zip(metrics, cells, strict=True) if c != "-"}
    return table
