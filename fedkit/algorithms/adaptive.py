"""What FedAdagrad, FedYogi and FedAdam share: Reddi et al. 2021, "Adaptive federated optimization", algorithm 2.

With D the unweighted mean of the clients' deltas, m from 0 and v from tau^2, without bias correction:

    m = beta1 m + (1 - beta1) D,   v = the method's rule of v and D,   w += eta m / (sqrt(v) + tau)

`form="systems"` is what OpenFedLLM and FedLLM-Bench run: m starts at the first D ("warm"), and v's rule gets m where
the paper has D. The three methods differ in nothing but v's rule, and each file states its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..common.errors import unknown
from .aggregators import State, adaptive_step, constant, momentum
from .base import Aggregate, Algorithm, ServerState
from .ranges import require

FORMS = ("reddi", "systems")


@dataclass(frozen=True)
class Adaptive(Algorithm):
    """One adaptive server step; defaults of both reference systems (eta and tau 1e-3)."""

    weighting: ClassVar[Literal["samples", "uniform"]] = "uniform"
    eta: float = 1e-3
    beta1: float = 0.9
    tau: float = 1e-3
    form: str = "reddi"  # or "systems"

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise unknown(f"form of {self.name}", self.form, FORMS)
        require(self, "eta", above=0)
        require(self, "tau", above=0)
        require(self, "beta1", least=0, below=1)

    def second_moment(self, v: State, g: State) -> State:
        """The method's rule for v; g is D, or m in the systems' form."""
        raise NotImplementedError(f"{type(self).__name__} has no rule for v")

    def server_step(self, w: State, aggregate: Aggregate, server: ServerState) -> tuple[State, ServerState]:
        """One step along the pseudo-gradient, each entry by its own scale."""
        systems = self.form == "systems"
        m = momentum(server.get("m"), aggregate.delta, self.beta1, warm=systems)
        v = self.second_moment(server.get("v") or constant(w, self.tau**2), m if systems else aggregate.delta)
        return adaptive_step(w, m, v, self.eta, self.tau), {"m": m, "v": v}
