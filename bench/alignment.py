"""Whether federated DPO learns what HH-RLHF prefers: `python bench/alignment.py`, after the real pairs were run.

Reads the values by seed that notebook 38 writes (`python reproduce.py --only 38 --data-dir DIR`): the share of held-out
pairs that the tuned policy's reward ranks as the annotator did. Two intervals, since two things were drawn: Wilson's
over the pairs, for each seed, and Student's t over the seeds, which all share the same held-out pairs. Beside them two
rules that read no word: take the shorter answer, or the longer one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
from _common import ROOT, Report, Target, conclude, parser

from fedkit.common.errors import FedkitError
from fedkit.common.intervals import interval
from fedkit.report.evidence import MIN_SEEDS
from fedkit.report.tables import SEED_COLUMNS, read_csv

TABLE = "38_hh_rlhf"
CHANCE = 0.5
METRICS = ("accuracy", "low", "high", "margin", "pairs", "skipped", "shorter", "longer")


def by_seed(path: Path) -> pd.DataFrame:
    """`METRICS` of each seed, with `source`; `FedkitError` where the file is not there or has not all of them."""
    again = "run `python reproduce.py --only 38 --data-dir DIR` first"
    if not path.is_file():
        raise FedkitError(f"{path} is not there; {again}")
    frame = read_csv(path, SEED_COLUMNS)
    wide = frame.pivot(index="seed", columns="metric", values="value")
    missing = [metric for metric in METRICS if metric not in wide or wide[metric].isna().any()]
    if missing:
        raise FedkitError(f"{path}: metric {missing[0]} is missing; {again}")
    return wide.assign(source=str(frame["unit"].iloc[0]).rsplit("; ", 1)[-1])


def measure(options: Any) -> Report:
    """Every seed, the mean and the length rules; with fewer than three seeds the second target stays open."""
    scores = by_seed(Path(options.results) / "tables" / f"{TABLE}_seeds.csv")
    rows = [
        {
            "ranked by": f"FedAvg, seed {seed}",
            "accuracy": f"{line.accuracy:.3f}",
            "95 % interval": f"[{line.low:.3f}, {line.high:.3f}]",
            "margin, nats": f"{line.margin:.3f}",
            "held-out pairs": f"{line.pairs:.0f}",
            "skipped": f"{line.skipped:.0f}",
        }
        for seed, line in scores.iterrows()
    ]
    mean, low, high = interval(scores["accuracy"].to_numpy())
    over = "none with one seed" if low is None else f"[{low:.3f}, {high:.3f}]"
    rows.append({"ranked by": "FedAvg, mean over seeds", "accuracy": f"{mean:.3f}", "95 % interval": over})
    for rule in ("shorter", "longer"):
        rows.append({"ranked by": f"the {rule} answer", "accuracy": f"{scores[rule].mean():.3f}"})
    enough = len(scores) >= MIN_SEEDS and low is not None
    targets = [
        Target("least lower bound of a seed, over pairs", round(float(scores["low"].min()), 4), "at least", CHANCE),
        Target("lower bound over seeds", round(low, 4) if enough else None, "at least", CHANCE),
    ]
    best = max(scores["shorter"].mean(), scores["longer"].mean())
    above = int((scores["low"] > best).sum())
    notes = [
        f"Scored: {scores['source'].iloc[0]}, those that max_length holds. Chance is {CHANCE}; a tie is half a pair.",
        f"The interval of {above} of {len(scores)} seeds lies above the better length rule ({best:.3f}).",
    ]
    data = scores.reset_index().to_dict(orient="list")
    return Report(rows, {"profile": Path(options.results).name, "seeds": len(scores)}, targets, notes, data)


def main() -> int:
    """At once; the training was notebook 38's."""
    options = parser(__doc__)
    options.add_argument("--results", default=str(ROOT / "results" / "mini"), help="folder of a finished run")
    given = options.parse_args()
    return conclude("alignment", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
