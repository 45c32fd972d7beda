"""The noise of FedLLM-Bench, as its appendix D publishes it (after Wei et al. 2020); no guarantee follows from it.

Each client sends w_k - w_t + N(0, sigma^2 I). The noise is fitted to one record's gradient and not to a bound on the
update, so no guarantee for a user follows: `paper_sigma` gives the paper's sigma, notebook 39 says what it is worth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from ..algorithms.aggregators import State, add
from ..algorithms.base import Algorithm
from ..common.errors import FedkitError
from ..common.hyperparameters import require
from .base import Mechanism
from .keys import Key
from .primitives import gaussian


@dataclass(frozen=True)
class PublishedNoise(Mechanism):
    """Noise on every upload; `sigma` is its deviation on each coordinate (0.1 in the paper's Table 8)."""

    name: ClassVar[str] = "published"
    source: ClassVar[str] = "FedLLM-Bench (Ye et al. 2024), appendix D"
    sigma: float = 0.0

    def __post_init__(self) -> None:
        require(self, "sigma", least=0)

    def protect(self, delta: State, terms: State, *, key: Key, round: int, client: str) -> tuple[State, State]:
        """The update with its noise."""
        return add(delta, gaussian(delta, self.sigma, key, "published/noise", round=round, client=client)), {}

    def statement(
        self,
        algorithm: Algorithm,
        clients: int,
        sampled: int,
        rounds: int,
        *,
        rests_on: str = "",
        initial: str | None = None,
    ) -> dict[str, Any]:
        """The noise, and why no epsilon stands beside it."""
        return {
            "mechanism": "Gaussian noise on every upload",
            "sigma": self.sigma,
            "epsilon": None,
            "refused": "sigma is not fitted to a bound on an update, the draw is public and weights depend on data; no "
            "epsilon for a client follows",
        }


def sensitivity(*, lr: float, clip: float, records: int, clients: int) -> float:
    """delta_l = 2 eta C / (|D| / n): the sensitivity that the paper uses, that of one record in one step.

    `lr`: learning rate eta; `clip`: largest gradient norm C; `records`: |D| of all clients; `clients`: n.
    """
    _positive(lr=lr, clip=clip, records=records, clients=clients)
    return 2 * lr * clip / (records / clients)


def paper_sigma(epsilon: float, delta: float, *, sampled: float, rounds: int, **numbers: Any) -> float:
    """sigma = delta_l sqrt(2 q N ln(1 / delta)) / epsilon (FedLLM-Bench, D.3, after Wei et al. 2020).

    The deviation of the noise on each coordinate of each upload. `sampled`: q, the share of clients in a round;
    `rounds`: N; `numbers`: those of `sensitivity`. `FedkitError` for values outside their ranges.
    """
    _positive(epsilon=epsilon, rounds=rounds, sampled=sampled)
    if not 0 < delta < 1 or not sampled <= 1:
        raise FedkitError(
            f"delta is {delta} and the share of clients {sampled}; delta lies in (0, 1), the share in (0, 1]"
        )
    return sensitivity(**numbers) * math.sqrt(2 * sampled * rounds * math.log(1 / delta)) / epsilon


def claimed_epsilon(sigma: float, delta: float, **numbers: Any) -> float:
    """The epsilon that the paper's formula states for a fixed sigma (its Table 8): `paper_sigma` turned round."""
    _positive(sigma=sigma)
    return paper_sigma(1.0, delta, **numbers) / sigma


def _positive(**values: float) -> None:
    for name, value in values.items():
        if isinstance(value, bool) or not 0 < value < math.inf:
            raise FedkitError(f"{name} is {value!r}; it must be a finite number above 0")
