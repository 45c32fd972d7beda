"""DP-FedAvg: McMahan et al. 2018, "Learning differentially private recurrent language models", algorithm 1.

    w_{t+1} = w_t + (1 / m) (sum_k clip_S(w_k - w_t) + N(0, z^2 S^2 I))

over the clients k that take part, each by a secret coin of probability q = m / n (`poisson`) or m of them drawn in
secret without replacement (`fixed`). The weights are fixed: m is the expected number, not the number that came, and
samples do not count. Noise is added also in a round in which nobody took part.

With `adapt` the bound follows the median of the norms (Andrew et al. 2021, "Differentially private learning with
adaptive clipping", algorithm 1): each client also sends whether its norm was below S, the sum gets noise of deviation
`count_noise`, and the updates' noise grows to z' = (z^-2 - (2 count_noise)^-2)^(-1/2), so that both together cost z.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from ..aggregators import State, add, gaussian, norm, subtract
from ..errors import FedkitError
from ..privacy.accounting import Sampling, epsilon
from ..privacy.clipping import adapted_bound, clipped
from ..sampling import poisson_sample, sample_clients
from .base import Aggregate, Algorithm, Broadcast, Finished, ServerState

_BOUND, _BELOW = "dp/bound", "dp/below"
_DRAWS = {
    "poisson": lambda n, k, seed, round: poisson_sample(n, k / n, seed, round),
    "fixed": sample_clients,
}


@dataclass(frozen=True)
class DPFedAvg(Algorithm):
    """User-level DP by clipping and noise on the sum; `epsilon_of` states what a run of it spends, or refuses.

    `clip`: S, or where it starts; `noise`: the noise multiplier z; `sampling`: poisson or fixed; `adapt`: the rate of
    the adaptive bound, 0 for a fixed one; `count_noise`: deviation on the sum of "below" (the paper advises m / 20).
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

    def __post_init__(self) -> None:
        for field in ("clip", "noise", "adapt", "count_noise"):
            value, least = getattr(self, field), 0 if field in ("noise", "adapt") else 1e-12
            if not least <= value < math.inf:
                much = "above" if least else "at least"
                raise FedkitError(f"{field} of dp_fedavg is {value}; it must be finite and {much} 0")
        Sampling(self.sampling, 1, 1)  # refuses an unknown kind
        if self.adapt and self.noise >= 2 * self.count_noise:
            raise FedkitError(
                f"count_noise {self.count_noise} leaves no room for a noise multiplier of {self.noise}; raise it above"
                f" {self.noise / 2:g}"
            )

    def epsilon_of(self, sampled: int, clients: int, rounds: int, delta: float) -> float:
        """Epsilon for a user after `rounds` rounds (`fedkit.privacy.epsilon`)."""
        return epsilon(self.noise, Sampling(self.sampling, sampled, clients), rounds, delta)

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
        """Whether the update's norm was below the bound, where it adapts."""
        if not self.adapt:
            return Finished()
        below = norm(subtract(local, message.adapter)) <= float(message.extra[_BOUND])
        return Finished(upload={_BELOW: torch.tensor([float(below)])})

    def server_step(self, w: State, aggregate: Aggregate, server: ServerState) -> tuple[State, ServerState]:
        """The noised sum over the expected number. A deployment needs a cryptographic source for the noise."""
        bound = float(self._bound(server))
        place = dict(round=aggregate.round)
        noise = gaussian(w, self.update_noise * bound, aggregate.seed, "dp_fedavg/noise", **place)
        total = {name: t * aggregate.reported + noise[name] for name, t in aggregate.delta.items()}
        expected = aggregate.sampled or max(1, aggregate.reported)
        moved = add(w, total, 1.0 / expected)
        if not self.adapt:
            return moved, server
        count = aggregate.upload_sum or {_BELOW: torch.zeros(1)}
        spread = self.count_noise if self.noise else 0.0
        below = float(count[_BELOW] + gaussian(count, spread, aggregate.seed, "dp_fedavg/count", **place)[_BELOW])
        new = adapted_bound(bound, below / expected, quantile=0.5, rate=self.adapt)
        return moved, {"bound": {_BOUND: torch.tensor([new], dtype=torch.float64)}}

    def _bound(self, server: ServerState) -> torch.Tensor:
        start = {_BOUND: torch.tensor([self.clip], dtype=torch.float64)}
        return server.get("bound", start)[_BOUND]
