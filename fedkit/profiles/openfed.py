"""OpenFedLLM's datasets in each profile: sections 4.1 to 4.6 and the settings in `paper`, smaller in the others.

A client's part of the paper's samples is a cap: 20,000 over 20 clients are at most 1,000 each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ..training.specs import TrainSpec
from .bases import LLAMA_OPEN, MINI, OPEN, OPEN_VALUES, SMOKE, WIZARD
from .specs import DatasetSpec

# Clients, clients a round, cap of a client in `paper`. Alone, a client's corpus of the four domains is dealt like the
# general one; so is the medical one, whose set-up only the full paper has.
_SFT: Mapping[str, tuple[int, int, int | None]] = {
    "alpaca_gpt4": (20, 2, 1000),
    "fingpt": (50, 5, 200),
    "alpaca": (20, 2, 1000),
    "mathinstruct": (20, 2, 1000),
    "code_alpaca": (20, 2, 1000),
    "medical": (20, 2, 1000),
}
_VALUES = ("ultrafeedback", "hh_rlhf")
_VALUE_CLIENTS, _VALUE_SAMPLED = 5, 2


def _datasets(
    train: TrainSpec, values: TrainSpec, *, sampled: int | None = None, domains: dict[str, Any], **spec: Any
) -> dict[str, DatasetSpec]:
    """All but gsm8k; `sampled`: clients a round where not the paper's."""
    common = {"test_questions": 0, **spec}
    made = {
        name: DatasetSpec(replace(train, clients_per_round=sampled or a_round), n_clients=clients, **common)
        for name, (clients, a_round, _) in _SFT.items()
    }
    made["domains"] = DatasetSpec(replace(train, clients_per_round=4), **common | domains)  # all four, every round
    pairs = DatasetSpec(
        replace(values, clients_per_round=_VALUE_SAMPLED, task="dpo"), n_clients=_VALUE_CLIENTS, **common
    )
    return made | dict.fromkeys(_VALUES, pairs)


def _capped(datasets: dict[str, DatasetSpec], **changed: Any) -> dict[str, DatasetSpec]:
    """The instruction sets at the paper's samples."""
    capped = {name: replace(datasets[name], max_records_per_client=cap, **changed) for name, (*_, cap) in _SFT.items()}
    return datasets | capped


SMOKE_DATASETS = {
    "gsm8k": DatasetSpec(replace(SMOKE, max_length=256), n_clients=20, raw_records=200, test_questions=0),
    **_datasets(SMOKE, replace(SMOKE, max_length=192), sampled=2, domains={}, raw_records=200),
}
MINI_DATASETS = {
    "gsm8k": DatasetSpec(
        replace(MINI, rounds=20, clients_per_round=2, max_length=512), n_clients=20, raw_records=1000, test_questions=0
    ),
    **_datasets(
        MINI,
        # Of the real test pairs of HH-RLHF's harmless part a quarter have longer prompts; at 192 it was half.
        replace(MINI, local_steps=5, max_length=320, lr_first=3e-4, lr_last=3e-5),
        domains={"max_records_per_client": 500, "raw_records": 2200},
        raw_records=2000,
    ),
}
_COURSE = replace(OPEN, rounds=30, lr_first=2e-4)
COURSE_DATASETS = {
    "gsm8k": DatasetSpec(_COURSE, n_clients=20, test_questions=0),
    **_capped(
        _datasets(
            _COURSE,
            replace(OPEN_VALUES, rounds=30),
            domains={"max_records_per_client": 1000},
            max_records_per_client=2000,
        )
    ),
}
PAPER_DATASETS = {
    "gsm8k": DatasetSpec(OPEN, model=LLAMA_OPEN, n_clients=20, test_questions=0),
    **_capped(_datasets(OPEN, OPEN_VALUES, domains={"max_records_per_client": 5000}, model=LLAMA_OPEN)),
}
PAPER_DATASETS |= {name: replace(PAPER_DATASETS[name], model=WIZARD) for name in _VALUES}
_MOMENTUM = MappingProxyType({"fedavgm": MappingProxyType({"beta": 0.9})})  # settings: 0.9 here, 0.5 in FedLLM-Bench
PAPER_DATASETS = {name: replace(spec, algorithms=_MOMENTUM) for name, spec in PAPER_DATASETS.items()}
