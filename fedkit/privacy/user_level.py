"""User-level DP over any algorithm: McMahan et al. 2018, "Learning differentially private recurrent language models".

The mean update of a round becomes (algorithm 1)

    D = (1 / m) (sum_k clip_S(w_k - w_t) + N(0, z^2 S^2 I))

over the clients k that take part, each by a secret coin of probability q = m / n (`poisson`) or m of them drawn in
secret without replacement (`fixed`). The weights are fixed: m is the expected number, not the number that came, and
samples do not count. Noise is added also in a round in which nobody took part. FedAvg adds D; what any other server
makes of it (FedAdam, FedAvgM) is post-processing, and what a client does before clipping (FedProx) does not matter, so
epsilon is the same. It does where a client sends more than its update, or keeps a state (SCAFFOLD): none is stated.

With `adapt` the bound follows the median of the norms (Andrew et al. 2021, "Differentially private learning with
adaptive clipping", algorithm 1 and theorem 1): each client also sends b - 1/2, where b is 1 if its norm was at most S
and else 0. That has size 1/2 whatever b is, so under noise of deviation `count_noise` on the sum it costs
(2 count_noise)^-2; the updates' noise grows to z' = (z^-2 - (2 count_noise)^-2)^(-1/2), and both together cost z.

What epsilon covers: the sequence of global adapters, against whoever sees all of them, and nothing else: publish no
other file of a run's folder (its history, clients/, reference/ and manifest hold exact losses, norms and counts). Each
run has draws and noise of its own (`keys`): by default from a key of its seed and whole configuration, which repeats
the run to the bit and holds against who does not know the seed. For adapters that are published take
`randomness="system"`, or a seed of 128 secret bits (`secrets.randbits(128)`) that stands nowhere else. Runs on the same
records that are all published cost the sum of their epsilons; so does a run that starts from another's adapter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch

from ..algorithms.aggregators import State
from ..algorithms.base import Aggregate, Algorithm, Weighting
from ..common.errors import FedkitError, unknown
from ..common.hyperparameters import require
from .accounting import Sampling, epsilon
from .base import Mechanism, sends_more
from .keys import Key, derived_key, kept_key
from .primitives import adapted_bound, clipped, fixed_sample, gaussian, poisson_sample

RANDOMNESS = ("seed", "system")
BOUND, BELOW = "dp/bound", "dp/below"


@dataclass(frozen=True)
class UserLevelDP(Mechanism):
    """Clipped updates and noise on their sum; `epsilon_of` states what a run of it spends, or refuses.

    `clip`: S, or where it starts; `noise`: the noise multiplier z; `sampling`: poisson or fixed; `adapt`: the rate of
    the adaptive bound, 0 for a fixed one; `count_noise`: deviation on the sum of "below" (the paper advises m / 20);
    `randomness`: where draw and noise come from, `seed` (with the whole configuration: the run can be repeated) or
    `system` (nobody can); `secret`: whether the seed stays unknown (see above); `delta`: of the epsilon in a run's
    manifest, well below one over the number of clients.
    """

    name: ClassVar[str] = "user_level"
    source: ClassVar[str] = "McMahan et al. 2018, algorithm 1"
    weighting: ClassVar[Weighting | None] = "uniform"
    always_steps: ClassVar[bool] = True
    clip: float = 1.0
    noise: float = 0.0
    sampling: str = "poisson"
    adapt: float = 0.0
    count_noise: float = 1.0
    randomness: str = "seed"
    secret: bool = True
    delta: float = 1e-4

    def __post_init__(self) -> None:
        for field in ("clip", "count_noise"):
            require(self, field, above=0)
        for field in ("noise", "adapt"):
            require(self, field, least=0)
        require(self, "delta", above=0, below=1)
        Sampling(self.sampling, 1, 1)  # refuses an unknown kind
        if self.randomness not in RANDOMNESS:
            raise unknown("randomness", self.randomness, RANDOMNESS)
        if self.randomness == "system" and not self.secret:
            raise FedkitError("secret=False says that the seed is known, and randomness='system' does not use it")
        if self.adapt and self.noise >= 2 * self.count_noise:
            raise FedkitError(
                f"count_noise {self.count_noise} leaves no room for a noise multiplier of {self.noise}; raise it above"
                f" {self.noise / 2:g}"
            )

    @property
    def update_noise(self) -> float:
        """The multiplier on the updates: z, or z' where the bound adapts."""
        if not self.adapt or not self.noise:
            return self.noise
        return self.noise / math.sqrt(1 - (self.noise / (2 * self.count_noise)) ** 2)  # the same, without z^-2

    def check(self, clients: int, clients_per_round: int) -> None:
        """One client alone is refused: there is no sum of several in which it could hide."""
        if clients < 2:
            raise FedkitError(
                "user-level privacy hides a client among others, but this run has one client alone, whose adapter"
                " nobody else gets; train it without `privacy`, or a federation of several clients"
            )

    def key(self, config: Mapping[str, Any], folder: Path, *, begun: bool) -> Key:
        """Derived from the configuration, or the system's, kept in the run's folder until it ends."""
        return kept_key(folder, begun=begun) if self.randomness == "system" else derived_key(config)

    def sample(self, clients: int, k: int, *, seed: int, key: Key, round: int) -> list[int]:
        """By coins or by number; the simulation's draw stands for one that nobody sees."""
        if self.sampling == "poisson":
            return poisson_sample(clients, k / clients, key, round)
        return fixed_sample(clients, k, key, round)

    def terms(self, state: State) -> State:
        """The round's bound, where it adapts."""
        return {BOUND: self._bound(state)} if self.adapt else {}

    def protect(self, delta: State, terms: State, *, key: Key, round: int, client: str) -> tuple[State, State]:
        """The update, clipped; where the bound adapts, whether its norm was within it, as 1/2 or -1/2."""
        bound = float(terms.get(BOUND, self.clip))
        delta, size = clipped(delta, bound)
        return delta, {BELOW: torch.tensor([float(size <= bound) - 0.5])} if self.adapt else {}

    def release(
        self, aggregate: Aggregate, state: State, *, expected: int, key: Key, round: int
    ) -> tuple[Aggregate, State]:
        """The noised sum over the expected number; who came, and how many, depends on data and is not handed on."""
        bound = float(self._bound(state))
        noise = gaussian(aggregate.delta, self.update_noise * bound, key, "user_level/noise", round=round)
        total = {name: t * aggregate.reported + noise[name] for name, t in aggregate.delta.items()}
        others = {name: t for name, t in aggregate.upload_sum.items() if name != BELOW}
        released = replace(aggregate, delta=total, scale=1.0 / expected, upload_sum=others, reported=expected)
        if not self.adapt:
            return released, state
        count = {BELOW: aggregate.upload_sum.get(BELOW, torch.zeros(1))}
        spread = self.count_noise if self.noise else 0.0
        noised = float(count[BELOW] + gaussian(count, spread, key, "user_level/count", round=round)[BELOW])
        below = min(1.0, max(0.0, 0.5 + noised / expected))
        new = adapted_bound(bound, below, quantile=0.5, rate=self.adapt)
        return released, {BOUND: torch.tensor([new], dtype=torch.float64)}

    def _bound(self, state: State) -> torch.Tensor:
        return state.get(BOUND, torch.tensor([self.clip], dtype=torch.float64))

    def epsilon_of(self, sampled: int, clients: int, rounds: int, delta: float) -> float:
        """Epsilon for a user after `rounds` rounds (`accounting.epsilon`); none where the seed is known."""
        if not self.secret:
            raise FedkitError(
                "the seed is not secret, so draw and noise can be computed and no epsilon is stated; keep it secret"
            )
        return epsilon(self.noise, Sampling(self.sampling, sampled, clients), rounds, delta)

    def statement(
        self,
        algorithm: Algorithm,
        clients: int,
        sampled: int,
        rounds: int,
        *,
        rests_on: str = "",
        initial: str | None = None,
    ) -> dict[str, Any]:
        """Noise, bound and epsilon of a run, or why there is none.

        None also where the first adapter was made of records before the run.
        """
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
            "covers": "the global adapters of this run's rounds and no other file of its folder",
            "rests_on": rests_on,
        }
        if sends_more(algorithm):
            why = f"clients of {algorithm.name} send or keep more than their update, which is not clipped or noised; no"
            return {**said, "refused": f"{why} epsilon is stated. Choose an algorithm that sends updates alone"}
        try:
            spent = self.epsilon_of(sampled, clients, rounds, self.delta)
        except FedkitError as refused:
            return {**said, "refused": str(refused)}
        if not math.isfinite(spent):
            return {**said, "refused": "there is no noise, or less than can be accounted for"}
        if initial is None:
            return {**said, "epsilon": spent}
        why = f"the run starts from the adapter of run {initial}, whose use of clients' records it does not count; add"
        why += " that run's epsilon and delta, if it has them, to epsilon_of_these_rounds and delta"
        return {**said, "epsilon_of_these_rounds": spent, "refused": why}
