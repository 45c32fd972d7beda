"""Whether federated tuning pays in mini: `python bench/learning.py`, after `make reproduce`.

Reads notebook 41's values by seed. For each seed the Ref average of FedAvg less the base model's (which no seed
changes), less the mean of the eight local runs', and less each local run's in its client's own language; over the seeds
mean and 95 % Student t interval. Then whether the score can be believed: the echo's and the nearest record's averages,
and the rank correlation of score and right facts over all models.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
from _common import ROOT, Report, Target, conclude, parser

from fedkit.common.errors import FedkitError
from fedkit.common.intervals import interval
from fedkit.evaluation.specs import AVERAGE, RIGHT
from fedkit.evaluation.yardsticks import YARDSTICKS
from fedkit.report.paper import label
from fedkit.report.tables import SEED_COLUMNS, read_csv
from fedkit.report.trials import gains_over_local

TABLE = "41_table2_fed_aya"
TARGETS = {"base": 1.5, "local": 0.7, "own": 0.5}  # least gain of FedAvg over each, in points of the 1-10 scale
RANKED = 0.9  # least rank correlation of score and right facts
UNTAUGHT = {"echo": 1.5, "constant": 1.5}  # most that may be had without a model
MIN_SEEDS = 3


def averages(path: Path) -> pd.DataFrame:
    """The Ref average of every row by seed: index seed, a column a row; `FedkitError` where the file is not there."""
    frame = values(path)
    return frame[frame["metric"] == AVERAGE].pivot(index="seed", columns="row", values="value")


def values(path: Path) -> pd.DataFrame:
    """The table's values by seed; `FedkitError` where the file is not there."""
    if not path.is_file():
        raise FedkitError(f"{path} is not there; run `make reproduce` (or `python reproduce.py --only 41`) first")
    return read_csv(path, SEED_COLUMNS)


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


def believed(frame: pd.DataFrame) -> tuple[float | None, int]:
    """Spearman's correlation of Ref average and right facts over all models, by row and seed; and how many these are.

    None where nobody knows the facts: the questions are not the embedded world's.
    """
    wide = frame.pivot(index=["row", "seed"], columns="metric", values="value")
    if RIGHT not in wide:
        return None, 0
    models = wide[~wide.index.get_level_values("row").isin(YARDSTICKS)].dropna(subset=[RIGHT, AVERAGE])
    return float(models[AVERAGE].corr(models[RIGHT], method="spearman")), len(models)


def measure(options: Any) -> Report:
    """Both differences against their targets; fewer than three seeds leave them open."""
    path = Path(options.results) / "tables" / f"{TABLE}_seeds.csv"
    scores = averages(path)
    rows, targets, data = [], [], {}
    names = {
        "base": "FedAvg less the base model",
        "local": "FedAvg less the mean of the local runs",
        "own": "FedAvg less the local runs, each in its client's own language",
    }
    own = gains_over_local(values(path)).groupby("seed")["own"].mean()
    for which, difference in {**gains(scores), "own": own}.items():
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
    rank, models = believed(values(path))
    targets.append(
        Target(
            f"rank correlation with right facts, {models} models",
            None if rank is None else round(rank, 3),
            "at least",
            RANKED,
        )
    )
    data["rank"] = {"spearman": rank, "models": models}
    for name in YARDSTICKS:
        if name in scores:
            score = float(scores[name].dropna().mean())
            rows.append({"Ref average, 1-10": name, "mean": f"{score:.3f}", "95 % interval": "", "by seed": ""})
            data[name] = score
    for name, most in UNTAUGHT.items():
        targets.append(
            Target(f"Ref average of {name}", round(data[name], 3) if name in data else None, "at most", most)
        )
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
