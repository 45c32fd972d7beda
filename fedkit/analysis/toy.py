"""A federation small enough to draw: quadratic losses in the plane, and any of fedkit's algorithms played on them.

Client k has F_k(w) = (w - c_k)^T H_k (w - c_k) / 2, exact gradients and plain gradient steps, so that paths, resting
points and control variates have closed forms. The algorithm is the very object that trains adapters: it is asked and
told what the simulation asks and tells it, in the same order (`fedkit.privacy.base.Method`), but for who takes part.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from ..algorithms.aggregators import RunningMean, State
from ..algorithms.base import Aggregate, Algorithm, LocalRule, ServerState
from ..privacy.base import Mechanism, Method
from ..privacy.keys import NO_KEY, Key, derived_key

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

    def path(self, w: Tensor, steps: int, lr: float = 0.2) -> Tensor:
        """The points (steps + 1, d) of plain gradient descent from w."""
        points = [w]
        for _ in range(steps):
            points.append(points[-1] - lr * self.gradient(points[-1]))
        return torch.stack(points)


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

    def mean_move(self, w: Tensor, steps: int, lr: float = 0.2, weighting: str = "samples") -> Tensor:
        """The mean of the clients' moves (d,) from w, by hand: what a server of averages gets in a round."""
        share = self.weights(weighting)
        moves = (share[k] * (c.path(w, steps, lr)[-1] - w) for k, c in self.clients.items())
        return sum(moves, torch.zeros_like(w))

    def play(
        self,
        algorithm: Algorithm,
        *,
        rounds: int,
        steps: int | Sequence[int],
        lr: float = 0.2,
        start: Tensor | None = None,
        privacy: Mechanism | None = None,
        seed: int = 0,
    ) -> Played:
        """An algorithm on this federation, all clients in every round, weighted as the algorithm has it.

        `steps`: local steps of every round, or of each.
        """
        schedule = [steps] * rounds if isinstance(steps, int) else list(steps)
        w, server, states = {"w": self.start if start is None else start}, {}, {}
        gradients = {k: c.gradient for k, c in self.clients.items()}
        weights = self.weights(Method(algorithm, privacy or Mechanism()).weighting)
        key = self._key(algorithm, schedule, lr, w["w"], privacy, seed)
        how = {"lr": lr, "weights": weights, "privacy": privacy, "key": key}
        played, points = Played(w["w"][None], []), [w["w"]]
        for t, number in zip(range(rounds), schedule, strict=True):
            w, server, paths = play_round(algorithm, w, server, states, gradients, steps=number, round=t, **how)
            points.append(w["w"])
            played.local.append({k: torch.stack([s["w"] for s in path]) for k, path in paths.items()})
            played.server.append({slot: s["w"] for slot, s in server.items() if "w" in s})
        played.path = torch.stack(points)
        played.states = {k: s["w"] for k, s in states.items() if s}
        return played

    def _key(
        self, algorithm: Algorithm, steps: list[int], lr: float, start: Tensor, privacy: Mechanism | None, seed: int
    ) -> Key:
        """Of this very play, as a run's is of its configuration."""
        clients = {k: [c.curvature.tolist(), c.optimum.tolist(), c.samples] for k, c in self.clients.items()}
        rule = [algorithm.name, asdict(algorithm), privacy and privacy.as_dict()]
        return derived_key(
            {"seed": seed, "clients": clients, "rule": rule, "steps": steps, "lr": lr, "start": start.tolist()}
        )


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
    privacy: Mechanism | None = None,
    key: Key = NO_KEY,
) -> tuple[State, ServerState, dict[Hashable, list[State]]]:
    """One round of the clients that `gradients` names: the next adapter, the server's state, each client's path.

    `states` holds what clients keep and is changed in place. `weights`: 1 each by default; `clients`: how many the
    federation has, all of `gradients` by default; `key`: of a mechanism's noise.
    """
    method = Method(algorithm, privacy or Mechanism(), key=key)
    deltas, uploads, paths = RunningMean(), RunningMean(), {}
    message = method.broadcast(w, server, lr, round)
    for k, gradient in gradients.items():
        parameters = {name: torch.nn.Parameter(t.clone()) for name, t in w.items()}
        rule = algorithm.local_rule(message, states.get(k, {}), "cpu") or LocalRule()
        paths[k] = [_copy(parameters)]
        for _ in range(steps):
            with torch.no_grad():
                for p in parameters.values():
                    p.grad = gradient(p.detach())
                rule.on_gradient(parameters)
                for p in parameters.values():
                    if p.grad is not None:
                        p -= lr * p.grad
                rule.on_step(parameters)
            paths[k].append(_copy(parameters))
        update = method.update(message, paths[k][-1], states.get(k, {}), steps, str(k))
        deltas.add(update.delta, 1.0 if weights is None else weights[k])
        if update.upload:
            uploads.add(update.upload, 1.0)
        states[k] = update.client_state
    numbers = {"clients": clients or len(gradients), "expected": len(gradients), "round": round}
    return *method.step(w, server, deltas, uploads, **numbers), paths


def _copy(parameters: Mapping[str, torch.nn.Parameter]) -> State:
    return {name: p.detach().clone() for name, p in parameters.items()}


@dataclass
class Played:
    """A run on a toy: the server's points (rounds + 1, d), the clients' paths (steps + 1, d), and what they keep."""

    path: Tensor
    local: list[dict[str, Tensor]]  # one entry a round
    server: list[dict[str, Tensor]] = field(default_factory=list)  # the server's own state after each round
    states: dict[str, Tensor] = field(default_factory=dict)  # what each client keeps at the end, where it keeps any


def feed(algorithm: Algorithm, deltas: Sequence[float]) -> tuple[Tensor, list[dict[str, float]]]:
    """The server's step alone, on one weight that starts at 0 and gets these mean updates.

    The weight (rounds + 1,) before the first round and after each, and the server's own numbers after each.
    """
    w, server, path, kept = {"w": torch.zeros(1, dtype=torch.float64)}, {}, [0.0], []
    for d in deltas:
        mean = {"w": torch.tensor([float(d)], dtype=torch.float64)}
        w, server = algorithm.server_step(w, Aggregate(mean, {}, 1, 1), server)
        path.append(float(w["w"]))
        kept.append({slot: float(s["w"]) for slot, s in server.items()})
    return torch.tensor(path, dtype=torch.float64), kept
