"""Local training: one client alone, no collaboration; the first row of every table of FedLLM-Bench (section 3.1).

It is the round loop with a federation of one, so that rates, steps and batches are those of the federated runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..common.errors import FedkitError
from .base import Algorithm


@dataclass(frozen=True)
class Local(Algorithm):
    """Federated averaging with one client, which is plain training."""

    name: ClassVar[str] = "local"
    source: ClassVar[str] = "FedLLM-Bench (Ye et al. 2024), section 3.1"

    def check(self, clients: int, clients_per_round: int) -> None:
        """One client only: `FedkitError` for a federation of several."""
        if clients != 1 or clients_per_round != 1:
            raise FedkitError(
                f"algorithm 'local' trains one client, but {clients} were given; name one with clients=('id',) "
                "and set clients_per_round to 1"
            )
