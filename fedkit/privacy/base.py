"""A privacy mechanism, and a method: any algorithm under a mechanism.

A mechanism says who is drawn, what happens to an update before it leaves the client, what happens to the sum before
the algorithm's server step sees it, and what all this promises. The neutral answers, `Mechanism()`, protect nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from ..algorithms.aggregators import RunningMean, State, is_finite, subtract, zeros_like
from ..algorithms.base import Aggregate, Algorithm, Broadcast, ServerState, Weighting
from .keys import NO_KEY, Key, derived_key
from .primitives import sample_clients

PRIVACY = "privacy"  # the slot of a server's state that is the mechanism's


@dataclass(frozen=True)
class Mechanism:
    """The neutral answers: clients drawn in public, updates as they are."""

    name: ClassVar[str] = ""
    source: ClassVar[str] = ""  # paper and equation
    weighting: ClassVar[Weighting | None] = None  # of the clients, where the mechanism imposes it
    always_steps: ClassVar[bool] = False  # whether the server takes a step also where no client reported

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a run's configuration: the name and all parameters."""
        return {"name": self.name, **asdict(self)}

    def check(self, clients: int, clients_per_round: int) -> None:
        """Refuse a federation in which this mechanism makes no sense (`FedkitError`)."""

    def key(self, config: Mapping[str, Any], folder: Path, *, begun: bool) -> Key:
        """What a run's secret draws come from: here a key derived from its configuration, as plain data.

        `folder`: of the run; `begun`: whether it has a checkpoint already.
        """
        return derived_key(config)

    def sample(self, clients: int, k: int, *, seed: int, key: Key, round: int) -> list[int]:
        """Who trains in a round, as positions in ascending order: here `k` of them, from the seed, in public."""
        return sample_clients(clients, k, seed, round)

    def terms(self, state: State) -> State:
        """What the server tells the clients of a round, from the mechanism's own state."""
        return {}

    def protect(self, delta: State, terms: State, *, key: Key, round: int, client: str) -> tuple[State, State]:
        """The update as it leaves the client, and what the mechanism sends beside it."""
        return delta, {}

    def release(
        self, aggregate: Aggregate, state: State, *, expected: int, key: Key, round: int
    ) -> tuple[Aggregate, State]:
        """What the algorithm's server step gets to see, and the mechanism's next state.

        `expected`: clients that a round draws, on average.
        """
        return aggregate, state

    def statement(
        self,
        algorithm: Algorithm,
        clients: int,
        sampled: int,
        rounds: int,
        *,
        rests_on: str = "",
        initial: str | None = None,
    ) -> dict[str, Any] | None:
        """What a whole run promises a client, as plain data for its manifest; None: nothing is claimed.

        `rests_on`: the source of draws and noise, in words (`Key.rests_on`); `initial`: the run whose adapter it
        starts from.
        """
        return None


def sends_more(algorithm: Algorithm) -> bool:
    """Whether clients send or keep more than their update, which is all that a mechanism bounds and noises."""
    return type(algorithm).finish_client is not Algorithm.finish_client


@dataclass
class Update:
    """What a client sends and keeps after its local steps."""

    delta: State
    upload: State = field(default_factory=dict)
    client_state: State = field(default_factory=dict)

    @property
    def finite(self) -> bool:
        """Whether the server can count it."""
        return is_finite(self.delta) and is_finite(self.upload)


@dataclass(frozen=True)
class Method:
    """An algorithm under a mechanism: what server and clients do in a round, beside the training itself.

    `seed`: of draws in public; `key`: of those that privacy rests on.
    """

    algorithm: Algorithm
    mechanism: Mechanism = Mechanism()
    seed: int = 0
    key: Key = NO_KEY

    def of_run(self, config: Mapping[str, Any], folder: Path, *, begun: bool) -> Method:
        """This method with the key of a run (`Mechanism.key`)."""
        return replace(self, key=self.mechanism.key(config, folder, begun=begun))

    @property
    def weighting(self) -> Weighting:
        """How clients are weighed in the mean."""
        return self.mechanism.weighting or self.algorithm.weighting

    def sample(self, clients: int, k: int, round: int) -> list[int]:
        """Who trains in a round, as positions in ascending order."""
        return self.mechanism.sample(clients, k, seed=self.seed, key=self.key, round=round)

    def broadcast(self, w: State, server: ServerState, lr: float, round: int) -> Broadcast:
        """What every client of the round gets."""
        own = {slot: state for slot, state in server.items() if slot != PRIVACY}
        extra = self.algorithm.broadcast_extra(own, w)
        return Broadcast(w, extra, lr, round, self.mechanism.terms(server.get(PRIVACY, {})))

    def sent(self, w: State, names: Iterable[str] | None = None) -> State:
        """The tensors of an adapter that travel, in the order of `names`."""
        return {name: w[name] for name in (w if names is None else names) if self.algorithm.sends(name)}

    def update(self, message: Broadcast, local: State, client_state: State, steps: int, client: str) -> Update:
        """What a client sends and keeps: `local` is its adapter after `steps` local steps."""
        # In the model's order: a checkpoint has another, and sums over tensors would differ in their last digit.
        delta = subtract(self.sent(local), message.adapter)
        delta, told = self.mechanism.protect(delta, message.terms, key=self.key, round=message.round, client=client)
        finished = self.algorithm.finish_client(message, local, client_state, steps)
        return Update(delta, finished.upload | told, finished.client_state)

    def step(
        self,
        w: State,
        server: ServerState,
        deltas: RunningMean,
        uploads: RunningMean,
        *,
        clients: int,
        expected: int,
        round: int,
    ) -> tuple[State, ServerState]:
        """The next adapter and server state, from a round's updates; as they were where there is no step to take."""
        if not deltas.count and not self.mechanism.always_steps:
            return w, server
        mean = deltas.mean() if deltas.count else zeros_like(self.sent(w))
        aggregate = Aggregate(mean, uploads.total, deltas.count, clients)
        place = {"expected": expected, "key": self.key, "round": round}
        aggregate, private = self.mechanism.release(aggregate, server.get(PRIVACY, {}), **place)
        own = {slot: state for slot, state in server.items() if slot != PRIVACY}
        w, own = self.algorithm.server_step(w, aggregate, own)
        return w, own | ({PRIVACY: private} if private else {})

    def statement(
        self, clients: int, sampled: int, rounds: int, *, initial: str | None = None
    ) -> dict[str, Any] | None:
        """What a whole run promises a client (`Mechanism.statement`), and what that rests on."""
        return self.mechanism.statement(
            self.algorithm, clients, sampled, rounds, rests_on=self.key.rests_on, initial=initial
        )
