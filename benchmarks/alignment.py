"""Whether federated DPO learns what HH-RLHF prefers: `python benchmarks/alignment.py`, after the real pairs were run.

Reads the values by seed that notebook 38 writes (`python reproduce.py --only 38 --data-dir DIR`): the share of held-out
pairs that the tuned policy's reward ranks as the annotator did. Two intervals, since two things were drawn: Wilson's
over the pairs, for each seed, and Student's t over the seeds, which all share the same held-out pairs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _common import ROOT, Report, Target, conclude, parser

from fedkit.claims import MIN_SEEDS
from fedkit.errors import FedkitError
from fedkit.intervals import interval, wilson
from fedkit.report import SEED_COLUMNS, read_csv

TABLE = "38_hh_rlhf"
CHANCE = 0.5


def by_seed(path: Path) -> pd.DataFrame:
    """accuracy, margin, pairs and skipped of each seed, with `source`; `FedkitError` where the file is not there."""
    if not path.is_file():
        raise FedkitError(f"{path} is not there; run `python reproduce.py --only 38 --data-dir DIR` first")
    frame = read_csv(path, SEED_COLUMNS)
    wide = frame.pivot(index="seed", columns="metric", values="value")
    return wide.assign(source=str(frame["unit"].iloc[0]).rsplit("; ", 1)[-1])


def measure(options: Any) -> Report:
    """Every seed, then the mean; with fewer than three seeds the second target stays open."""
    scores = by_seed(Path(options.results) / "tables" / f"{TABLE}_seeds.csv")
    right = np.rint(scores["accuracy"] * scores["pairs"]).astype(int).to_numpy()
    ends = [wilson(hits, total) for hits, total in zip(right, scores["pairs"], strict=True)]
    rows = [
        {
            "seed": str(seed),
            "accuracy": f"{line.accuracy:.3f}",
            "95 % interval": f"[{low:.3f}, {high:.3f}]",
            "margin, nats": f"{line.margin:.3f}",
            "held-out pairs": f"{line.pairs:.0f}",
            "skipped": f"{line.skipped:.0f}",
        }
        for (seed, line), (low, high) in zip(scores.iterrows(), ends, strict=True)
    ]
    mean, low, high = interval(scores["accuracy"].to_numpy())
    over = "none with one seed" if low is None else f"[{low:.3f}, {high:.3f}]"
    rows.append({"seed": "mean over seeds", "accuracy": f"{mean:.3f}", "95 % interval": over})
    enough = len(scores) >= MIN_SEEDS and low is not None
    targets = [
        Target("least lower bound of a seed, over pairs", round(min(low for low, _ in ends), 4), "at least", CHANCE),
        Target("lower bound over seeds", round(low, 4) if enough else None, "at least", CHANCE),
    ]
    notes = [f"Pairs: {scores['source'].iloc[0]}. Chance is {CHANCE}; a tie counts as wrong."]
    data = scores.reset_index().to_dict(orient="list") | {"intervals": ends}
    return Report(rows, {"profile": Path(options.results).name, "seeds": len(scores)}, targets, notes, data)


def main() -> int:
    """At once; the training was notebook 38's."""
    options = parser(__doc__)
    options.add_argument("--results", default=str(ROOT / "results" / "mini"), help="folder of a finished run")
    given = options.parse_args()
    return conclude("alignment", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
