"""Wilson's interval by its own equation and at known points."""

from __future__ import annotations

import pytest
from scipy import stats
from scipy.optimize import brentq

from fedkit.common.intervals import wilson


@pytest.mark.parametrize(("hits", "total"), [(0, 5), (3, 5), (5, 5), (40, 60)])
def test_wilson_solves_its_equation(hits, total):
    """The ends are where the score test's statistic is z: |share - p| = z sqrt(p (1 - p) / total)."""
    low, high = wilson(hits, total)
    z, share = stats.norm.ppf(0.975), hits / total
    score = lambda p: (share - p) ** 2 - z**2 * p * (1 - p) / total  # noqa: E731
    expected_low = 0.0 if hits == 0 else brentq(score, 1e-12, share - 1e-9)
    expected_high = 1.0 if hits == total else brentq(score, share + 1e-9, 1 - 1e-12)
    assert low == pytest.approx(expected_low, abs=1e-6) and high == pytest.approx(expected_high, abs=1e-6)


def test_wilson_is_statsmodels_formula_at_known_points():
    """Wilson 1927 for 95 %: 8 of 10 gives 0.490 to 0.943; none of 10 gives 0 to z^2 / (n + z^2)."""
    assert wilson(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    z2 = 1.959963984540054**2
    assert wilson(0, 10) == (0.0, pytest.approx(z2 / (10 + z2)))
    assert wilson(10, 10) == (pytest.approx(10 / (10 + z2)), 1.0)
