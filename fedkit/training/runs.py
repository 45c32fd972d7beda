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
from ..common.errors import FedkitError
from ..common.files import read_json
from ..privacy.base import Mechanism
from .checkpoint import ADAPTER, HISTORY, MANIFEST, read_lines
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
        return hash_of(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Plain data for `config.json`."""
        return {**asdict(self), "params": dict(self.params), "privacy": self.privacy and dict(self.privacy)}


def hash_of(config: Mapping[str, Any]) -> str:
    """The name of a run by its configuration as plain data."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]


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
    def finished(self) -> bool:
        """Whether it was trained to its end, and all that it left is there as it was written (`is_finished`)."""
        return is_finished(self.folder, self.config.hash)

    @property
    def adapter(self) -> State:
        """The final global adapter; `FedkitError` where it is not the one that was trained."""
        self._check()
        return load_state(self.folder / ADAPTER)

    @property
    def history(self) -> list[dict[str, Any]]:
        """One dict a round: loss, rate, clients, bytes, seconds; `FedkitError` where lines of it are lost."""
        self._check()
        return list(read_lines(self.folder / HISTORY))

    @property
    def manifest(self) -> dict[str, Any]:
        """Versions, device, wall time, peak memory, bytes, tokens."""
        self._check()
        return read_json(self.folder / MANIFEST)

    @property
    def remarks(self) -> str:
        """What did not count as it came, in a sentence for whoever reads the numbers; empty where all did."""
        manifest = self.manifest
        parts = {
            "left_out": "updates left out",
            "bounded": f"updates scaled down to max_update_norm {self.config.train.max_update_norm}",
            "dropped": "rounds dropped, since the server's step was not finite",
        }
        counted = [f"{manifest[key]} {words}" for key, words in parts.items() if manifest[key]]
        name = f"{self.config.method} on {self.config.dataset}, seed {self.config.seed}"
        return f"{name}: {'; '.join(counted)} (run {self.config.hash})" if counted else ""

    def _check(self) -> None:
        if not self.finished:
            raise FedkitError(f"{self.folder} holds no finished run; train it first")


def is_finished(folder: Path, hash: str) -> bool:
    """Whether the run of that name in a folder was trained to its end, and all that it left is there as it was written.

    `FedkitError` where it was trained to its end, and what is left of it cannot be read or does not fit.
    """
    manifest = _content(folder / MANIFEST)
    if manifest is None:
        return False
    fault = _fault(folder, hash, manifest)
    if fault:
        raise FedkitError(f"{folder} holds a finished run, but {fault}; delete this folder to train the run anew")
    return True


def kept_sums(folder: Path) -> dict[str, str]:
    """The checksums of what a finished run leaves beside its manifest, for the manifest."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (HISTORY, ADAPTER)}


def _fault(folder: Path, hash: str, manifest: bytes) -> str | None:
    """What does not fit in a finished run, in words; None where all does."""
    try:
        known = json.loads(manifest)
        sums, config = known["files"], known["config"]
        if not isinstance(sums, dict) or set(sums) != {HISTORY, ADAPTER}:
            raise ValueError("checksums")
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"its {MANIFEST} is not one of this version of fedkit (cut, edited or older)"
    if hash_of(config) != hash:
        return f"its {MANIFEST} is that of another configuration"
    for name, expected in sums.items():
        content = _content(folder / name)
        if content is None:
            return f"its {name} is missing"
        if hashlib.sha256(content).hexdigest() != expected:
            return f"its {name} is not as it was written"
    return None


def _content(path: Path) -> bytes | None:
    """A file's bytes; None where there is none. `FedkitError` where it cannot be read."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FedkitError(
            f"{path} cannot be read ({error.strerror}); mend its rights (chmod a+r), or ask its owner to"
        ) from error
