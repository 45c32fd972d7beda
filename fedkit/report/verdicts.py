"""Whether a paper's claim holds here: holds, fails, or undecided, with the evidence in a sentence.

The rule is the same for all. "Better" means that the 95 % Student t interval of the difference, paired by seed, lies
above zero; at least three common seeds are asked for, and with fewer a claim stays undecided. Where a claim needs the
best of many comparisons, half of the seeds pick the pair and the others measure it, so that picking does not pass for
evidence. Without values by seed, only intervals that do not meet count as a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from ..common.errors import FedkitError, unknown
from ..common.files import write_text
from ..common.intervals import interval
from ..evaluation.specs import AVERAGE
from .paper import Claim, label
from .tables import read_csv

if TYPE_CHECKING:
    import pandas as pd

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
MIN_SEEDS = 3
COLUMNS = ("id", "paper", "place", "claim", "verdict", "evidence", "profile", "table")  # of claims.csv


@dataclass(frozen=True)
class Verdict:
    """What a claim came to: `outcome` (holds, fails, undecided), a sentence of evidence, the name of our table."""

    claim: Claim
    outcome: str
    evidence: str
    table: str


@dataclass(frozen=True)
class Scores:
    """One table as claims see it: `cells[row, metric]` is (value, low, high), `seeds[row, metric]` seed -> value."""

    cells: Mapping[tuple[str, str], tuple[float, float | None, float | None]]
    seeds: Mapping[tuple[str, str], Mapping[int, float]]

    @property
    def rows(self) -> list[str]:
        """All rows, in the table's order."""
        return list(dict.fromkeys(row for row, _ in self.cells))

    @property
    def local(self) -> list[str]:
        """The rows of local training, one client each."""
        return [r for r in self.rows if r.startswith(label("local"))]

    @property
    def federated(self) -> list[str]:
        """The rows of federated methods: all that are neither local nor the untrained base."""
        return [r for r in self.rows if not r.startswith((label("local"), label("base")))]

    @property
    def metrics(self) -> list[str]:
        """All metrics but the average."""
        return [m for m in dict.fromkeys(metric for _, metric in self.cells) if m != AVERAGE]

    def common(self, rows: Iterable[str], metrics: Iterable[str]) -> list[int]:
        """Seeds that every one of these cells has."""
        metrics = list(metrics)
        each = [set(self.seeds.get((row, metric), ())) for row in rows for metric in metrics]
        return sorted(set.intersection(*each)) if each else []

    def gap(self, rows: Iterable[str], metrics: Iterable[str]) -> str | None:
        """A sentence on the first cell that is missing among these, or None."""
        metrics = list(metrics)
        absent = ((r, m) for r in rows for m in metrics if self.cells.get((r, m), (None,))[0] is None)
        cell = next(absent, None)
        return cell and f"The table has no value for {cell[0]} in {cell[1]}, so the rows cannot be compared."

    def by_seed(self, row: str, metric: str, seeds: Sequence[int]) -> np.ndarray:
        """The values of a cell at these seeds: (seeds,)."""
        cell = self.seeds[row, metric]
        return np.array([cell[s] for s in seeds])


def read_scores(frame: pd.DataFrame, seeds: pd.DataFrame | None = None) -> Scores:
    """A tidy table, and its values by seed where there are any, as `Scores`."""
    cells = {}
    for cell in frame.itertuples():
        known = [None if v != v else float(v) for v in (cell.value, cell.low, cell.high)]
        cells[str(cell.row), str(cell.metric)] = (known[0], known[1], known[2])
    values: dict[tuple[str, str], dict[int, float]] = {}
    for cell in seeds.itertuples() if seeds is not None else ():
        values.setdefault((str(cell.row), str(cell.metric)), {})[int(cell.seed)] = float(cell.value)
    return Scores(cells, values)  # type: ignore[arg-type]


def verdict(claim: Claim, frame: pd.DataFrame, seeds: pd.DataFrame | None = None) -> Verdict:
    """The verdict on a claim by our tidy table (`ResultsTable.frame()`), best with its values by seed (`.by_seed()`).

    `FedkitError` for a claim without a check, or a table without values.
    """
    if claim.id not in CHECKS:
        raise unknown("claim", claim.id, CHECKS)
    if frame.empty:
        raise FedkitError(f"claim {claim.id}: its table has no values; run the notebook that fills it first")
    outcome, evidence = CHECKS[claim.id](read_scores(frame, seeds))
    return Verdict(claim, outcome, evidence, str(frame["table"].iloc[0]))


