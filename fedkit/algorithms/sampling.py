"""Who takes part in a round: a fixed number of clients, or each by a coin of its own."""

from __future__ import annotations

from ..common.seeds import generator


def sample_clients(n_clients: int, k: int, seed: int, round: int) -> list[int]:
    """The `k` of `n_clients` that train in a round, in ascending order, without replacement."""
    return sorted(generator(seed, "clients", round=round).choice(n_clients, k, replace=False).tolist())


def poisson_sample(n_clients: int, rate: float, seed: int, round: int) -> list[int]:
    """Each client with probability `rate`, apart from all others: positions in ascending order, perhaps none."""
    coins = generator(seed, "clients/poisson", round=round).random(n_clients)
    return [i for i, coin in enumerate(coins) if coin < rate]
