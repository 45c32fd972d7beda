"""The two intervals of every table: Student's t for a mean over seeds, Wilson's for a share of items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .errors import FedkitError


def interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float | None, float | None]:
    """Mean and Student's t interval of independent values (one a seed): (mean, low, high).

    mean -+ t((1 + confidence) / 2, n - 1) s / sqrt(n), with s the sample deviation. One value has no interval:
    (value, None, None).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise FedkitError(f"an interval needs a list of finite numbers, one a seed; got {values!r}")
    mean = float(array.mean())
    if array.size == 1:
        return mean, None, None
    from scipy import stats

    half = float(stats.t.ppf((1 + confidence) / 2, array.size - 1) * array.std(ddof=1) / np.sqrt(array.size))
    return mean, mean - half, mean + half


def wilson(hits: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share, by scipy: all p with |hits / total - p| <= z sqrt(p (1 - p) / total).

    It stays within 0 and 1 also near its ends.
    """
    from scipy.stats import binomtest

    ends = binomtest(int(hits), int(total)).proportion_ci(confidence, method="wilson")
    return float(ends.low), float(ends.high)
