"""A federation small enough to draw: quadratic losses in the plane, and any of fedkit's algorithms played on them.

Client k has F_k(w) = (w - c_k)^T H_k (w - c_k) / 2, exact gradients and plain gradient steps, so that paths, resting
points and control variates have closed forms. The algorithm is the very object that trains adapters: it is asked and
told what the simulation asks and tells it, in the same order, but for who takes part.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..algorithms import Aggregate, Algorithm, Broadcast
from ..algorithms.aggregators import RunningMean, State, subtract
from ..algorithms.base import ServerState

Gradient = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Quadratic:
    """One client: curvature H of shape (d, d), optimum c of shape (d,), number of records."""

    curvature: Tensor
    optimum: Tensor
    samples: int

    def gradient(self, w: Tensor) -> Tensor:
        """H (w - c) for w of shape (d,)."""
        return self.curvature @ (w - self.optimum)

    def loss(self, w: Tensor) -> Tensor:
        """(w - c)^T H (w - c) / 2 for w of shape (..., d)."""
        away = w - self.optimum
        return 0.5 * ((away @ self.curvature) * away).sum(-1)


@dataclass(frozen=True)
class Toy:
    """Clients by name, and the point (d,) at which every run starts."""

    clients: Mapping[str, Quadratic]
    start: Tensor

    def weights(self, weighting: str = "samples") -> dict[str, float]:
        """Each client's share of a mean over all: by records, or ("uniform") alike."""
        raw = {k: float(c.samples) if weighting == "samples" else 1.0 for k, c in self.clients.items()}
        return {k: n / sum(raw.values()) for k, n in raw.items()}

    def loss(self, w: Tensor, weighting: str = "samples") -> Tensor:
        """F(w), the weighted mean of the clients' losses, for w of shape (..., d)."""
        share = self.weights(weighting)
        return sum((share[k] * c.loss(w) for k, c in self.clients.items()), torch.zeros((), dtype=w.dtype))

    def optimum(self, weighting: str = "samples") -> Tensor:
        """Where the gradient of F vanishes."""
        share = self.weights(weighting)
        left = torch.stack([share[k] * c.curvature for k, c in self.clients.items()]).sum(0)
        right = torch.stack([share[k] * c.curvature @ c.optimum for k, c in self.clients.items()]).sum(0)
        return torch.linalg.solve(left, right)


def two_clients(samples: tuple[int, int] = (60, 40)) -> Toy:
    """The plane of notebook 31: A is steep from left to right, B from top to bottom; `samples` are their records."""

    def point(*xy: float) -> Tensor:
        return torch.tensor(xy, dtype=torch.float64)

    return Toy(
        {
            "A": Quadratic(torch.diag(point(1.0, 0.1)), point(0.0, 0.0), samples[0]),
            "B": Quadratic(torch.diag(point(0.1, 1.0)), point(3.0, 2.0), samples[1]),
        },
        start=point(-1.0, 3.0),
    )


def local_path(client: Quadratic, w: Tensor, steps: int, lr: float) -> Tensor:
    """The points (steps + 1, d) of plain gradient descent on one client from w."""
    path = [w]
    for _ in range(steps):
        path.append(path[-1] - lr * client.gradient(path[-1]))
    return torch.stack(path)


def mean_move(toy: Toy, w: Tensor, steps: int, lr: float = 0.2, weighting: str = "samples") -> Tensor:
    """The mean of the clients' moves (d,) from w, by hand: what a server of averages gets in a round."""
    share = toy.weights(weighting)
    return sum((share[k] * (local_path(c, w, steps, lr)[-1] - w) for k, c in toy.clients.items()), torch.zeros_like(w))


