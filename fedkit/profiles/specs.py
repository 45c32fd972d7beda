"""The numbers of a run as frozen data. Fields cite where their paper value stands.

"settings" means the facts read from the two reference systems' public scripts (see the paper module's SETTINGS).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..errors import unknown


@dataclass(frozen=True)
class LoraSpec:
    """Low-rank adapters (Hu et al. 2021). FedLLM-Bench section 4: r = 16; alpha and dropout from the settings."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.05
    target_modules: str | tuple[str, ...] = "all-linear"


@dataclass(frozen=True)
class ModelSpec:
    """A base model: `mini` (embedded), a local folder, or a Hub id; with its precision and its LoRA."""

    name: str = "mini"
    dtype: str = "float32"  # float32, bfloat16, float16
    quantization: str | None = None  # None, 8bit, 4bit (bitsandbytes)
    device: str = "auto"  # auto, cpu, cuda, cuda:0 ...
    threads: int | None = None  # CPU threads; None: torch's choice. One makes a run the same in every process
    gradient_checkpointing: bool = False
    lora: LoraSpec = LoraSpec()


@dataclass(frozen=True)
class TrainSpec:
    """One federated training, FedLLM-Bench Table 7 and its settings. Rates are per round, cosine over rounds."""

    rounds: int
    clients_per_round: int
    local_steps: int
    batch_size: int
    grad_accum: int = 1
    max_length: int = 1024  # tokens, prompt and answer together
    lr_first: float = 2e-5
    lr_last: float = 1e-6
    template: str = "alpaca"
    max_grad_norm: float = 1.0
    # Where given, a client's steps are dynamic (settings, Fed-ChatbotPA) and `local_steps` is their expected number.
    dynamic_epochs: float | None = None
    task: str = "sft"  # what a client trains: sft (answers) or dpo (preference pairs); see `fedkit.clients`
    beta: float = 0.1  # of DPO, Rafailov et al. 2023 equation 7 (settings: 0.1)

    def steps_of(self, records: int, clients: int) -> int:
        """Local steps of a client of so many records in a federation of so many clients.

        `local_steps`, or, where `dynamic_epochs` E is given, ceil(E n / (T S / N) / (batch x accumulation)): a client
        is drawn T S / N times on average over T rounds, so it makes about E passes over its records (settings).
        """
        if self.dynamic_epochs is None:
            return self.local_steps
        turns = self.rounds * self.clients_per_round / clients
        return max(1, math.ceil(self.dynamic_epochs * records / turns / (self.batch_size * self.grad_accum)))

    @property
    def samples_per_round(self) -> int:
        """Records that one client reads in one round: batch x accumulation x steps."""
        return self.batch_size * self.grad_accum * self.local_steps


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
class EvalSpec:
    """Generation and judging. Temperature 0 makes a table depend on nothing but its adapter."""

    max_new_tokens: int = 32
    batch_size: int = 64
    temperature: float = 0.0


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