def write_verdicts(results: str | Path, verdicts: Sequence[Verdict], *, profile: str) -> Path:
    """Put verdicts into `<results>/claims.csv`, a line a claim by id, in place of that claim's line of before.

    Read, changed and put in place under a lock, so that notebooks that run at once lose nothing of each other's.
    """
    import pandas as pd
    from filelock import FileLock

    path = Path(results) / "claims.csv"
    lines = [
        (v.claim.id, v.claim.paper, v.claim.place, v.claim.text, v.outcome, v.evidence, profile, v.table)
        for v in verdicts
    ]
    new = pd.DataFrame(lines, columns=list(COLUMNS))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(".claims.lock")).acquire()
    except OSError as error:
        raise FedkitError(f"cannot write {path} ({error.strerror}); choose another results folder") from error
    with lock:
        if path.exists():
            old = read_csv(path, COLUMNS)
            new = pd.concat([old[~old["id"].isin(new["id"])], new])
        write_text(path, new.sort_values("id", kind="stable").to_csv(index=False))
    return path


def sign(low: float | None, high: float | None) -> int:
    """1 where an interval lies above zero, -1 below, 0 where it holds zero or is none."""
    if low is None or high is None:
        return 0
    return int(low > 0) - int(high < 0)


def paired(differences: np.ndarray) -> tuple[float, float | None, float | None]:
    """Mean and interval of differences by seed; no interval below `MIN_SEEDS` seeds."""
    mean, low, high = interval(differences)
    return (mean, low, high) if len(differences) >= MIN_SEEDS else (mean, None, None)


def largest(differences: np.ndarray) -> tuple[float, float | None, float | None]:
    """Whether the largest of k true differences is above zero, from (k, seeds): an interval free of the picking.

    The first half of the seeds picks the pair with the largest mean, the other seeds alone measure it. If no true
    difference is above zero, the interval lies above zero in at most 2.5 % of cases, however many pairs there are.
    """
    half = differences.shape[1] // 2
    if differences.shape[1] < MIN_SEEDS or not len(differences):
        return float("nan"), None, None
    return interval(differences[differences[:, :half].mean(1).argmax(), half:])


def most_beat_local(scores: Scores) -> tuple[str, str]:
    """Holds: more than half of the federated methods are better than the mean of the local runs, on the average.

    Fails: at least half are worse. A method whose difference's interval holds zero counts on neither side.
    """
    methods, local = scores.federated, scores.local
    if not methods or not local:
        return UNDECIDED, "The table has no federated method or no local run with an average, so nothing is compared."
    if gap := scores.gap((*methods, *local), (AVERAGE,)):
        return UNDECIDED, gap
    common = scores.common((*methods, *local), (AVERAGE,))
    gains: dict[str, tuple[float, float | None, float | None]] = {}
    if common:
        baseline = np.mean([scores.by_seed(r, AVERAGE, common) for r in local], axis=0)
        gains = {m: paired(scores.by_seed(m, AVERAGE, common) - baseline) for m in methods}
        how = f"paired over {len(common)} seed(s)"
    else:
        base = np.array([scores.cells[r, AVERAGE] for r in local], dtype=float)  # None becomes nan
        value, low, high = base.mean(0)  # the mean of intervals holds the interval of the mean
        for m in methods:
            ours = np.array(scores.cells[m, AVERAGE], dtype=float)
            apart = (float(ours[1] - high), float(ours[2] - low))
            known = np.isfinite(apart).all()
            gains[m] = (float(ours[0] - value), *(apart if known else (None, None)))
        how = "by intervals that do not meet, without values by seed"
    signs = {m: sign(low, high) for m, (_, low, high) in gains.items()}
    better, worse = sum(s > 0 for s in signs.values()), sum(s < 0 for s in signs.values())
    outcome = HOLDS if 2 * better > len(methods) else FAILS if 2 * worse >= len(methods) else UNDECIDED
    listed = "; ".join(f"{m} {_difference(*gains[m])}" for m in methods)
    few = f"; at least {MIN_SEEDS} seeds are needed" if 0 < len(common) < MIN_SEEDS else ""
    return outcome, (
        f"Against the mean of {len(local)} local run(s), {better} of {len(methods)} federated methods are better and "
        f"{worse} worse, {how}{few}: {listed}."
    )


