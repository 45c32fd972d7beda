"""FedLLM-Bench, Table 7: the experimental setups, and the settings that only the public scripts show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Setup:
    """One line of Table 7. `local_epochs` is of the local baseline. None: no legible cell in the copy read here."""

    sampled: int
    clients: int
    local_steps: int | str | None
    rounds: int
    local_epochs: int | None = None


TABLE7: Mapping[str, Setup] = MappingProxyType(
    {
        "Fed-Aya": Setup(4, 38, 10, 200),
        "Fed-ChatbotIT": Setup(10, 237, None, 100, local_epochs=10),
        "Fed-WildChat": Setup(5, 100, 10, 100),
        "Fed-WildChat (Multi-Turn)": Setup(3, 50, 10, 50, local_epochs=20),
        "Fed-ChatbotPA": Setup(10, 747, "dynamic", 200, local_epochs=10),
    }
)


@dataclass(frozen=True)
class Script:
    """One run as the public training scripts start it (FedLLM-Bench at 2455679, OpenFedLLM at 14c6af2)."""

    sampled: int
    clients: int
    local_steps: int | str
    rounds: int
    batch_size: int
    grad_accum: int
    max_length: int
    lr_first: float
    lr_last: float
    lora_r: int
    lora_alpha: int
    base: str = "Llama-2-7B, 8-bit"


def _bench(sampled: int, clients: int, steps: int | str, rounds: int, **changed: object) -> Script:
    fields = dict(batch_size=4, grad_accum=4, max_length=1024, lr_first=2e-5, lr_last=1e-6, lora_r=16, lora_alpha=32)
    return Script(sampled, clients, steps, rounds, **(fields | changed))  # type: ignore[arg-type]


def _open(sampled: int, clients: int, **changed: object) -> Script:
    fields = dict(batch_size=16, grad_accum=1, max_length=512, lr_first=5e-5, lr_last=1e-6, lora_r=32, lora_alpha=64)
    return Script(sampled, clients, 10, 200, **(fields | changed))  # type: ignore[arg-type]


SETTINGS: Mapping[str, Script] = MappingProxyType(
    {
        "Fed-Aya": _bench(4, 38, 10, 200),
        "Fed-ChatbotIT": _bench(10, 237, 5, 100),
        "Fed-WildChat": _bench(5, 100, 10, 100),
        "Fed-WildChat (Multi-Turn)": _bench(3, 50, 10, 100, max_length=2048),  # the script runs 100 rounds, Table 7: 50
        "Fed-ChatbotPA": _bench(
            10,
            747,
            "dynamic",
            200,
            batch_size=8,
            grad_accum=1,
            max_length=512,
            lr_first=1e-4,
            lr_last=1e-5,
            lora_r=8,
            lora_alpha=16,
            base="Alpaca-7B",
        ),
        "OpenFedLLM general": _open(2, 20),
        "OpenFedLLM finance": _open(5, 50),
        "OpenFedLLM domains": _open(4, 4),
        "OpenFedLLM FedVA": _open(2, 5, lr_first=5e-4, lr_last=1e-5, base="Wizard-Vicuna-7B-Uncensored"),
    }
)
