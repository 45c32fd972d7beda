"""SCAFFOLD: Karimireddy et al. 2020, "Stochastic controlled averaging for federated learning", algorithm 1, option II.

Control variates c (server) and c_k (client) estimate the directions of the global and the local gradient; each local
step is shifted by their difference, and N is the number of all clients:

    w <- w - lr (c - c_k)                                  after each local step
    c_k' = c_k - c + (w_t - w_k) / (K lr)                  after K steps
    w_{t+1} = w_t + mean(w_k - w_t),  c' = c + (1/N) sum_k (c_k' - c_k)

The mean weighs clients by records, as the reference systems do; the paper's is plain, as c is (notebook 33 shows where
that leads). The shift follows the optimizer's step, as FedLLM-Bench runs it: with SGD that is the paper's
y - lr (g - c_k + c); with AdamW the variates are those of the optimizer's steps rather than of the raw gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .aggregators import State, add, subtract, zeros_like
from .base import Aggregate, Algorithm, Broadcast, Finished, LocalRule, Parameters, ServerState, on_device


@dataclass(frozen=True)
class Scaffold(Algorithm):
    """FedAvg with control variates; a client that was never drawn has c_k = 0 and takes no memory."""

    name: ClassVar[str] = "scaffold"
    source: ClassVar[str] = "Karimireddy et al. 2020, algorithm 1, option II"

    def broadcast_extra(self, server: ServerState, adapter: State) -> State:
        """The server's variate c."""
        return server.get("c") or zeros_like(adapter)

    def local_rule(self, message: Broadcast, client_state: State, device: object) -> LocalRule:
        """The shift by lr (c - c_k) after each step."""
        difference = subtract(message.extra, client_state or zeros_like(message.adapter))
        correction = on_device({name: message.lr * d for name, d in difference.items()}, device)

        def shift(parameters: Parameters) -> None:
            for name, p in parameters.items():
                p.sub_(correction[name])

        return LocalRule(on_step=shift)

    def finish_client(self, message: Broadcast, local: State, client_state: State, steps: int) -> Finished:
        """The new c_k, and its change for the server."""
        own = client_state or zeros_like(message.adapter)
        moved = subtract(message.adapter, local)
        new = add(subtract(own, message.extra), moved, 1.0 / (steps * message.lr))
        return Finished(client_state=new, upload=subtract(new, own))

    def server_step(self, w: State, aggregate: Aggregate, server: ServerState) -> tuple[State, ServerState]:
        """FedAvg's step, and c moved by the mean change over all N clients."""
        c = server.get("c") or zeros_like(w)
        return aggregate.added_to(w), {"c": add(c, aggregate.upload_sum, 1.0 / aggregate.clients)}