def play_round(
    algorithm: Algorithm,
    w: State,
    server: ServerState,
    states: MutableMapping[Hashable, State],
    gradients: Mapping[Hashable, Gradient],
    *,
    lr: float,
    steps: int,
    round: int = 0,
    weights: Mapping[Hashable, float] | None = None,
    clients: int | None = None,
    seed: int = 0,
) -> tuple[State, ServerState, dict[Hashable, list[State]]]:
    """One round of the clients that `gradients` names: the next adapter, the server's state, each client's path.

    `states` holds what clients keep and is changed in place. `weights`: 1 each by default; `clients`: how many the
    federation has, all of `gradients` by default; `seed`: of the noise that an algorithm adds.
    """
    extra = algorithm.broadcast_extra(server, w)
    deltas, uploads, paths = RunningMean(), RunningMean(), {}
    message = Broadcast(w, extra, lr, round)
    for k, gradient in gradients.items():
        parameters = {name: torch.nn.Parameter(t.clone()) for name, t in w.items()}
        rule = algorithm.local_rule(message, states.get(k, {}), "cpu")
        paths[k] = [_copy(parameters)]
        for _ in range(steps):
            for p in parameters.values():
                p.grad = gradient(p.detach())
            if rule:
                rule.on_gradient(parameters)
            with torch.no_grad():
                for p in parameters.values():
                    if p.grad is not None:
                        p -= lr * p.grad
            if rule:
                rule.on_step(parameters)
            paths[k].append(_copy(parameters))
        local = paths[k][-1]
        sent = {name: t for name, t in w.items() if algorithm.sends(name)}
        delta = subtract({name: local[name] for name in sent}, sent)
        delta = algorithm.protect(message, delta, seed=seed, client=str(k))
        finished = algorithm.finish_client(message, local, states.get(k, {}), steps)
        deltas.add(delta, 1.0 if weights is None else weights[k])
        if finished.upload:
            uploads.add(finished.upload, 1.0)
        states[k] = finished.client_state
    count, drawn = clients or len(gradients), len(gradients)
    aggregate = Aggregate(deltas.mean(), uploads.total, deltas.count, count, drawn, seed, round)
    return *algorithm.server_step(w, aggregate, server), paths


def _copy(parameters: Mapping[str, torch.nn.Parameter]) -> State:
    return {name: p.detach().clone() for name, p in parameters.items()}


@dataclass
class Played:
    """A run on a toy: the server's points (rounds + 1, d), the clients' paths (steps + 1, d), and what they keep."""

    path: Tensor
    local: list[dict[str, Tensor]]  # one entry a round
    server: list[dict[str, Tensor]] = field(default_factory=list)  # the server's own state after each round
    states: dict[str, Tensor] = field(default_factory=dict)  # what each client keeps at the end, where it keeps any


def play(
    algorithm: Algorithm,
    toy: Toy,
    *,
    rounds: int,
    steps: int | Sequence[int],
    lr: float = 0.2,
    start: Tensor | None = None,
    seed: int = 0,
) -> Played:
    """An algorithm on a toy, all clients in every round, weighted as the algorithm has it.

    `steps`: local steps of every round, or of each.
    """
    schedule = [steps] * rounds if isinstance(steps, int) else list(steps)
    w, server, states = {"w": toy.start if start is None else start}, {}, {}
    gradients, weights = {k: c.gradient for k, c in toy.clients.items()}, toy.weights(algorithm.weighting)
    played = Played(w["w"][None], [])
    points = [w["w"]]
    for t, number in zip(range(rounds), schedule, strict=True):
        w, server, paths = play_round(
            algorithm, w, server, states, gradients, lr=lr, steps=number, round=t, weights=weights, seed=seed
        )
        points.append(w["w"])
        played.local.append({k: torch.stack([s["w"] for s in path]) for k, path in paths.items()})
        played.server.append({slot: s["w"] for slot, s in server.items()})
    played.path = torch.stack(points)
    played.states = {k: s["w"] for k, s in states.items() if s}
    return played


def feed(algorithm: Algorithm, deltas: Sequence[float]) -> tuple[Tensor, list[dict[str, float]]]:
    """The server's step alone, on one weight that starts at 0 and gets these mean updates.

    The weight (rounds + 1,) before the first round and after each, and the server's own numbers after each.
    """
    w, server, path, kept = {"w": torch.zeros(1, dtype=torch.float64)}, {}, [0.0], []
    for t, d in enumerate(deltas):
        mean = {"w": torch.tensor([float(d)], dtype=torch.float64)}
        w, server = algorithm.server_step(w, Aggregate(mean, {}, 1, 1, 1, round=t), server)
        path.append(float(w["w"]))
        kept.append({slot: float(s["w"]) for slot, s in server.items()})
    return torch.tensor(path, dtype=torch.float64), kept
