"""FedYogi: Reddi et al. 2021, "Adaptive federated optimization", algorithm 2; Yogi itself is Zaheer et al. 2018.

With D the unweighted mean of the clients' deltas:

    m = beta1 m + (1 - beta1) D,   v = v - (1 - beta2) D^2 sign(v - D^2),   w += eta m / (sqrt(v) + tau)

from m = 0 and v = tau^2. Adam's v moves towards D^2 by a share of their distance; Yogi's by a share of D^2, so where
updates become small it falls slowly and the steps stay small. `form="systems"` is what OpenFedLLM and FedLLM-Bench
run: m starts at the first D, and m^2 stands in the place of D^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .adaptive import Adaptive
from .aggregators import State, yogi_second_moment
from .ranges import require


@dataclass(frozen=True)
class FedYogi(Adaptive):
    """Yogi on the server; beta1 0.9 and beta2 0.99 in both reference systems."""

    name: ClassVar[str] = "fedyogi"
    source: ClassVar[str] = "Reddi et al. 2021, algorithm 2"
    beta2: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "beta2", least=0, most=1)

    def second_moment(self, v: State, g: State) -> State:
        """v = v - (1 - beta2) g^2 sign(v - g^2)."""
        return yogi_second_moment(v, g, self.beta2)
