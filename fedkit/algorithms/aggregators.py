"""The server's arithmetic: a streaming weighted mean, and server steps on its delta.

Updates are folded into one running sum as they arrive, so the server holds one adapter's worth of memory however many
clients take part. A server step treats the mean delta as a pseudo-gradient (Reddi et al. 2021, algorithm 2).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..common.seeds import derive

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


def heavy_ball(previous: State | None, delta: State, beta: float) -> State:
    """m = beta m + delta, from m = 0 (Hsu et al. 2019, FedAvgM): the sum of all past deltas, older ones fading."""
    return dict(delta) if previous is None else add(delta, previous, beta)


def constant(state: State, value: float) -> State:
    """A state with every entry equal to `value`: the second moment's start."""
    return {name: torch.full_like(t, value) for name, t in state.items()}


def adam_second_moment(v: State, g: State, beta2: float) -> State:
    """v = beta2 v + (1 - beta2) g^2 (Reddi et al. 2021, algorithm 2, FedAdam)."""
    return {name: beta2 * v[name] + (1 - beta2) * g[name].square() for name in v}


def adagrad_second_moment(v: State, g: State) -> State:
    """v = v + g^2 (Reddi et al. 2021, algorithm 2, FedAdagrad)."""
    return {name: v[name] + g[name].square() for name in v}


def yogi_second_moment(v: State, g: State, beta2: float) -> State:
    """v = v - (1 - beta2) g^2 sign(v - g^2) (Reddi et al. 2021, algorithm 2, FedYogi); it never falls below 0."""
    squares = {name: g[name].square() for name in v}
    return {name: t - (1 - beta2) * squares[name] * torch.sign(t - squares[name]) for name, t in v.items()}


def adaptive_step(w: State, m: State, v: State, eta: float, tau: float) -> State:
    """w + eta m / (sqrt(v) + tau) (Reddi et al. 2021, algorithm 2, last line)."""
    return {name: t + eta * m[name] / (v[name].sqrt() + tau) for name, t in w.items()}


def gaussian(state: State, deviation: float, seed: int, purpose: str, *, round: int = 0, client: str = "") -> State:
    """Gaussian noise of that deviation on every entry, in the shape of `state`; zeros for a deviation of 0."""
    if not deviation:
        return zeros_like(state)
    draw = torch.Generator().manual_seed(derive(seed, purpose, round=round, client=client))
    drawn = {name: torch.randn(state[name].shape, generator=draw) for name in sorted(state)}  # whatever the order
    return {name: deviation * drawn[name].to(t.dtype) for name, t in state.items()}
