"""The noise of FedLLM-Bench, as its appendix D.3 publishes it; no guarantee follows from it (notebook 39)."""

from __future__ import annotations

import math

from ..common.errors import FedkitError


def sensitivity(*, lr: float, clip: float, records: int, clients: int) -> float:
    """delta_l = 2 eta C / (|D| / n): the sensitivity that the paper uses, that of one record in one step.

    `lr`: learning rate eta; `clip`: largest gradient norm C; `records`: |D| of all clients; `clients`: n.
    """
    _positive(lr=lr, clip=clip, records=records, clients=clients)
    return 2 * lr * clip / (records / clients)


def paper_sigma(
    epsilon: float,
    delta: float,
    *,
    sampled: float,
    rounds: int,
    lr: float,
    clip: float,
    records: int,
    clients: int,
) -> float:
    """sigma = delta_l sqrt(2 q N ln(1 / delta)) / epsilon (FedLLM-Bench, D.3, after Wei et al. 2020).

    The deviation of the noise on each coordinate of each upload. `sampled`: q, the share of clients in a round;
    `rounds`: N. `FedkitError` for values outside their ranges.
    """
    _positive(epsilon=epsilon, rounds=rounds, sampled=sampled)
    if not 0 < delta < 1 or not sampled <= 1:
        raise FedkitError(
            f"delta is {delta} and the share of clients {sampled}; delta lies in (0, 1), the share in (0, 1]"
        )
    spread = math.sqrt(2 * sampled * rounds * math.log(1 / delta))
    return sensitivity(lr=lr, clip=clip, records=records, clients=clients) * spread / epsilon


def claimed_epsilon(
    sigma: float,
    delta: float,
    *,
    sampled: float,
    rounds: int,
    lr: float,
    clip: float,
    records: int,
    clients: int,
) -> float:
    """The epsilon that the paper's formula states for a fixed sigma (its Table 8): `paper_sigma` turned round."""
    _positive(sigma=sigma)
    rest = dict(sampled=sampled, rounds=rounds, lr=lr, clip=clip, records=records, clients=clients)
    return paper_sigma(1.0, delta, **rest) / sigma  # type: ignore[arg-type]


def _positive(**values: float) -> None:
    for name, value in values.items():
        if isinstance(value, bool) or not 0 < value < math.inf:
            raise FedkitError(f"{name} is {value!r}; it must be a finite number above 0")
