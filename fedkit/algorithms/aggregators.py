"""Arithmetic of adapters: sums and norms, a streaming weighted mean, and momentum.

Updates are folded into one running sum as they arrive, so the server holds one adapter's worth of memory however many
clients take part. A server step treats the mean delta as a pseudo-gradient (Reddi et al. 2021, algorithm 2).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

State = dict[str, Tensor]


def zeros_like(state: State) -> State:
    """A state of zeros of the same names and shapes."""
    return {name: torch.zeros_like(t) for name, t in state.items()}


def add(a: State, b: State, scale: float = 1.0) -> State:
    """a + scale * b, a new state."""
    return {name: torch.add(t, b[name], alpha=scale) for name, t in a.items()}


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


@dataclass
class RunningMean:
    """The weighted mean of states, one at a time: sum of weight * state, and the weights' sum."""

    total: State = field(default_factory=dict)
    weight: float = 0.0
    count: int = 0

    def add(self, state: State, weight: float) -> None:
        """Fold in one state (its tensors are not kept)."""
        if not self.total:
            self.total = {name: t * weight for name, t in state.items()}
        else:
            for name, t in state.items():
                self.total[name].add_(t, alpha=weight)
        self.weight += weight
        self.count += 1

    def mean(self) -> State:
        """The mean so far; `ValueError` before the first state or where all weights are zero."""
        if self.weight <= 0:
            raise ValueError("the mean of no updates is undefined")
        return {name: t / self.weight for name, t in self.total.items()}


def momentum(previous: State | None, delta: State, beta: float, *, warm: bool = False) -> State:
    """m = beta m + (1 - beta) delta, from m = 0, or with `warm` from m = delta (the reference systems' first round)."""
    if previous is None:
        return dict(delta) if warm else {name: (1 - beta) * d for name, d in delta.items()}
    return {name: beta * previous[name] + (1 - beta) * d for name, d in delta.items()}
