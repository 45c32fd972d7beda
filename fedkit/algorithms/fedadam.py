"""FedAdam: Reddi et al. 2021, "Adaptive federated optimization", algorithm 2.

With D the unweighted mean of the clients' deltas:

    m = beta1 m + (1 - beta1) D,   v = beta2 v + (1 - beta2) D^2,   w += eta m / (sqrt(v) + tau)

from m = 0 and v = tau^2, without bias correction. `form="systems"` is what OpenFedLLM and FedLLM-Bench run: m starts
at the first D, and v averages m^2 in place of D^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..aggregators import State, adam_second_moment, adaptive_step, constant, momentum
from ..errors import unknown
from .base import Aggregate, Algorithm, ServerState


@dataclass(frozen=True)
class FedAdam(Algorithm):
    """Adam on the server; defaults of both reference systems (eta and tau 1e-3, beta2 0.99)."""

    name: ClassVar[str] = "fedadam"
    source: ClassVar[str] = "Reddi et al. 2021, algorithm 2"
    weighting: ClassVar[Literal["samples", "uniform"]] = "uniform"
    eta: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3
    form: str = "reddi"  # or "systems"

    def __post_init__(self) -> None:
        if self.form not in ("reddi", "systems"):
            raise unknown("form of fedadam", self.form, ("reddi", "systems"))

    def server_step(self, w: State, aggregate: Aggregate, server: ServerState) -> tuple[State, ServerState]:
        """One Adam step along the pseudo-gradient."""
        systems = self.form == "systems"
        m = momentum(server.get("m"), aggregate.delta, self.beta1, warm=systems)
        v = server.get("v") or constant(w, self.tau**2)
        v = adam_second_moment(v, m if systems else aggregate.delta, self.beta2)
        return adaptive_step(w, m, v, self.eta, self.tau), {"m": m, "v": v}
