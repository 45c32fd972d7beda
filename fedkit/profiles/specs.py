"""The numbers of a run as frozen data. Fields cite where their paper value stands.

"settings" means the facts read from the two reference systems' public scripts (`fedkit.report.paper.SETTINGS`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..common.errors import FedkitError
from ..evaluation.specs import EvalSpec
from ..training.specs import ModelSpec, TrainSpec, base_name

if TYPE_CHECKING:
    from ..data.datasets.built import Cut

Params = Mapping[str, Mapping[str, Any]]  # algorithm -> hyperparameters


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
    algorithms: Params = field(default_factory=dict, hash=False)  # over the profile's

    @property
    def cut(self) -> Cut:
        """The part of it that a dataset's builder is handed."""
        from ..data.datasets.built import Cut

        return Cut(self.minimum, self.n_clients, self.max_records_per_client, self.raw_records)


@dataclass(frozen=True)
class Profile:
    """One dial: what model, what data, how long."""

    name: str
    model: ModelSpec
    embedded: bool  # True: raw records come from the embedded world unless --data-dir holds them
    datasets: Mapping[str, DatasetSpec] = field(hash=False)
    default: DatasetSpec  # of a dataset that `datasets` does not name
    evaluation: EvalSpec = EvalSpec()
    most_items: int | None = None  # of each benchmark, where a call sets no limit of its own; None: all
    seeds: tuple[int, ...] = (0,)
    gpu: bool = False
    algorithms: Params = field(default_factory=dict, hash=False)
    note: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "datasets", MappingProxyType(dict(self.datasets)))

    def dataset(self, name: str) -> DatasetSpec:
        """The settings of a federated dataset: its own, else the profile's default (no name is refused here)."""
        return self.datasets.get(name, self.default)

    def params_of(self, algorithm: str, name: str) -> dict[str, Any]:
        """The hyperparameters that this profile gives an algorithm on a dataset, beside the algorithm's defaults."""
        return {**self.algorithms.get(algorithm, {}), **self.dataset(name).algorithms.get(algorithm, {})}

    def with_model(self, model: ModelSpec | str | None) -> Profile:
        """This profile with another base model everywhere, None: itself.

        A name (`mini`, a folder, a Hub id) takes the place of each model's name and leaves precision and LoRA as they
        are; a whole `ModelSpec` takes the place of each model. `FedkitError` for a folder that is not there.
        """
        if model is None:
            return self
        if not isinstance(model, str | Path | ModelSpec):
            raise FedkitError(f"a {type(model).__name__} is no base model; give a folder, a Hub id, or a ModelSpec")
        given = model if isinstance(model, ModelSpec) else None
        name = base_name(str(model) if given is None else given.name)

        def changed(spec: ModelSpec) -> ModelSpec:
            return replace(given or spec, name=name)

        datasets = {
            key: spec if spec.model is None else replace(spec, model=changed(spec.model))
            for key, spec in self.datasets.items()
        }
        default = self.default
        if default.model is not None:
            default = replace(default, model=changed(default.model))
        return replace(self, model=changed(self.model), datasets=datasets, default=default)

    def model_of(self, name: str) -> ModelSpec:
        """The base model and LoRA that a dataset is trained with."""
        return self.dataset(name).model or self.model
