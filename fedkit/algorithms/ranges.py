"""Ranges of hyperparameters, checked when an algorithm is made and not after a night of training."""

from __future__ import annotations

import math

from ..common.errors import FedkitError
from .base import Algorithm


def require(
    algorithm: Algorithm,
    field: str,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> None:
    """`FedkitError` unless `algorithm.field` is finite and within the bounds that are given."""
    value = getattr(algorithm, field)
    bounds = {
        "at least": (least, lambda bound: value >= bound),
        "above": (above, lambda bound: value > bound),
        "at most": (most, lambda bound: value <= bound),
        "below": (below, lambda bound: value < bound),
    }
    given = {words: (bound, holds) for words, (bound, holds) in bounds.items() if bound is not None}
    if math.isfinite(value) and all(holds(bound) for bound, holds in given.values()):
        return
    wanted = " and ".join(["finite", *(f"{words} {bound:g}" for words, (bound, _) in given.items())])
    raise FedkitError(f"{field} of {algorithm.name} is {value}; it must be {wanted}")
