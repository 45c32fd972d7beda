"""FedAvg: McMahan et al. 2017, "Communication-efficient learning of deep networks ...", algorithm 1.

    w_{t+1} = w_t + sum_k (n_k / n) (w_k - w_t)

over the clients k that reported, n_k their numbers of samples, n their sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .base import Algorithm


@dataclass(frozen=True)
class FedAvg(Algorithm):
    """The neutral answer to all three questions, weighted by the clients' samples."""

    name: ClassVar[str] = "fedavg"
    source: ClassVar[str] = "McMahan et al. 2017, algorithm 1"
