"""What names a training run and what is left of it on disk: `runs/<hash>/`."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..algorithms.base import Algorithm
from ..common.code import ROOT, code_hash
from ..common.files import read_json
from ..privacy.base import Mechanism
from .checkpoint import read_history
from .models import State, load_state
from .registry import client_module
from .specs import ModelSpec, TrainSpec


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run's result depends on."""

    dataset: str  # name, for people
    fingerprint: str  # content of the federated dataset
    algorithm: str
    model: ModelSpec
    train: TrainSpec
    seed: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    clients: tuple[str, ...] | None = None  # the part of the federation that takes part; None: all
    base: str = ""  # content of the base model (`models.base_fingerprint`)
    code: str = ""  # the training code (`training_code`); with another, an old run is not taken for a new one
    initial: str | None = None  # the hash of the run whose adapter it starts from; None: a fresh one from the seed
    privacy: Mapping[str, Any] | None = None  # a mechanism's name and parameters (`Mechanism.as_dict`); None: none

    @property
    def method(self) -> str:
        """The algorithm, and the privacy mechanism that it runs under."""
        return self.algorithm + (f" under {self.privacy['name']} privacy" if self.privacy else "")

    @property
    def hash(self) -> str:
        """Twelve hex digits that name the run."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:12]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for `config.json`."""
        return {**asdict(self), "params": dict(self.params), "privacy": self.privacy and dict(self.privacy)}


@functools.cache
def training_code(
    algorithm: type[Algorithm], mechanism: type[Mechanism] = Mechanism, task: str = "sft", root: Path = ROOT
) -> str:
    """A hash of the source that a trained adapter depends on: the simulation, and what this run takes from registries.

    A new algorithm, mechanism or task renames no run; a new file that a run reaches by imports does.
    """
    modules = {algorithm.__module__, mechanism.__module__, client_module(task)}
    return code_hash("fedkit.training.simulation", *sorted(modules), root=root)


@dataclass(frozen=True)
class Run:
    """A finished run on disk."""

    folder: Path
    config: RunConfig

    @property
    def adapter(self) -> State:
        """The final global adapter."""
        return load_state(self.folder / "adapter.safetensors")

    @property
    def history(self) -> list[dict[str, Any]]:
        """One dict a round: loss, rate, clients, bytes, seconds."""
        return read_history(self.folder / "history.jsonl")

    @property
    def manifest(self) -> dict[str, Any]:
        """Versions, device, wall time, peak memory, bytes, tokens."""
        return read_json(self.folder / "manifest.json")
