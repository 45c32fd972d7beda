"""FedYogi: Reddi et al. 2021, "Adaptive federated optimization", algorithm 2; Yogi itself is Zaheer et al. 2018.

With D the unweighted mean of the clients' deltas:

    m = beta1 m + (1 - beta1) D,   v = v - (1 - beta2) D^2 sign(v - D^2),   w += eta m / (sqrt(v) + tau)

from m = 0 and v = tau^2. Adam's v moves towards D^2 by a share of their distance; Yogi's by a share of D^2, so where
updates become small it falls slowly and the steps stay small. `form="systems"` is what OpenFedLLM and FedLLM-Bench
run: m starts at the first D, and m^2 stands in the place of D^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from .adaptive import Forgetting
from .aggregators import State


@dataclass(frozen=True)
class FedYogi(Forgetting):
    """Yogi on the server."""

    name: ClassVar[str] = "fedyogi"

    def second_moment(self, v: State, g: State) -> State:
        """v = v - (1 - beta2) g^2 sign(v - g^2), which never falls below 0."""
        squares = {name: g[name].square() for name in v}
        return {name: t - (1 - self.beta2) * squares[name] * torch.sign(t - squares[name]) for name, t in v.items()}
