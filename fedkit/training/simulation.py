"""The round loop: sample clients, train each, stream their updates into a mean, let the server step, log, checkpoint.

A run is named by the hash of its configuration, so notebooks that need the same training share it; it can be stopped
at any moment and goes on from the last client. Round and rate follow FedLLM-Bench section 4 and its settings.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..algorithms.aggregators import RunningMean, State, norm
from ..algorithms.base import Broadcast
from ..algorithms.registry import make_algorithm
from ..common import console
from ..common.errors import FedkitError
from ..common.files import write_text
from ..common.manifest import environment, peak_memory_mb
from ..data.federated import FederatedDataset
from ..privacy.base import Method
from ..privacy.keys import forget_key
from ..privacy.registry import make_mechanism
from .checkpoint import (
    ClientStates,
    Progress,
    append_history,
    load_progress,
    mend_history,
    read_history,
    remove_strays,
    save_progress,
)
from .client_base import frozen_gc
from .models import Loaded, initial_state, load_model, nbytes, save_state
from .registry import check_columns, client_class
from .runs import Run, RunConfig
from .specs import TrainSpec


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
    check(config, dataset, method)
    folder = Path(runs_dir) / config.hash
    finished = Run(folder, config)
    if (folder / "manifest.json").exists():
        forget_key(folder)
        return finished
    before = start_of(config, Path(runs_dir))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock").acquire()
    except OSError as error:
        raise FedkitError(f"{folder}: cannot be written ({error.strerror}); give another --results folder") from error
    with lock:
        if not (folder / "manifest.json").exists():
            write_text(folder / "config.json", json.dumps(config.as_dict(), indent=1))
            method = method.of_run(config.as_dict(), folder, begun=(folder / "checkpoint.safetensors").exists())
            Simulation(config, dataset, method, folder, loaded, on_client, before).go(progress)
    return finished


def check(config: RunConfig, dataset: FederatedDataset, method: Method) -> None:
    """Refuse a configuration that cannot run, before anything is written (`FedkitError`)."""
    train, n = config.train, len(dataset)
    for name in ("rounds", "clients_per_round", "local_steps", "batch_size", "grad_accum", "max_length"):
        value = getattr(train, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise FedkitError(f"{name} is {value!r}; it must be a whole number of at least 1")
    for name in ("lr_first", "lr_last", "max_grad_norm", "beta", "dynamic_epochs"):
        value = getattr(train, name)
        if name == "dynamic_epochs" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise FedkitError(f"{name} is {value!r}; it must be a number above 0")
    if train.clients_per_round > n:
        raise FedkitError(
            f"a round samples {train.clients_per_round} clients, but {dataset.name} has {n}; "
            "lower clients_per_round or the minimum of records a client needs"
        )
    check_columns(train.task, dataset)
    method.algorithm.check(n, train.clients_per_round)
    method.mechanism.check(n, train.clients_per_round)


def start_of(config: RunConfig, runs_dir: Path) -> Run | None:
    """The finished run whose adapter a run starts from, None for a fresh one; `FedkitError` where it is not there."""
    if config.initial is None:
        return None
    folder = runs_dir / config.initial
    if not (folder / "manifest.json").exists():
        raise FedkitError(f"{folder} holds no finished run, and this one starts from its adapter; train that one first")
    return Run(folder, config)


def weighted(clients: list[dict[str, Any]], key: str) -> float | None:
    """The mean of a number over the clients that count, by samples; None where there is none."""
    values = [(c[key], c["samples"]) for c in clients if c[key] is not None and not c["left_out"]]
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
        before: Run | None = None,
    ) -> None:
        self.config, self.dataset, self.method, self.folder = config, dataset, method, folder
        self.on_client = on_client
        self.loaded = loaded or load_model(config.model)
        remove_strays(folder)
        self.states = ClientStates(folder / "clients")
        self.checkpoint, self.history = folder / "checkpoint.safetensors", folder / "history.jsonl"
        start = before.adapter if before else initial_state(self.loaded.model, config.seed)
        self.given = start if before else None  # no client can draw it from the seed
        self.state = load_progress(self.checkpoint) or Progress(start)
        mend_history(self.history, self.state)
        kind = client_class(config.train.task)  # last, since it is to be closed
        self.client = kind(self.loaded, dataset, config.train, seed=config.seed, start=start, folder=folder)

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
                for round in range(self.state.round, train.rounds):
                    self.one_round(round, bar)
        finally:
            self.client.close()
        self.finish()

    def one_round(self, round: int, bar: Any) -> None:
        """One round: its clients, the server's step, a line of history."""
        train, state = self.config.train, self.state
        started = time.perf_counter() - sum(c["seconds"] for c in state.done)
        message = self.method.broadcast(state.adapter, state.server, cosine_rate(train, round), round)
        for index in self.sampled(round)[len(state.done) :]:
            state.done.append(self.one_client(index, message))
            save_progress(self.checkpoint, state)
            if self.on_client:
                self.on_client(round, self.dataset.ids[index].as_py())
            bar.update()
        numbers = {"clients": len(self.dataset), "expected": train.clients_per_round, "round": round}
        state.adapter, state.server = self.method.step(
            state.adapter, state.server, state.deltas, state.uploads, **numbers
        )
        line = self.summary(message, time.perf_counter() - started)
        if line["loss"] is not None:
            bar.set_postfix(loss=f"{line['loss']:.3f}")
        state.last, state.round, state.seconds = line, round + 1, state.seconds + line["seconds"]
        state.done, state.deltas, state.uploads = [], RunningMean(), RunningMean()
        save_progress(self.checkpoint, state)
        append_history(self.history, line)

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

    def one_client(self, index: int, message: Broadcast) -> dict[str, Any]:
        """Train one client and fold its update into the round; an update that is not finite is left out."""
        began, name = time.perf_counter(), self.dataset.ids[index].as_py()
        own = self.states.load(index, message.round)
        result = self.client.train(name, message, self.method.algorithm, own)
        update = self.method.update(message, result.local, own, result.steps, name)
        samples = int(self.dataset.sizes[index])
        if good := update.finite:
            self.state.deltas.add(update.delta, float(samples) if self.method.weighting == "samples" else 1.0)
            if update.upload:
                self.state.uploads.add(update.upload, 1.0)
            self.states.save(index, message.round, update.client_state)
        sent = self.method.sent(message.adapter)
        return {
            "client": name,
            "samples": samples,
            "loss": result.loss if math.isfinite(result.loss) else None,
            "update_norm": norm(update.delta) if good else None,
            **{key: value if math.isfinite(value) else None for key, value in result.metrics.items()},
            "left_out": None if good else "update is not finite",
            "steps": result.steps,
            "tokens": result.tokens,
            "skipped_records": result.skipped,
            "bytes_down": nbytes(sent, message.extra, message.terms, self.once(index, sent, message.round)),
            "bytes_up": nbytes(update.delta, update.upload),
            "seconds": time.perf_counter() - began,
        }

    def summary(self, message: Broadcast, seconds: float) -> dict[str, Any]:
        """A finished round's line of history."""
        done = self.state.done
        kind = client_class(self.config.train.task)
        return {
            "round": message.round,
            "lr": message.lr,
            **{key: weighted(done, key) for key in ("loss", *kind.metrics)},
            "reported": sum(not c["left_out"] for c in done),
            "left_out": [c["client"] for c in done if c["left_out"]],
            "bytes_down": sum(c["bytes_down"] for c in done),
            "bytes_up": sum(c["bytes_up"] for c in done),
            "tokens": sum(c["tokens"] for c in done),
            "seconds": seconds,
            "clients": done,
        }

    def finish(self) -> None:
        """Write the adapter, and the manifest that makes the run a finished one."""
        train, history = self.config.train, read_history(self.history)
        privacy = self.method.statement(
            len(self.dataset), train.clients_per_round, train.rounds, initial=self.config.initial
        )
        save_state(self.state.adapter, self.folder / "adapter.safetensors")
        manifest = {
            "config": self.config.as_dict(),
            "rounds": len(history),
            "seconds": self.state.seconds,
            "bytes_down": sum(line["bytes_down"] for line in history),
            "bytes_up": sum(line["bytes_up"] for line in history),
            "tokens": sum(line["tokens"] for line in history),
            "left_out": sum(len(line["left_out"]) for line in history),
            "privacy": privacy,
            "peak_memory_mb": peak_memory_mb(),
            **environment(self.loaded.device),
        }
        write_text(self.folder / "manifest.json", json.dumps(manifest, indent=1))
        self.checkpoint.unlink(missing_ok=True)
        forget_key(self.folder)
