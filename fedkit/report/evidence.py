"""A results table as claims see it: differences between its cells, each with an interval.

A difference is paired: by seed, and where the answers' scores are kept by question too. By seeds alone its interval is
Student's t over the seeds, and speaks of these questions. By seeds and questions it is that of a crossed design
(`common.intervals.crossed`), and speaks of others like them too. Three seeds alone leave nearly everything undecided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from ..common.errors import FedkitError
from ..common.intervals import crossed, quantile
from .claims import groups
from .paper import PaperTable

if TYPE_CHECKING:
    import pandas as pd

MIN_SEEDS = 3
Cell = tuple[str, str]  # row, metric


@dataclass(frozen=True)
class Estimate:
    """A difference of cells: its mean, standard error, and the degrees of freedom of its t interval.

    error: nan where there are too few seeds for an interval. printed: a number taken as it is, without any error.
    """

    mean: float
    error: float = 0.0
    freedom: float = np.inf
    printed: bool = False

    def interval(self, among: int = 1) -> tuple[float, float]:
        """95 % interval, Bonferroni's where it is one `among` so many of which one is picked."""
        half = quantile(1 - 0.025 / among, self.freedom) * self.error
        return self.mean - half, self.mean + half

    def sign(self, among: int = 1, *, at: float = 0.0) -> int:
        """1 where it surely lies above `at`, -1 surely below, 0 if the interval holds it. Printed, a tie is below."""
        if self.printed:
            return 1 if self.mean > at else -1
        low, high = self.interval(among)
        return int(low > at) - int(high < at)

    def describe(self) -> str:
        """`+0.52 [0.31, 0.73]`, the mean alone where there is no interval."""
        low, high = self.interval()
        return f"{self.mean:+.3g}" + (f" [{low:+.3g}, {high:+.3g}]" if self.error > 0 else "")


@dataclass(frozen=True)
class Scores:
    """One table: `seeds[row, metric]` is seed -> value, `items[row, metric]` seed -> (questions,) whose mean it is.

    `items` lack a cell whose value is no mean over questions (F1, a rank). exact: printed numbers, taken as they are.
    """

    seeds: Mapping[Cell, Mapping[int, float]]
    items: Mapping[Cell, Mapping[int, np.ndarray]] = field(default_factory=dict)
    exact: bool = False

    @property
    def rows(self) -> list[str]:
        """All rows, in the table's order."""
        return list(dict.fromkeys(row for row, _ in self.seeds))

    @property
    def surely(self) -> str:
        """ "surely ", which no word on printed numbers is."""
        return "" if self.exact else "surely "

    @property
    def how(self) -> str:
        """What its intervals are over, in words."""
        return "as printed" if self.exact else "over seeds and questions" if self.items else "over seeds"

    def by_seeds(self) -> Scores:
        """The same without the questions."""
        return replace(self, items={})

    def select(self, names: str | Sequence[str]) -> list[str]:
        """The rows that names, patterns or groups of claims stand for; what no row matches stays as it is."""
        listed = [names] if isinstance(names, str) else names
        rows: dict[str, None] = {}
        for pattern in (p for name in listed for p in groups().get(name, [name])):
            rows.update(dict.fromkeys([row for row in self.rows if fnmatchcase(row, pattern)] or [pattern]))
        return list(rows)

    def missing(self, rows: Iterable[str], metrics: Iterable[str]) -> str | None:
        """The first cell of these that the table lacks, in words, or None."""
        metrics = list(metrics)
        absent = next(((r, m) for r in rows for m in metrics if not self.seeds.get((r, m))), None)
        return absent and f"{absent[0]} in {absent[1]}"

    def difference(self, row: str, others: Sequence[str], metric: str, *, factor: float = 1.0) -> Estimate:
        """Row less `factor` times the mean of others, over the seeds that all have; `FedkitError` where none is."""
        weights = {(row, metric): 1.0}
        for other in others:
            weights[other, metric] = weights.get((other, metric), 0.0) - factor / len(others)
        common = sorted(set.intersection(*(set(self.seeds[cell]) for cell in weights)))
        if not common:
            raise FedkitError(f"{row} and {', '.join(others)} have no seed in common in {metric}; run the same seeds")
        values = sum(w * np.array([self.seeds[cell][s] for s in common]) for cell, w in weights.items())
        if self.exact:
            return Estimate(float(values.mean()), printed=True)
        if len(common) < MIN_SEEDS:
            return Estimate(float(values.mean()), np.nan)
        if all(cell in self.items and set(common) <= set(self.items[cell]) for cell in weights):
            parts = [w * np.stack([self.items[cell][s] for s in common]) for cell, w in weights.items()]
            if len({part.shape for part in parts}) == 1 and parts[0].shape[1] > 1:
                return Estimate(*crossed(sum(parts)))
        return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(common))), len(common) - 1)

    def ranked(self, rows: Sequence[str], metrics: Sequence[str]) -> Scores:
        """Mean ranks over metrics (1 is best, also where tied) as the metric "rank": negative, so more is better."""
        from scipy.stats import rankdata

        common = sorted(set.intersection(*(set(self.seeds[r, m]) for r in rows for m in metrics)))
        ranks: dict[Cell, dict[int, float]] = {(row, "rank"): {} for row in rows}
        for seed in common:
            table = np.array([[self.seeds[row, metric][seed] for metric in metrics] for row in rows])
            for row, rank in zip(rows, rankdata(-table, method="min", axis=0).mean(axis=1), strict=True):
                ranks[row, "rank"][seed] = -float(rank)
        return replace(self, seeds=ranks, items={})


def read_scores(by_seed: pd.DataFrame, by_item: pd.DataFrame | None = None) -> Scores:
    """`ResultsTable.by_seed()` and `.by_item()` as `Scores`."""
    seeds: dict[Cell, dict[int, float]] = {}
    for cell in by_seed.itertuples():
        seeds.setdefault((str(cell.row), str(cell.metric)), {})[int(cell.seed)] = float(cell.value)
    items: dict[Cell, dict[int, np.ndarray]] = {}
    for (row, metric, seed), lines in by_item.groupby(["row", "metric", "seed"]) if by_item is not None else ():
        items.setdefault((str(row), str(metric)), {})[int(seed)] = lines["value"].to_numpy(dtype=np.float64)
    return Scores(seeds, items)


def printed_scores(table: PaperTable) -> Scores:
    """A paper's own table as `Scores`: single numbers without any spread."""
    return Scores({(row, m): {0: value} for row, cells in table.rows.items() for m, value in cells.items()}, exact=True)
