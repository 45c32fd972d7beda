"""What mechanisms are made of: draws of clients, a bound on what one client can change, and Gaussian noise."""

from __future__ import annotations

import math

import numpy as np
import torch

from ..algorithms.aggregators import State, norm, zeros_like
from ..common.errors import FedkitError
from ..common.seeds import generator
from .keys import Key


def sample_clients(n_clients: int, k: int, seed: int, round: int) -> list[int]:
    """The `k` of `n_clients` that train in a round, in ascending order, without replacement: a draw in public."""
    return sorted(generator(seed, "clients", round=round).choice(n_clients, k, replace=False).tolist())


def fixed_sample(n_clients: int, k: int, key: Key, round: int) -> list[int]:
    """As `sample_clients`, in secret: those of the `k` smallest of `n_clients` words of 64 bits."""
    words = key.words(n_clients, "clients/fixed", round=round)
    return sorted(np.argpartition(words, k - 1)[:k].tolist())


def poisson_sample(n_clients: int, rate: float, key: Key, round: int) -> list[int]:
    """Each client with probability `rate`, apart from all others: positions in ascending order, perhaps none.

    A coin is one of 2^53 steps in [0, 1); the client takes part where it is below the rate.
    """
    coins = (key.words(n_clients, "clients/poisson", round=round) >> np.uint64(11)) * 2.0**-53
    return np.flatnonzero(coins < rate).tolist()


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


def gaussian(state: State, deviation: float, key: Key, purpose: str, *, round: int = 0, client: str = "") -> State:
    """Gaussian noise of that deviation on every entry, in the shape of `state`; zeros for a deviation of 0.

    Each entry is the normal quantile of one of 2^52 evenly spaced values in (0, 1), so at most 8.21 deviations, and
    each tensor has a stream of its own.

    What is added is a floating-point number, not a real one, and which numbers can come out of a sum depends on its
    summands: who sees all digits of one noised value can tell more than the theorem for real numbers allows (Mironov
    2012, "On significance of the least significant bits for differential privacy"). It is not closed here, as in the
    other libraries of federated learning; a release against such an adversary rounds to a grid and adds discrete noise
    (Canonne, Kamath and Steinke 2020).
    """
    if not deviation:
        return zeros_like(state)
    place = {"round": round, "client": client}
    drawn = {name: _normal(key.words(t.numel(), purpose, tensor=name, **place)) for name, t in state.items()}
    return {name: (deviation * drawn[name]).reshape(t.shape).to(t.dtype) for name, t in state.items()}


def _normal(words: np.ndarray) -> torch.Tensor:
    """Standard normal values (float64) of uniform words."""
    uniform = (words >> np.uint64(12)).astype(np.float64)
    uniform += 0.5  # the middle of each of 2^52 parts: neither 0 nor 1, whose quantiles are infinite
    uniform *= 2.0**-52
    return torch.special.ndtri(torch.from_numpy(uniform))