def none_best_everywhere(scores: Scores) -> tuple[str, str]:
    """Holds: each federated method is beaten in some language by another row. Fails: one method beats all in all.

    Rivals are the other methods and the local runs, as in the paper's table. That some rival in some language is
    better is told by `largest`; to be best everywhere, every single difference must be above zero.
    """
    methods, languages = scores.federated, scores.metrics
    rivals = [*methods, *scores.local]
    if len(rivals) < 2 or not languages:
        return UNDECIDED, "The table has no two rows to compare by language."
    if gap := scores.gap(rivals, languages):
        return UNDECIDED, gap
    common = scores.common(rivals, languages)
    table = np.array([[scores.by_seed(r, m, common) for m in languages] for r in rivals])  # (rows, languages, seeds)
    means = np.array([[scores.cells[r, m][0] for m in languages] for r in rivals], dtype=float)
    wins = {r: int((means[i] >= means.max(0)).sum()) for i, r in enumerate(rivals)}
    top = max(methods, key=lambda m: wins[m])
    leads = f"{top} has the best mean in {wins[top]} of {len(languages)} languages, the most of any method"
    if len(common) < MIN_SEEDS:
        return UNDECIDED, (
            f"There are {len(common)} common seed(s) with values, and at least {MIN_SEEDS} are needed; {leads}."
        )
    beaten, swept = [], []
    for i, method in enumerate(methods):
        others = np.delete(table, i, axis=0) - table[i]  # rival minus method
        behind = others.reshape(-1, len(common))
        if sign(*largest(behind)[1:]) > 0:
            beaten.append(method)
        if all(sign(*paired(d)[1:]) < 0 for d in behind):
            swept.append(method)
    outcome = FAILS if swept else HOLDS if len(beaten) == len(methods) else UNDECIDED
    open_ = [m for m in methods if m not in beaten and m not in swept]
    parts = [f"{len(beaten)} of {len(methods)} methods are surely beaten in some language"]
    if open_:
        parts.append(f"for {', '.join(open_)} the {len(common)} seeds do not tell")
    if swept:
        parts.append(f"{swept[0]} is surely best in every language")
    return outcome, f"Over {len(common)} seeds, {'; '.join(parts)}; {leads}."


def lead(pair: tuple[str, ...]) -> Callable[[Scores], tuple[str, str]]:
    """A check that the named methods have the highest averages of all federated methods."""

    def check(scores: Scores) -> tuple[str, str]:
        others = [m for m in scores.federated if m not in pair]
        if not others or any(m not in scores.federated for m in pair):
            return UNDECIDED, f"The table lacks {' or '.join(pair)}, or any other federated method to compare with."
        if gap := scores.gap((*pair, *others), (AVERAGE,)):
            return UNDECIDED, gap
        order = sorted(scores.federated, key=lambda m: -scores.cells[m, AVERAGE][0])
        ranks = "by mean: " + ", ".join(f"{m} {scores.cells[m, AVERAGE][0]:.2f}" for m in order)
        common = scores.common((*pair, *others), (AVERAGE,))
        if len(common) < MIN_SEEDS:
            return UNDECIDED, f"There are {len(common)} common seed(s), and at least {MIN_SEEDS} are needed; {ranks}."
        value = {m: scores.by_seed(m, AVERAGE, common) for m in (*pair, *others)}
        ahead = np.array([value[p] - value[o] for p in pair for o in others])
        if all(sign(*paired(d)[1:]) > 0 for d in ahead):
            return HOLDS, f"Over {len(common)} seeds both are surely ahead of every other method; {ranks}."
        if sign(*largest(-ahead)[1:]) > 0:
            return FAILS, f"Over {len(common)} seeds another method is surely ahead of one of them; {ranks}."
        return UNDECIDED, f"Over {len(common)} seeds the differences are within their intervals; {ranks}."

    return check


def _difference(mean: float, low: float | None, high: float | None) -> str:
    return f"{mean:+.2f}" if low is None else f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"


CHECKS: Mapping[str, Callable[[Scores], tuple[str, str]]] = MappingProxyType(
    {
        "bench_t2_fl_beats_local": most_beat_local,
        "bench_t2_no_best_everywhere": none_best_everywhere,
        "bench_t2_fedavg_fedprox_lead": lead(("FedAvg", "FedProx")),
    }
)
