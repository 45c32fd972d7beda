"""The contract of an algorithm: three questions, each with a neutral answer here.

1. What happens to a local step? `local_rule`: nothing, a change of the gradient, or a shift of the weights.
2. What does a client keep between rounds? `finish_client`: nothing, or a state that the simulation stores for it.
3. How does the server turn the mean update into the next global adapter? `server_step`: it adds it.

An algorithm is a frozen dataclass of its hyperparameters. It never trains and never touches disk, so the same object
serves SFT and DPO, the in-process simulation and a network of machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from torch import Tensor
from torch.nn import Parameter

from .aggregators import State, add
from .sampling import sample_clients

ServerState = dict[str, State]
Parameters = Mapping[str, Parameter]


@dataclass(frozen=True)
class Broadcast:
    """What a client gets at the start of a round: global adapter, the server's extra state, the round's rate."""

    adapter: State
    extra: State
    lr: float
    round: int


class LocalRule:
    """What an algorithm does to each local step; this one does nothing."""

    def on_gradient(self, parameters: Parameters) -> None:
        """Change `parameter.grad` after the backward pass and before clipping."""

    def on_step(self, parameters: Parameters) -> None:
        """Change the weights after the optimizer's step."""


@dataclass
class Finished:
    """What a client has after its last local step."""

    client_state: State = field(default_factory=dict)  # kept by the client until it is drawn again
    upload: State = field(default_factory=dict)  # sent to the server beside the adapter's delta


@dataclass(frozen=True)
class Aggregate:
    """The round's updates as the server sees them, already streamed into means and sums."""

    delta: State  # weighted mean of local - global, of the tensors that the algorithm sends
    upload_sum: State  # plain sum of the clients' uploads, empty where the algorithm sends none
    reported: int  # clients whose update counted
    clients: int  # all clients of the federation
    sampled: int = 0  # clients that a round draws or is expected to draw; 0: not known
    seed: int = 0  # of the run, and the round: for noise that the server adds
    round: int = 0


@dataclass(frozen=True)
class Algorithm:
    """The neutral answers; its `server_step` is federated averaging."""

    name: ClassVar[str] = ""
    source: ClassVar[str] = ""  # paper and equation
    weighting: ClassVar[Literal["samples", "uniform"]] = "samples"
    steps_alone: ClassVar[bool] = False  # whether the server takes a step also where no client reported

    def check(self, clients: int, clients_per_round: int) -> None:
        """Refuse a federation that this algorithm is not defined for (`FedkitError`)."""

    def privacy(self, clients: int, sampled: int, rounds: int) -> dict[str, Any] | None:
        """What a whole run promises a client, as plain data for its manifest; None: nothing is claimed."""
        return None

    def sample(self, clients: int, k: int, seed: int, round: int) -> list[int]:
        """Who trains in a round, as positions in ascending order: here `k` of them without replacement."""
        return sample_clients(clients, k, seed, round)

    def protect(self, message: Broadcast, delta: State, *, seed: int, client: str) -> State:
        """What the client does to its update before it leaves: here nothing."""
        return delta

    def sends(self, name: str) -> bool:
        """Whether this tensor of the adapter travels, down and up.

        One that does not keeps its initial value, which every client draws from the run's seed, or gets once where the
        run starts from another's adapter. `Aggregate.delta` then lacks it, so such an algorithm has a `server_step` of
        its own.
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
        return add(w, aggregate.delta), server


def on_device(state: State, device: object) -> dict[str, Tensor]:
    """A state's tensors on the training device, for use inside local steps."""
    return {name: t.to(device) for name, t in state.items()}
