"""Arithmetic of adapters: sums and norms, a streaming weighted mean, and momentum.

Updates are folded into one running sum as they arrive, so the server holds one adapter's worth of memory however many
clients take part. A server step treats the mean delta as a pseudo-gradient (Reddi et al. 2021, algorithm 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

State = dict[str, Tensor]


def zeros_like(state: State) -> State:
    """A state of zeros of the same names and shapes."""
    return {name: torch.zeros_like(t) for name, t in state.items()}


def add(a: State, b: State, scale: float = 1.0) -> State:
    """a + scale * b, a new state in the precision of a."""
    return {name: torch.add(t, b[name], alpha=scale).to(t.dtype) for name, t in a.items()}


def subtract(a: State, b: State) -> State:
    """a - b, a new state."""
    return {name: t - b[name] for name, t in a.items()}


def norm(state: State) -> float:
    """The Euclidean norm over all entries."""
    return float(
        torch.sqrt(sum((t.double().square().sum() for t in state.values()), torch.zeros((), dtype=torch.float64)))
    )


def is_finite(state: State) -> bool:
    """Whether no entry is NaN or infinite."""
    return all(bool(torch.isfinite(t).all()) for t in state.values())


def within(state: State, center: State, radius: float) -> tuple[State, float]:
    """The state, on the way to `center` at a distance of `radius` where it lies farther off; and its distance.

    The projection onto a ball, over all entries together. A state that is not finite stays as it is.
    """
    away = {name: t.double() - center[name] for name, t in state.items()}
    distance = norm(away)
    if not radius < distance < math.inf:
        return state, distance
    return {name: (center[name] + t * (radius / distance)).to(state[name].dtype) for name, t in away.items()}, distance


@dataclass
class RunningMean:
    """The weighted mean of states, one at a time: sum of weight * state, and the weights' sum.

    Sums are of the states' own precision. A tensor whose sum would overflow it goes on in float64 (`wide`), so that
    a mean of finite updates is lost only where it cannot be held itself.
    """

    total: State = field(default_factory=dict)
    weight: float = 0.0
    count: int = 0
    wide: bool = False

    def add(self, state: State, weight: float) -> None:
        """Fold in one state (its tensors are not kept)."""
        before, self.total = self.total, {}
        for name, t in state.items():
            old = before[name] if before else torch.zeros_like(t)
            new = torch.add(old, t, alpha=weight) if before else t * weight
            if new.dtype != torch.float64 and not torch.isfinite(new).all():
                new, self.wide = torch.add(old.double(), t.double(), alpha=weight), True
            self.total[name] = new
        self.weight += weight
        self.count += 1

    def mean(self) -> State:
        """The mean so far; `ValueError` before the first state or where all weights are zero."""
        if self.weight <= 0:
            raise ValueError("the mean of no updates is undefined")
        means = {name: t / self.weight for name, t in self.total.items()}
        return {name: t.float() for name, t in means.items()} if self.wide else means


def momentum(previous: State | None, delta: State, beta: float, *, warm: bool = False) -> State:
    """m = beta m + (1 - beta) delta, from m = 0, or with `warm` from m = delta (the reference systems' first round)."""
    if previous is None:
        return dict(delta) if warm else {name: (1 - beta) * d for name, d in delta.items()}
    return {name: beta * previous[name] + (1 - beta) * d for name, d in delta.items()}
