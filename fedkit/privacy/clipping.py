"""Bounding what one client can change: clipping of its whole update, and a bound that adapts to the updates."""

from __future__ import annotations

import math

from ..algorithms.aggregators import State, norm
from ..common.errors import FedkitError


def clipped(update: State, bound: float) -> tuple[State, float]:
    """The update scaled to an L2 norm of at most `bound`, over all tensors together, and its norm before.

    update * min(1, bound / norm) (McMahan et al. 2018, "Learning differentially private recurrent language models",
    algorithm 1, flat clipping). `FedkitError` for a bound that is not above 0.
    """
    if not 0 < bound < math.inf:
        raise FedkitError(f"the clipping bound is {bound}; it must be a finite number above 0")
    size = norm(update)
    scale = min(1.0, bound / size) if size > 0 else 1.0
    if scale == 1.0:
        return update, size
    return {name: t * scale for name, t in update.items()}, size


def adapted_bound(bound: float, below: float, *, quantile: float, rate: float) -> float:
    """The next bound: S exp(-rate (b - quantile)) (Andrew et al. 2021, "Differentially private learning with adaptive
    clipping", section 2.1, geometric update).

    `below`: the (noised) share of clients whose norm was at most S. The bound follows that quantile of the norms.
    """
    return bound * math.exp(-rate * (below - quantile))
