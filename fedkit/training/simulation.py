"""The round loop: sample clients, train each, stream their updates into a mean, let the server step, log, checkpoint.

A run is named by the hash of its configuration, so notebooks that need the same training share it; it can be stopped
at any moment and goes on from the last client. Round and rate follow FedLLM-Bench section 4 and its settings.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..algorithms.aggregators import RunningMean, State, is_finite, norm, within
from ..algorithms.base import Broadcast
from ..algorithms.registry import make_algorithm
from ..common import console
from ..common.errors import FedkitError
from ..common.files import write_text
from ..common.locks import held
from ..common.manifest import environment, peak_memory_mb
from ..data.federated import FederatedDataset
from ..privacy.base import Method
from ..privacy.keys import forget_key
from ..privacy.registry import make_mechanism
from .checkpoint import ADAPTER, MANIFEST, Checkpoint
from .client_base import frozen_gc
from .client_states import ClientStates
from .models import GOES_ON, Loaded, initial_state, load_model, load_state, nbytes, save_state
from .refusals import check, check_end, reason, without_room
from .registry import client_class
from .runs import Run, RunConfig, is_finished, kept_sums
from .specs import TrainSpec

NOT_FINITE = "update is not finite"
# The turn of a client that has nothing to train on.
NOTHING: Mapping[str, Any] = MappingProxyType(
    dict.fromkeys(("loss", "update_norm", "bounded", "state"))
    | dict.fromkeys(("steps", "tokens", "skipped_records", "bytes_down", "bytes_up"), 0)
    | {"left_out": "no record leaves room for an answer within max_length"}
)


def cosine_rate(train: TrainSpec, round: int) -> float:
    """The rate of a round: `lr_last + (lr_first - lr_last)(1 + cos(pi t / T)) / 2`, constant within it."""
    span = train.lr_first - train.lr_last
    return train.lr_last + 0.5 * span * (1 + math.cos(math.pi * round / train.rounds))


def run(
    config: RunConfig,
    dataset: FederatedDataset,
    runs_dir: str | Path,
    *,
    loaded: Loaded | None = None,
    progress: bool = True,
    on_client: Callable[[int, str], None] | None = None,
) -> Run:
    """Train, or go on training, or return what is there already, for a configuration.

    `loaded` saves loading the model again; `on_client(round, client)` is called after each committed client. Another
    process that trains the same run is waited for. `FedkitError` for a federation that does not fit.
    """
    method = Method(make_algorithm(config.algorithm, **config.params), make_mechanism(config.privacy), config.seed)
    dataset = dataset if config.clients is None else dataset.select(config.clients)
    check(config.train, dataset, method)
    folder = Path(runs_dir) / config.hash
    finished = Run(folder, config)
    checkpoint = Checkpoint(folder)
    if not finished.finished:
        before = start_of(config, Path(runs_dir))
        with held(folder / "lock", f"the run {folder}"):
            if not finished.finished:
                write_text(folder / "config.json", json.dumps(config.as_dict(), indent=1))
                method = method.of_run(config.as_dict(), folder, begun=checkpoint.path.exists())
                Simulation(config, dataset, method, folder, loaded, on_client, before).go(progress)
    checkpoint.remove()  # where a kill came after the manifest
    forget_key(folder)
    if progress and finished.remarks:
        console.say(finished.remarks)
    return finished


def start_of(config: RunConfig, runs_dir: Path) -> State | None:
    """The adapter of the finished run that a run starts from, None for a fresh one; `FedkitError` where it is lost."""
    if config.initial is None:
        return None
    folder = runs_dir / config.initial
    if not is_finished(folder, config.initial):
        raise FedkitError(f"{folder} holds no finished run, and this one starts from its adapter; train that one first")
    return load_state(folder / ADAPTER)


def weighted(clients: list[dict[str, Any]], key: str) -> float | None:
    """The mean of a number over the clients that count, by samples; None where there is none."""
    values = [(c[key], c["samples"]) for c in clients if not c["left_out"] and c[key] is not None]
    weight = sum(n for _, n in values)
    return sum(x * n for x, n in values) / weight if weight else None


class Simulation:
    """One run: its state, and the rounds that change it."""

    def __init__(
        self,
        config: RunConfig,
        dataset: FederatedDataset,
        method: Method,
        folder: Path,
        loaded: Loaded | None = None,
        on_client: Callable[[int, str], None] | None = None,
        before: State | None = None,
    ) -> None:
        self.config, self.dataset, self.method, self.folder = config, dataset, method, folder
        self.on_client = on_client
        self.loaded = loaded or load_model(config.model)
        start = before or initial_state(self.loaded.model, config.seed)
        self.given = before  # no client can draw it from the seed
        self.checkpoint = Checkpoint(folder)
        self.state = self.checkpoint.load(start)
        self.states = ClientStates(folder / "clients", len(dataset))
        self.states.recall(self.checkpoint.rounds(self.state), self.state.round, self.state.done)
        kind = client_class(config.train.task)  # last, since it is to be closed
        self.client = kind(self.loaded, dataset, config.train, seed=config.seed, start=start, folder=folder)
        self.without_room: frozenset[int] = frozenset()  # clients that cannot train, by place

    def go(self, show: bool) -> None:
        """Train what is left to train, and finish."""
        train = self.config.train
        label = f"{self.config.method} on {self.config.dataset}, seed {self.config.seed}"
        done = self.state.round * train.clients_per_round + len(self.state.done)
        bar = console.progress(
            total=train.rounds * train.clients_per_round,
            initial=done,
            desc=label,
            unit="client",
            disable=not show,
        )
        try:
            with bar, frozen_gc():
                drawn = {place for round in range(self.state.round, train.rounds) for place in self.sampled(round)}
                self.without_room = without_room(self.client, sorted(drawn))
                for round in range(self.state.round, train.rounds):
                    self.one_round(round, bar)
        finally:
            self.client.close()
        self.finish()

    def one_round(self, round: int, bar: Any) -> dict[str, Any]:
        """One round: its clients, the server's step, and the line of history that it gives."""
        train, state = self.config.train, self.state
        started = time.perf_counter() - sum(c["seconds"] for c in state.done)
        message = self.method.broadcast(state.adapter, state.server, cosine_rate(train, round), round)
        for place in self.sampled(round)[len(state.done) :]:
            state.done.append(self.one_client(place, message))
            self.checkpoint.commit_turn(state)
            if self.on_client:
                self.on_client(round, state.done[-1]["client"])
            bar.update()
        numbers = {"clients": len(self.dataset), "expected": train.clients_per_round, "round": round}
        adapter, server = self.method.step(state.adapter, state.server, state.deltas, state.uploads, **numbers)
        taken = all(map(is_finite, (adapter, *server.values())))
        if taken:
            state.adapter, state.server = adapter, server
        dropped = None if taken else "the server's step is not finite"
        line = self.summary(message, time.perf_counter() - started, dropped)
        if line["loss"] is not None:
            bar.set_postfix(loss=f"{line['loss']:.3f}")
        state.round, state.seconds = round + 1, state.seconds + line["seconds"]
        state.done, state.deltas, state.uploads = [], RunningMean(), RunningMean()
        self.checkpoint.commit_round(state, line)
        self.states.settle(line)
        return line

    def sampled(self, round: int) -> list[int]:
        """The places of a round's clients."""
        return self.method.sample(len(self.dataset), self.config.train.clients_per_round, round)

    @cached_property
    def first_drawn(self) -> dict[int, int]:
        """Client -> the round that it is first drawn in."""
        return {index: round for round in reversed(range(self.config.train.rounds)) for index in self.sampled(round)}

    def once(self, index: int, sent: State, round: int) -> State:
        """What a client lacks when it is first drawn in a run that starts from another's adapter."""
        if self.given is None or self.first_drawn[index] != round:
            return {}
        all_of_it = self.client.keeps_start and round > 0  # in round 0 what is sent is the initial adapter
        return {name: t for name, t in self.given.items() if all_of_it or name not in sent}

    def one_client(self, place: int, message: Broadcast) -> dict[str, Any]:
        """Train one client and fold its update into the round; an update that is not finite is left out."""
        began, name = time.perf_counter(), self.dataset.ids[place].as_py()
        turn = {"client": name, "place": place, "samples": int(self.dataset.sizes[place])}
        if place in self.without_room:
            return turn | dict(NOTHING) | {"seconds": time.perf_counter() - began}
        own = self.states.load(place)
        result = self.client.train(name, message, self.method.algorithm, own)
        local, bound, distance = result.local, self.config.train.max_update_norm, None
        if bound is not None:
            local, distance = within(local, message.adapter, bound)
        update = self.method.update(message, local, own, result.steps, name)
        state = None
        if good := update.finite:
            weight = float(turn["samples"]) if self.method.weighting == "samples" else 1.0
            self.state.deltas.add(update.delta, weight)
            if update.upload:
                self.state.uploads.add(update.upload, 1.0)
            state = self.states.save(place, message.round, update.client_state)
        sent = self.method.sent(message.adapter)
        return turn | {
            "loss": result.loss if math.isfinite(result.loss) else None,
            "update_norm": norm(update.delta) if good else None,
            **{key: value if math.isfinite(value) else None for key, value in result.metrics.items()},
            "left_out": None if good else NOT_FINITE,
            "bounded": distance if local is not result.local else None,  # the norm before it was scaled down
            "state": state,
            "steps": result.steps,
            "tokens": result.tokens,
            "skipped_records": result.skipped,
            "bytes_down": nbytes(sent, message.extra, message.terms, self.once(place, sent, message.round)),
            "bytes_up": nbytes(update.delta, update.upload),
            "seconds": time.perf_counter() - began,
        }

    def summary(self, message: Broadcast, seconds: float, dropped: str | None) -> dict[str, Any]:
        """A finished round's line of history."""
        done = self.state.done
        kind = client_class(self.config.train.task)
        return {
            "round": message.round,
            "lr": message.lr,
            **{key: weighted(done, key) for key in ("loss", *kind.metrics)},
            "reported": sum(not c["left_out"] for c in done),
            "left_out": [c["client"] for c in done if c["left_out"]],
            "bounded": [c["client"] for c in done if c["bounded"] is not None],
            "dropped": dropped,
            "bytes_down": sum(c["bytes_down"] for c in done),
            "bytes_up": sum(c["bytes_up"] for c in done),
            "tokens": sum(c["tokens"] for c in done),
            "seconds": seconds,
            "clients": done,
        }

    def finish(self) -> None:
        """Write the adapter, and the manifest that makes the run a finished one.

        `FedkitError` where no round of the last ones counted; then it is none.
        """
        train, totals, whys = self.config.train, Counter[str](), list[str | None]()
        for line in self.checkpoint.rounds(self.state):
            whys.append(reason(line))
            totals.update({key: line[key] for key in ("bytes_down", "bytes_up", "tokens")})
            totals.update({key: len(line[key]) for key in ("left_out", "bounded")})
            totals["dropped"] += line["dropped"] is not None
        if len(whys) != train.rounds:
            raise RuntimeError(f"{self.folder}: {len(whys)} rounds of {train.rounds} when the run was to be finished")
        check_end(whys)
        privacy = self.method.statement(
            len(self.dataset), train.clients_per_round, train.rounds, initial=self.config.initial
        )
        save_state(self.state.adapter, self.folder / ADAPTER, remedy=GOES_ON)
        manifest = {
            "config": self.config.as_dict(),
            "files": kept_sums(self.folder),
            "rounds": len(whys),
            "seconds": self.state.seconds,
            **{key: totals[key] for key in ("bytes_down", "bytes_up", "tokens", "left_out", "bounded", "dropped")},
            "privacy": privacy,
            "peak_memory_mb": peak_memory_mb(),
            **environment(self.loaded.device),
        }
        write_text(self.folder / MANIFEST, json.dumps(manifest, indent=1), remedy=GOES_ON)
