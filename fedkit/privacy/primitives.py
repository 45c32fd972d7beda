"""What mechanisms are made of: draws of clients, a bound on what one client can change, and Gaussian noise."""

from __future__ import annotations

import math

import torch

from ..algorithms.aggregators import State, norm, zeros_like
from ..common.errors import FedkitError
from ..common.seeds import derive, generator


def sample_clients(n_clients: int, k: int, seed: int, round: int) -> list[int]:
    """The `k` of `n_clients` that train in a round, in ascending order, without replacement."""
    return sorted(generator(seed, "clients", round=round).choice(n_clients, k, replace=False).tolist())


def poisson_sample(n_clients: int, rate: float, seed: int, round: int) -> list[int]:
    """Each client with probability `rate`, apart from all others: positions in ascending order, perhaps none."""
    coins = generator(seed, "clients/poisson", round=round).random(n_clients)
    return [i for i, coin in enumerate(coins) if coin < rate]


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


def gaussian(state: State, deviation: float, seed: int, purpose: str, *, round: int = 0, client: str = "") -> State:
    """Gaussian noise of that deviation on every entry, in the shape of `state`; zeros for a deviation of 0."""
    if not deviation:
        return zeros_like(state)
    draw = torch.Generator().manual_seed(derive(seed, purpose, round=round, client=client))
    drawn = {name: torch.randn(state[name].shape, generator=draw) for name in sorted(state)}  # whatever the order
    return {name: deviation * drawn[name].to(t.dtype) for name, t in state.items()}
