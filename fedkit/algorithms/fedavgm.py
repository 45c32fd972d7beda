"""FedAvgM: Hsu et al. 2019, "Measuring the effects of non-identical data distribution ...", section 4.2 (FedAvgM).

With D the mean of the clients' deltas, weighted by their samples, and m from 0:

    m = beta m + D,   w += eta m

`form="systems"` is what OpenFedLLM and FedLLM-Bench run: m = beta m + (1 - beta) D, and m = D in the first round.
Under steady updates D the paper's m grows to D / (1 - beta), as if eta were 1 / (1 - beta) times as large, while the
systems' stays an average of the last updates: with hsu's, eta = 1 - beta takes steps of their length. Both end where
FedAvg ends: momentum changes the way, not the goal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..common.errors import unknown
from ..common.hyperparameters import require
from .aggregators import State, add, momentum
from .base import Aggregate, Algorithm, ServerState

FORMS = ("hsu", "systems")


@dataclass(frozen=True)
class FedAvgM(Algorithm):
    """FedAvg with momentum on the server.

    FedLLM-Bench runs beta 0.5 and OpenFedLLM 0.9, both in the systems' form; hsu's with that beta is another method.
    """

    name: ClassVar[str] = "fedavgm"
    source: ClassVar[str] = "Hsu et al. 2019, FedAvgM"
    beta: float = 0.5
    eta: float = 1.0
    form: str = "hsu"  # or "systems"

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise unknown(f"form of {self.name}", self.form, FORMS)
        require(self, "beta", least=0, below=1)
        require(self, "eta", above=0)

    def server_step(self, w: State, aggregate: Aggregate, server: ServerState) -> tuple[State, ServerState]:
        """One step along the momentum; tensors that do not travel stay."""
        before, mean = server.get("m"), aggregate.mean
        if self.form == "systems":
            m = momentum(before, mean, self.beta, warm=True)
        else:
            m = dict(mean) if before is None else add(mean, before, self.beta)
        return w | add({name: w[name] for name in m}, m, self.eta), {"m": m}
