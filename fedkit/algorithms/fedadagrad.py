"""FedAdagrad: Reddi et al. 2021, "Adaptive federated optimization", algorithm 2; Adagrad is Duchi et al. 2011.

With D the unweighted mean of the clients' deltas:

    m = beta1 m + (1 - beta1) D,   v = v + D^2,   w += eta m / (sqrt(v) + tau)

from m = 0 and v = tau^2. v forgets nothing, so under steady updates the step of round t shrinks as 1 / sqrt(t).
Adagrad has no momentum, beta1 = 0, in the paper's experiments and in both reference systems; there m = D, so that
`form="systems"` differs from "reddi" only where a beta1 is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .adaptive import Adaptive
from .aggregators import State


@dataclass(frozen=True)
class FedAdagrad(Adaptive):
    """Adagrad on the server, without momentum."""

    name: ClassVar[str] = "fedadagrad"
    beta1: float = 0.0

    def second_moment(self, v: State, g: State) -> State:
        """v = v + g^2."""
        return {name: v[name] + g[name].square() for name in v}
