"""Every number of a run, in one place, as frozen data: smoke, mini, course, paper.

A profile is data: no notebook and no function branches on its name. Fields cite where their paper value stands;
"settings" means the facts read from the two reference systems' public scripts (see the paper module's SETTINGS).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from .errors import FedkitError, unknown


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
    algorithms: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    note: str = field(default="", compare=False)

    def dataset(self, name: str) -> DatasetSpec:
        """The settings of a federated dataset; `FedkitError` where the profile has none of that name."""
        if name not in self.datasets:
            raise unknown(f"dataset in profile {self.name}", name, self.datasets)
        return self.datasets[name]

    def model_of(self, name: str) -> ModelSpec:
        """The base model and LoRA that a dataset is trained with."""
        return self.dataset(name).model or self.model


def _profile(name: str, datasets: dict[str, DatasetSpec], **fields: Any) -> Profile:
    return Profile(name=name, datasets=MappingProxyType(datasets), **fields)


_MINI_LORA = LoraSpec(r=16, alpha=32, dropout=0.0, target_modules="all-linear")
_MINI_MODEL = ModelSpec(threads=1, lora=_MINI_LORA)
_MINI_TRAIN = TrainSpec(
    rounds=15, clients_per_round=4, local_steps=10, batch_size=8, max_length=128, lr_first=3e-3, lr_last=3e-4
)
_SMOKE_TRAIN = replace(_MINI_TRAIN, rounds=2, clients_per_round=2, local_steps=2, batch_size=4)

# FedLLM-Bench Table 7 and section 4 (batch of 16, 2e-5 to 1e-6); OpenFedLLM section 4.1 and the settings for gsm8k.
_PAPER_AYA = TrainSpec(rounds=200, clients_per_round=4, local_steps=10, batch_size=4, grad_accum=4)
_PAPER_GENERAL = TrainSpec(
    rounds=200, clients_per_round=2, local_steps=10, batch_size=16, max_length=512, lr_first=5e-5, lr_last=1e-6
)
_LLAMA = ModelSpec(
    name="meta-llama/Llama-2-7b-hf",
    dtype="float16",
    quantization="8bit",
    gradient_checkpointing=True,
    lora=LoraSpec(r=16, alpha=32, dropout=0.05, target_modules=("q_proj", "v_proj")),
)
_SMOL = ModelSpec(
    name="HuggingFaceTB/SmolLM2-135M",
    dtype="bfloat16",
    lora=LoraSpec(r=16, alpha=32, dropout=0.05, target_modules="all-linear"),
)

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        p.name: p
        for p in (
            _profile(
                "smoke",
                {
                    "fed_aya": DatasetSpec(_SMOKE_TRAIN, minimum=8, raw_records=1200, test_questions=2),
                    "gsm8k": DatasetSpec(
                        replace(_SMOKE_TRAIN, max_length=256), n_clients=20, raw_records=200, test_questions=0
                    ),
                },
                model=_MINI_MODEL,
                embedded=True,
                evaluation=EvalSpec(max_new_tokens=8),
                note="CI: every notebook, cut short; its numbers mean nothing",
            ),
            _profile(
                "mini",
                {
                    "fed_aya": DatasetSpec(_MINI_TRAIN, minimum=20, raw_records=4000),
                    "gsm8k": DatasetSpec(
                        replace(_MINI_TRAIN, rounds=20, clients_per_round=2, max_length=512),
                        n_clients=20,
                        raw_records=1000,
                        test_questions=0,
                    ),
                },
                model=_MINI_MODEL,
                embedded=True,
                seeds=(0, 1, 2),
                note="a laptop without GPU or network: the embedded corpus and model",
            ),
            _profile(
                "course",
                {
                    "fed_aya": DatasetSpec(
                        replace(_PAPER_AYA, rounds=30, batch_size=8, grad_accum=2, max_length=512, lr_first=2e-4),
                        minimum=100,
                        max_records_per_client=400,
                    ),
                    "gsm8k": DatasetSpec(
                        replace(_PAPER_GENERAL, rounds=30, lr_first=2e-4), n_clients=20, test_questions=0
                    ),
                },
                model=_SMOL,
                embedded=False,
                evaluation=EvalSpec(max_new_tokens=128),
                gpu=True,
                note="one consumer GPU, a small open model, the real datasets cut",
            ),
            _profile(
                "paper",
                {
                    # Table 1: instruction 116 and response 225 tokens; the template some 45.
                    "fed_aya": DatasetSpec(_PAPER_AYA, minimum=100, mean_tokens=386),
                    "gsm8k": DatasetSpec(
                        _PAPER_GENERAL,
                        model=replace(_LLAMA, lora=replace(_LLAMA.lora, r=32, alpha=64)),
                        n_clients=20,
                        test_questions=0,
                    ),
                },
                model=_LLAMA,
                embedded=False,
                evaluation=EvalSpec(max_new_tokens=1024, batch_size=16, temperature=0.7),
                gpu=True,
                note="Table 7 exactly, on one GPU of 24 to 48 GB",
            ),
        )
    }
)


def get_profile(name: str) -> Profile:
    """The profile of that name; `FedkitError` names the known ones."""
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    return PROFILES[name]


def as_dict(spec: Any) -> dict[str, Any]:
    """A spec as plain JSON-ready data, the form that run hashes are taken over."""
    if isinstance(spec, Profile):
        raise FedkitError("a run is named by its own settings, not by a whole profile; pass its parts")
    return asdict(spec)
