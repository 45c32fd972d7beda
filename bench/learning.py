"""Whether federated tuning pays in mini: `python bench/learning.py`, after `make reproduce`.

Reads notebook 41's values by seed. For each seed the Ref average of FedAvg less the base model's (which no seed
changes), and less the mean of the eight local runs'; over the seeds mean and 95 % Student t interval.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
from _common import ROOT, Report, Target, conclude, parser

from fedkit.common.errors import FedkitError
from fedkit.common.intervals import interval
from fedkit.evaluation.specs import AVERAGE
from fedkit.report.paper import label
from fedkit.report.tables import SEED_COLUMNS, read_csv

TABLE = "41_table2_fed_aya"
TARGETS = {"base": 1.5, "local": 0.7}  # issue: gain of FedAvg's average over each, in points of the 1-10 scale
MIN_SEEDS = 3


def averages(path: Path) -> pd.DataFrame:
    """The Ref average of every row by seed: index seed, a column a row; `FedkitError` where the file is not there."""
    if not path.is_file():
        raise FedkitError(f"{path} is not there; run `make reproduce` (or `python reproduce.py --only 41`) first")
    frame = read_csv(path, SEED_COLUMNS)
    frame = frame[frame["metric"] == AVERAGE]
    return frame.pivot(index="seed", columns="row", values="value")


def gains(scores: pd.DataFrame, method: str = "fedavg") -> dict[str, pd.Series]:
    """What FedAvg's average gains by seed over `base` and over the mean of the local runs (`local`)."""
    locals_ = [row for row in scores.columns if row.startswith(label("local"))]
    for row in (label(method), label("base")):
        if row not in scores.columns:
            raise FedkitError(f"the table has no average for row {row!r}; run `python reproduce.py --only 41` again")
    if not locals_:
        raise FedkitError("the table has no row of local training; run `python reproduce.py --only 41` again")
    ours = scores[label(method)].dropna()
    base = scores[label("base")].dropna()
    alone = scores.loc[ours.index, locals_]
    if alone.isna().any(axis=None):
        raise FedkitError("a local run lacks a seed that FedAvg has; run `python reproduce.py --only 41` again")
    return {"base": ours - float(base.mean()), "local": ours - alone.mean(axis=1)}


def measure(options: Any) -> Report:
    """Both differences against their targets; fewer than three seeds leave them open."""
    path = Path(options.results) / "tables" / f"{TABLE}_seeds.csv"
    scores = averages(path)
    rows, targets, data = [], [], {}
    names = {"base": "FedAvg less the base model", "local": "FedAvg less the mean of the local runs"}
    for which, difference in gains(scores).items():
        mean, low, high = interval(difference.to_numpy())
        rows.append(
            {
                "Ref average, 1-10": names[which],
                "mean": f"{mean:+.3f}",
                "95 % interval": "none with one seed" if low is None else f"[{low:+.3f}, {high:+.3f}]",
                "by seed": ", ".join(f"{int(seed)}: {value:+.3f}" for seed, value in difference.items()),
            }
        )
        enough = len(difference) >= MIN_SEEDS
        targets.append(Target(names[which], round(mean, 4) if enough else None, "at least", TARGETS[which], "points"))
        data[which] = {"mean": mean, "low": low, "high": high}
        data[which]["by_seed"] = {str(seed): float(value) for seed, value in difference.items()}
    seeds = [str(seed) for seed in gains(scores)["base"].index]
    notes = [f"Open: {len(seeds)} of the {MIN_SEEDS} seeds that the target asks for."] if len(seeds) < MIN_SEEDS else []
    return Report(rows, {"profile": Path(options.results).name, "seeds": seeds}, targets, notes, data)


def main() -> int:
    """At once; the training was `make reproduce`'s."""
    options = parser(__doc__)
    options.add_argument("--results", default=str(ROOT / "results" / "mini"), help="folder of a finished run")
    given = options.parse_args()
    return conclude("learning", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
