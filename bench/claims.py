"""How often the intervals that claims rest on hold the truth: `python bench/claims.py`, on data made with a known mean.

A table's difference is drawn as seed + question + rest, with standard deviations as given; its true mean is zero. The
three intervals are 95 % by their own word: Student's over the seeds' means, a percentile interval of resampling seeds
and questions both, and the crossed one that `fedkit.report.evidence` uses.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from _common import Report, Target, conclude, parser

from fedkit.common.intervals import crossed, interval
from fedkit.report.evidence import Estimate

MIXES = ((0.0, 1.0), (0.1, 1.0), (0.3, 1.0), (1.0, 0.0), (0.0, 0.0), (1.0, 1.0))  # of seeds, of questions; rest 1
SEEDS = (3, 5, 10)


def resampled(table: np.ndarray, rng: np.random.Generator, times: int) -> tuple[float, float]:
    """Percentile interval of the mean of (seeds, questions), both drawn anew with replacement."""
    seeds, questions = (rng.integers(0, n, (times, n)) for n in table.shape)
    means = [table[np.ix_(s, q)].mean() for s, q in zip(seeds, questions, strict=True)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def measure(options: Any) -> Report:
    """Coverage and median width by number of seeds and mix of variances."""
    rng = np.random.default_rng(0)
    rows, least = [], 1.0
    for seeds in SEEDS:
        for by_seed, by_question in MIXES:
            shape = (options.tables, seeds, options.questions)
            draws = by_seed * rng.normal(size=(*shape[:2], 1)) + by_question * rng.normal(size=(shape[0], 1, shape[2]))
            draws += rng.normal(size=shape)
            ends = {
                "seeds": [interval(t.mean(axis=1))[1:] for t in draws],
                "crossed": [Estimate(*crossed(t)).interval() for t in draws],
                "resampled": [resampled(t, rng, 300) for t in draws[: options.tables // 5]],
            }
            row: dict[str, Any] = {"seeds": seeds, "sd of seeds": by_seed, "sd of questions": by_question}
            for name, pairs in ends.items():
                low, high = np.array(pairs, dtype=float).T
                row[f"{name}: covers"] = f"{((low <= 0) & (high >= 0)).mean():.3f}"
                row[f"{name}: width"] = f"{np.median(high - low):.3f}"
            least = min(least, float(row["crossed: covers"]))
            rows.append(row)
    settings = {"tables": options.tables, "questions": options.questions, "sd of the rest": 1}
    return Report(rows, settings, [Target("least coverage of the crossed interval", least, "at least", 0.9)])


def main() -> int:
    """About a minute."""
    options = parser(__doc__)
    options.add_argument("--tables", type=int, default=2000)
    options.add_argument("--questions", type=int, default=160)
    given = options.parse_args()
    return conclude("claims", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
