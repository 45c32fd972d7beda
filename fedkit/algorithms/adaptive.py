"""What FedAdagrad, FedYogi and FedAdam share: Reddi et al. 2021, "Adaptive federated optimization", algorithm 2.

With D the unweighted mean of the clients' deltas, m from 0 and v from tau^2, without bias correction:

    m = beta1 m + (1 - beta1) D,   v = the method's rule of v and D,   w += eta m / (sqrt(v) + tau)

`form="systems"` is what OpenFedLLM and FedLLM-Bench run: m starts at the first D ("warm"), and v's rule gets m where
the paper has D. The three methods differ in nothing but v's rule, and each file states its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from ..common.errors import unknown
from ..common.hyperparameters import require
from .aggregators import State, momentum
from .base import Aggregate, Algorithm, ServerState, Weighting

FORMS = ("reddi", "systems")


@dataclass(frozen=True)
class Adaptive(Algorithm):
    """One adaptive server step; defaults of both reference systems (eta and tau 1e-3)."""

    source: ClassVar[str] = "Reddi et al. 2021, algorithm 2"
    weighting: ClassVar[Weighting] = "uniform"
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
        """One step along the pseudo-gradient, each entry by its own scale; tensors that do not travel stay."""
        systems, mean = self.form == "systems", aggregate.mean
        m = momentum(server.get("m"), mean, self.beta1, warm=systems)
        v = server.get("v") or {name: torch.full_like(w[name], self.tau**2) for name in mean}
        v = self.second_moment(v, m if systems else mean)
        moved = {name: w[name] + self.eta * m[name] / (v[name].sqrt() + self.tau) for name in mean}
        return w | moved, {"m": m, "v": v}


@dataclass(frozen=True)
class Forgetting(Adaptive):
    """An adaptive step whose v forgets at the rate beta2, 0.99 in both reference systems (beta1 0.9)."""

    beta2: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "beta2", least=0, most=1)
