"""The contract of an algorithm: three questions, each with a neutral answer here.

1. What happens to a local step? `local_rule`: nothing, a change of the gradient, or a shift of the weights.
2. What does a client keep between rounds? `finish_client`: nothing, or a state that the simulation stores for it.
3. How does the server turn the mean update into the next global adapter? `server_step`: it adds it.

An algorithm is a frozen dataclass of its hyperparameters. It never trains, never touches disk and knows nothing of
privacy (`fedkit.privacy` wraps it), so the same object serves SFT and DPO, the in-process simulation and a network of
machines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import Parameter

from .aggregators import State

ServerState = dict[str, State]
Parameters = Mapping[str, Parameter]
Weighting = Literal["samples", "uniform"]


@dataclass(frozen=True)
class Broadcast:
    """What a client gets at the start of a round."""

    adapter: State  # the global one
    extra: State  # what the algorithm's server sends beside it
    lr: float  # the round's rate
    round: int
    terms: State = field(default_factory=dict)  # what a privacy mechanism tells the clients


def _nothing(parameters: Parameters) -> None:
    pass


@dataclass(frozen=True)
class LocalRule:
    """What an algorithm does to each local step; both are called without gradient tracking."""

    on_gradient: Callable[[Parameters], None] = _nothing  # may change `parameter.grad`, before clipping
    on_step: Callable[[Parameters], None] = _nothing  # may change the weights, after the optimizer's step


@dataclass
class Finished:
    """What a client has after its last local step."""

    client_state: State = field(default_factory=dict)  # kept by the client until it is drawn again
    upload: State = field(default_factory=dict)  # sent to the server beside the adapter's delta


@dataclass(frozen=True)
class Aggregate:
    """The round's updates as the server sees them, already streamed into means and sums."""

    delta: State  # scale * delta is the mean of local - global, of the tensors that the algorithm sends
    upload_sum: State  # plain sum of the clients' uploads, empty where the algorithm sends none
    reported: int  # clients whose update counted
    clients: int  # all clients of the federation
    scale: float = 1.0

    @property
    def mean(self) -> State:
        """The mean update."""
        return self.delta if self.scale == 1.0 else {name: self.scale * t for name, t in self.delta.items()}

    def added_to(self, w: State) -> State:
        """w plus the mean update; a tensor that does not travel stays the very tensor that it was."""
        return {n: torch.add(t, self.delta[n], alpha=self.scale) if n in self.delta else t for n, t in w.items()}


@dataclass(frozen=True)
class Algorithm:
    """The neutral answers; its `server_step` is federated averaging."""

    name: ClassVar[str] = ""
    source: ClassVar[str] = ""  # paper and equation
    weighting: ClassVar[Weighting] = "samples"

    def check(self, clients: int, clients_per_round: int) -> None:
        """Refuse a federation that this algorithm is not defined for (`FedkitError`)."""

    def sends(self, name: str) -> bool:
        """Whether this tensor of the adapter travels, down and up.

        One that does not keeps its initial value, which every client draws from the run's seed, or gets once where the
        run starts from another's adapter. `Aggregate.delta` then lacks it.
        """
        return True

    def broadcast_extra(self, server: ServerState, adapter: State) -> State:
        """What the server sends beside the global adapter."""
        return {}

    def local_rule(self, message: Broadcast, client_state: State, device: object) -> LocalRule | None:
        """Question 1."""
        return None

    def finish_client(self, message: Broadcast, local: State, client_state: State, steps: int) -> Finished:
        """Question 2: `local` is the adapter after `steps` optimizer steps."""
        return Finished()

    def server_step(self, w: State, aggregate: Aggregate, server: ServerState) -> tuple[State, ServerState]:
        """Question 3: the next global adapter and the server's own state."""
        return aggregate.added_to(w), server


def on_device(state: State, device: object) -> dict[str, Tensor]:
    """A state's tensors on the training device, for use inside local steps."""
    return {name: t.to(device) for name, t in state.items()}
