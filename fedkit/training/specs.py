"""What a training is: its base model, its adapter, and the numbers of its rounds; frozen data that name a run.

Fields cite where their paper value stands; "settings" means the facts read from the two reference systems' public
scripts (see the paper module's SETTINGS).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ..common.errors import FedkitError
from ..common.files import user_path

WITHOUT_ROOM = ("refuse", "leave_out")


@dataclass(frozen=True)
class LoraSpec:
    """Low-rank adapters (Hu et al. 2021). FedLLM-Bench section 4: r = 16; alpha and dropout from the settings."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.05
    target_modules: str | tuple[str, ...] = "all-linear"


def base_name(name: str) -> str:
    """A base model's name as a user gives it: a folder as an absolute path; `mini` and Hub ids as they are.

    `FedkitError` where what reads as a path (it begins with /, ~ or a dot) is no folder.
    """
    if not name:
        raise FedkitError("the base model's name is empty; give a folder or a Hub id")
    if name != "mini" and (name[:1] in ("/", "~", ".") or Path(name).is_dir()):
        folder = user_path(name)
        if not folder.is_dir():
            raise FedkitError(f"the base model's folder {folder} does not exist; give one with config.json and weights")
        return str(folder)
    return name


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
    task: str = "sft"  # what a client trains: sft (answers) or dpo (preference pairs); see `fedkit.training.registry`
    beta: float = 0.1  # of DPO, Rafailov et al. 2023 equation 7 (settings: 0.1)
    # The largest Euclidean norm of a client's update, beyond which it is scaled down, before any privacy mechanism.
    max_update_norm: float | None = None
    without_room: str = "refuse"  # a client all of whose prompts fill `max_length`: refuse the run, or leave_out

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
