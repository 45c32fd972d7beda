"""FedAdam: Reddi et al. 2021, "Adaptive federated optimization", algorithm 2.

With D the unweighted mean of the clients' deltas:

    m = beta1 m + (1 - beta1) D,   v = beta2 v + (1 - beta2) D^2,   w += eta m / (sqrt(v) + tau)

from m = 0 and v = tau^2, without bias correction. v forgets at the rate beta2, whatever its size. `form="systems"` is
what OpenFedLLM and FedLLM-Bench run: m starts at the first D, and v averages m^2 in place of D^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .adaptive import Forgetting
from .aggregators import State


@dataclass(frozen=True)
class FedAdam(Forgetting):
    """Adam on the server."""

    name: ClassVar[str] = "fedadam"

    def second_moment(self, v: State, g: State) -> State:
        """v = beta2 v + (1 - beta2) g^2."""
        return {name: self.beta2 * v[name] + (1 - self.beta2) * g[name].square() for name in v}
