"""How many records each user of the embedded world writes."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np


def tailed(total: int, floor: int, count: int, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Sizes of `count` users that sum to `total`, (count,): a floor for each, and a log-normal tail over it.

    The tail's shares are jittered quantiles, so every seed has the same spread and another person at its end.
    """
    points = (np.arange(count) + rng.uniform(0.25, 0.75, size=count)) / count
    tail = np.exp(sigma * np.array([NormalDist().inv_cdf(p) for p in points]))
    rng.shuffle(tail)
    return floor + split(total - floor * count, tail)


def split(total: int, shares: np.ndarray) -> np.ndarray:
    """Whole numbers in proportion to `shares` that sum to `total` (largest remainders)."""
    exact = shares / shares.sum() * total
    whole = np.floor(exact).astype(int)
    short = total - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:short]] += 1
    return whole
