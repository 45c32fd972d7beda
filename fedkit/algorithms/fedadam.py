"""FedAdam: Reddi et al. 2021, "Adaptive federated optimization", algorithm 2.

With D the unweighted mean of the clients' deltas:

    m = beta1 m + (1 - beta1) D,   v = beta2 v + (1 - beta2) D^2,   w += eta m / (sqrt(v) + tau)

from m = 0 and v = tau^2, without bias correction. v forgets at the rate beta2, whatever its size. `form="systems"` is
what OpenFedLLM and FedLLM-Bench run: m starts at the first D, and v averages m^2 in place of D^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .adaptive import Adaptive
from .aggregators import State, adam_second_moment
from .ranges import require


@dataclass(frozen=True)
class FedAdam(Adaptive):
    """Adam on the server; beta1 0.9 and beta2 0.99 in both reference systems."""

    name: ClassVar[str] = "fedadam"
    source: ClassVar[str] = "Reddi et al. 2021, algorithm 2"
    beta2: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "beta2", least=0, most=1)

    def second_moment(self, v: State, g: State) -> State:
        """v = beta2 v + (1 - beta2) g^2."""
        return adam_second_moment(v, g, self.beta2)
