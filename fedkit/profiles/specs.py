"""The numbers of a run as frozen data. Fields cite where their paper value stands.

"settings" means the facts read from the two reference systems' public scripts (see the paper module's SETTINGS).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..common.errors import unknown
from ..evaluation.specs import EvalSpec
from ..training.specs import ModelSpec, TrainSpec


@dataclass(frozen=True)
class DatasetSpec:
    """How one federated dataset is cut in a profile, and how a model is trained on it."""

    train: TrainSpec
    model: ModelSpec | None = None  # None: the profile's
    minimum: int = 1  # records a client needs to stay
    n_clients: int | None = None  # for artificial splits; None where the split is natural
    max_records_per_client: int | None = None
    raw_records: int | None = None  # size of the embedded raw corpus; None: all that the source holds
    mean_tokens: int | None = None  # of a prompt with its answer, for estimates of time; None: max_length
    test_questions: int = 20  # a language (Fed-Aya) or in all; 0: no Ref questions
    # Hyperparameters by algorithm, over the profile's.
    algorithms: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}), hash=False)


@dataclass(frozen=True)
class Profile:
    """One dial: what model, what data, how long."""

    name: str
    model: ModelSpec
    embedded: bool  # True: raw records come from fedkit.mini unless --data-dir holds them
    datasets: Mapping[str, DatasetSpec]
    evaluation: EvalSpec = EvalSpec()
    seeds: tuple[int, ...] = (0,)
    gpu: bool = False
    algorithms: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    note: str = field(default="", compare=False)

    def dataset(self, name: str) -> DatasetSpec:
        """The settings of a federated dataset; `FedkitError` where the profile has none of that name."""
        if name not in self.datasets:
            raise unknown(f"dataset in profile {self.name}", name, self.datasets)
        return self.datasets[name]

    def params_of(self, algorithm: str, name: str) -> dict[str, Any]:
        """The hyperparameters that this profile gives an algorithm on a dataset, beside the algorithm's defaults."""
        return {**self.algorithms.get(algorithm, {}), **self.dataset(name).algorithms.get(algorithm, {})}

    def model_of(self, name: str) -> ModelSpec:
        """The base model and LoRA that a dataset is trained with."""
        return self.dataset(name).model or self.model
