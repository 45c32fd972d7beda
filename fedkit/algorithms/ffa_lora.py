"""FFA-LoRA: Sun et al. 2024, "Improving LoRA in privacy-preserving federated learning" (FFA: federated freeze A).

A LoRA layer adds B A to a frozen weight. Averaging A and B apart is not averaging B A, since

    mean(B_k) mean(A_k) != mean(B_k A_k)

in general: both are equal where the A_k, or the B_k, are all the same, and otherwise only by chance. So A stays at its
initial value A_0 on every client and in all rounds, and B alone is trained, sent and averaged:

    mean(B_k) A_0 = mean(B_k A_0)

exactly. A_0 is drawn from the run's seed, which all know, so it never travels (in a run that starts from another's
adapter it does once to each client): half the tensors, about half the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .aggregators import State
from .base import Algorithm, Broadcast, LocalRule, Parameters

LORA_A = ".lora_A."  # in every name that PEFT gives to an A


def freeze_a(parameters: Parameters) -> None:
    """Throw A's gradient away: neither clipping nor the optimizer sees it; a zero would still meet weight decay."""
    for name, p in parameters.items():
        if LORA_A in name:
            p.grad = None


@dataclass(frozen=True)
class FFALoRA(Algorithm):
    """FedAvg of B alone, weighted by samples."""

    name: ClassVar[str] = "ffa_lora"
    source: ClassVar[str] = "Sun et al. 2024"

    def sends(self, name: str) -> bool:
        """All but the A of LoRA."""
        return LORA_A not in name

    def local_rule(self, message: Broadcast, client_state: State, device: object) -> LocalRule:
        """B alone is trained."""
        return LocalRule(on_gradient=freeze_a)
