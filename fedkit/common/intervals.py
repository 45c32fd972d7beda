"""The intervals of every table: Student's t over seeds, Wilson's for a share of items, a crossed one over both."""

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
    half = float(quantile((1 + confidence) / 2, array.size - 1) * array.std(ddof=1) / np.sqrt(array.size))
    return mean, mean - half, mean + half


def wilson(hits: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share, by scipy: all p with |hits / total - p| <= z sqrt(p (1 - p) / total).

    It stays within 0 and 1 also near its ends.
    """
    from scipy.stats import binomtest

    ends = binomtest(int(hits), int(total)).proportion_ci(confidence, method="wilson")
    return float(ends.low), float(ends.high)


def quantile(probability: float, freedom: float) -> float:
    """Student's t quantile; the normal's for infinite degrees of freedom."""
    from scipy import stats

    return float(stats.t.ppf(probability, freedom))


def crossed(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of (seeds, questions), its standard error and degrees of freedom, where both are drawn from many.

    The two-way layout with random rows and columns and one value a cell: with the mean squares of seeds, questions
    and rest, Var(mean) = (MS_seeds + MS_questions - MS_rest) / (seeds * questions), Satterthwaite's degrees of freedom
    (Biometrics Bulletin 2, 1946). The sum is never taken below either mean square, which keeps the coverage where one
    of the two variances is small (bench/claims.py measures it; resampling both ways covers far less with few seeds).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or min(array.shape) < 2 or not np.isfinite(array).all():
        raise FedkitError(f"an interval over seeds and questions needs at least two of each; got shape {array.shape}")
    n, m = array.shape
    mean, seeds, questions = array.mean(), array.mean(axis=1), array.mean(axis=0)
    by_seed = m * ((seeds - mean) ** 2).sum() / (n - 1)
    by_question = n * ((questions - mean) ** 2).sum() / (m - 1)
    rest = ((array - seeds[:, None] - questions + mean) ** 2).sum() / ((n - 1) * (m - 1))
    total = max(by_seed + by_question - rest, by_seed, by_question)
    if total == 0:
        return float(mean), 0.0, np.inf
    parts = by_seed**2 / (n - 1) + by_question**2 / (m - 1) + rest**2 / ((n - 1) * (m - 1))
    return float(mean), float(np.sqrt(total / (n * m))), float(max(total**2 / parts, 1.0))
