"""DP-FedAvg: McMahan et al. 2018, "Learning differentially private recurrent language models", algorithm 1.

    w_{t+1} = w_t + (1 / m) (sum_k clip_S(w_k - w_t) + N(0, z^2 S^2 I))

over the clients k that take part, each by a secret coin of probability q = m / n (`poisson`) or m of them drawn in
secret without replacement (`fixed`). The weights are fixed: m is the expected number, not the number that came, and
samples do not count. Noise is added also in a round in which nobody took part.

With `adapt` the bound follows the median of the norms (Andrew et al. 2021, "Differentially private learning with
adaptive clipping", algorithm 1 and theorem 1): each client also sends b - 1/2, where b is 1 if its norm was at most S
and else 0. That has size 1/2 whatever b is, so under noise of deviation `count_noise` on the sum it costs
(2 count_noise)^-2; the updates' noise grows to z' = (z^-2 - (2 count_noise)^-2)^(-1/2), and both together cost z.

What epsilon covers: the sequence of global adapters, against whoever sees all of them, and nothing else: publish no
other file of a run's folder (its history, clients/, reference/ and manifest hold exact losses, norms and counts). Draw
and noise here come from the run's seed, which config.json and the manifest hold: whoever knows it can compute both. A
small one is found by trial, since the first adapter is drawn from it: take 64 random bits (`secrets.randbits(64)`), or
replace both by a cryptographic source. A run that starts from another's adapter adds its epsilon to that one's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

from ..algorithms.aggregators import State, add, gaussian, norm, subtract
from ..algorithms.base import Aggregate, Algorithm, Broadcast, Finished, ServerState
from ..algorithms.ranges import require
from ..algorithms.sampling import poisson_sample, sample_clients
from ..common.errors import FedkitError
from .accounting import Sampling, epsilon
from .clipping import adapted_bound, clipped

_BOUND, _BELOW = "dp/bound", "dp/below"
_DRAWS = {
    "poisson": lambda n, k, seed, round: poisson_sample(n, k / n, seed, round),
    "fixed": sample_clients,
}


@dataclass(frozen=True)
class DPFedAvg(Algorithm):
    """User-level DP by clipping and noise on the sum; `epsilon_of` states what a run of it spends, or refuses.

    `clip`: S, or where it starts; `noise`: the noise multiplier z; `sampling`: poisson or fixed; `adapt`: the rate of
    the adaptive bound, 0 for a fixed one; `count_noise`: deviation on the sum of "below" (the paper advises m / 20);
    `secret`: whether the seed, so draw and noise, stays unknown (see above); `delta`: of the epsilon in a run's
    manifest, well below one over the number of clients.
    """

    name: ClassVar[str] = "dp_fedavg"
    source: ClassVar[str] = "McMahan et al. 2018, algorithm 1"
    weighting: ClassVar[Literal["samples", "uniform"]] = "uniform"
    steps_alone: ClassVar[bool] = True
    clip: float = 1.0
    noise: float = 0.0
    sampling: str = "poisson"
    adapt: float = 0.0
    count_noise: float = 1.0
    secret: bool = True
    delta: float = 1e-4

    def __post_init__(self) -> None:
        for field in ("clip", "count_noise"):
            require(self, field, above=0)
        for field in ("noise", "adapt"):
            require(self, field, least=0)
        require(self, "delta", above=0, below=1)
        Sampling(self.sampling, 1, 1)  # refuses an unknown kind
        if self.adapt and self.noise >= 2 * self.count_noise:
            raise FedkitError(
                f"count_noise {self.count_noise} leaves no room for a noise multiplier of {self.noise}; raise it above"
                f" {self.noise / 2:g}"
            )

    def epsilon_of(self, sampled: int, clients: int, rounds: int, delta: float) -> float:
        """Epsilon for a user after `rounds` rounds (`fedkit.privacy.epsilon`); none where the seed is known."""
        if not self.secret:
            raise FedkitError(
                "the seed is not secret, so draw and noise can be computed and no epsilon is stated; keep it secret"
            )
        return epsilon(self.noise, Sampling(self.sampling, sampled, clients), rounds, delta)

    def privacy(self, clients: int, sampled: int, rounds: int) -> dict[str, Any]:
        """Noise, bound and epsilon of a run, or why there is none."""
        draw = Sampling(self.sampling, sampled, clients, self.secret)
        said: dict[str, Any] = {
            "mechanism": "clipped updates, Gaussian noise on the sum",
            "noise": self.noise,
            "clip": self.clip,
            "adapt": self.adapt,
            "sampling": {"kind": draw.kind, "sampled": sampled, "clients": clients, "secret": self.secret},
            "rounds": rounds,
            "neighbours": draw.neighbours,
            "delta": self.delta,
            "epsilon": None,
            "covers": "the global adapters of this run's rounds and no other file of its folder, as long as its seed "
            "is not known; a small seed is found by trial",
        }
        try:
            spent = self.epsilon_of(sampled, clients, rounds, self.delta)
        except FedkitError as refused:
            return {**said, "refused": str(refused)}
        return {**said, "epsilon": spent} if math.isfinite(spent) else {**said, "refused": "there is no noise"}

    @property
    def update_noise(self) -> float:
        """The multiplier on the updates: z, or z' where the bound adapts."""
        if not self.adapt or not self.noise:
            return self.noise
        return (self.noise**-2 - (2 * self.count_noise) ** -2) ** -0.5

    def sample(self, clients: int, k: int, seed: int, round: int) -> list[int]:
        """By coins or by number; the simulation's draw stands for one that nobody sees."""
        return _DRAWS[self.sampling](clients, k, seed, round)

    def broadcast_extra(self, server: ServerState, adapter: State) -> State:
        """The round's bound, where it adapts."""
        return {_BOUND: self._bound(server)} if self.adapt else {}

    def protect(self, message: Broadcast, delta: State, *, seed: int, client: str) -> State:
        """The update, clipped."""
        return clipped(delta, float(message.extra.get(_BOUND, self.clip)))[0]

    def finish_client(self, message: Broadcast, local: State, client_state: State, steps: int) -> Finished:
        """Whether the update's norm was within the bound, as 1/2 or -1/2, where it adapts."""
        if not self.adapt:
            return Finished()
        below = norm(subtract(local, message.adapter)) <= float(message.extra[_BOUND])
        return Finished(upload={_BELOW: torch.tensor([float(below) - 0.5])})

    def server_step(self, w: State, aggregate: Aggregate, server: ServerState) -> tuple[State, ServerState]:
        """The noised sum over the expected number, which the aggregate must tell: who came depends on data."""
        expected = aggregate.sampled
        if expected < 1:
            raise FedkitError("dp_fedavg divides by the expected number of clients; pass Aggregate.sampled")
        bound = float(self._bound(server))
        place = dict(round=aggregate.round)
        noise = gaussian(w, self.update_noise * bound, aggregate.seed, "dp_fedavg/noise", **place)
        total = {name: t * aggregate.reported + noise[name] for name, t in aggregate.delta.items()}
        moved = add(w, total, 1.0 / expected)
        if not self.adapt:
            return moved, server
        count = aggregate.upload_sum or {_BELOW: torch.zeros(1)}
        spread = self.count_noise if self.noise else 0.0
        noised = float(count[_BELOW] + gaussian(count, spread, aggregate.seed, "dp_fedavg/count", **place)[_BELOW])
        below = min(1.0, max(0.0, 0.5 + noised / expected))
        new = adapted_bound(bound, below, quantile=0.5, rate=self.adapt)
        return moved, {"bound": {_BOUND: torch.tensor([new], dtype=torch.float64)}}

    def _bound(self, server: ServerState) -> torch.Tensor:
        start = {_BOUND: torch.tensor([self.clip], dtype=torch.float64)}
        return server.get("bound", start)[_BOUND]
