"""FedProx: Li et al. 2020, "Federated optimization in heterogeneous networks", equation 2.

Each client minimises F_k(w) + (mu / 2) ||w - w_t||^2, so every local gradient gains mu (w - w_t).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..common.hyperparameters import require
from .aggregators import State
from .base import Algorithm, Broadcast, LocalRule, Parameters, on_device


@dataclass(frozen=True)
class FedProx(Algorithm):
    """FedAvg with a proximal term in the local objective; `mu` 0.01 in both reference systems."""

    name: ClassVar[str] = "fedprox"
    source: ClassVar[str] = "Li et al. 2020, equation 2"
    mu: float = 0.01

    def __post_init__(self) -> None:
        require(self, "mu", least=0)

    def local_rule(self, message: Broadcast, client_state: State, device: object) -> LocalRule:
        """The proximal gradient, anchored at this round's global adapter."""
        anchor = on_device(message.adapter, device)

        def pull(parameters: Parameters) -> None:
            for name, p in parameters.items():
                if p.grad is not None:
                    p.grad.add_(p - anchor[name], alpha=self.mu)

        return LocalRule(on_gradient=pull)
