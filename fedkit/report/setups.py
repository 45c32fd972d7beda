"""The hyperparameters of a profile beside the papers': Table 7 and the public training scripts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..profiles.specs import DatasetSpec, Profile
from . import paper
from .paper import Script, Setup


@dataclass(frozen=True)
class Line:
    """One hyperparameter: here, in Table 7, in the public scripts. None: not given there."""

    dataset: str
    name: str
    here: Any
    paper: Any
    script: Any

    @property
    def differs(self) -> bool:
        """Whether it differs from the paper, or, where the paper is silent, from the scripts."""
        there = self.paper if self.paper is not None else self.script
        if there is None or self.here is None:
            return False
        return not _same_model(self.here, there) if self.name == "base model" else self.here != there


def _same_model(here: str, there: str) -> bool:
    """Whether a Hub id and a precision (Llama-2-7b-hf, 8bit) are what the paper writes (Llama-2-7B, 8-bit)."""

    def plain(text: str) -> str:
        return re.sub(r"[^a-z0-9,]", "", text.lower())

    return all(part in plain(here) for part in plain(there).split(","))


def compare(profile: Profile) -> list[Line]:
    """All datasets of a profile against TABLE7 and SETTINGS; a dataset that the papers do not have is left out."""
    lines: list[Line] = []
    for name, spec in profile.datasets.items():
        there = paper.REPEATS.get(name)
        if there is not None:
            lines += _lines(name, spec, profile, paper.TABLE7.get(there), paper.SETTINGS.get(there))
    return lines


def _lines(name: str, spec: DatasetSpec, profile: Profile, setup: Setup | None, script: Script | None) -> list[Line]:
    base = spec.model or profile.model
    train, lora = spec.train, base.lora
    model = f"{base.name}, {base.quantization or base.dtype}"

    def line(label: str, here: Any, in_setup: str | None, in_script: Any) -> Line:
        paper = getattr(setup, in_setup) if setup and in_setup else None
        return Line(name, label, here, paper, in_script if script else None)

    return [
        line("clients a round", train.clients_per_round, "sampled", script and script.sampled),
        line("clients in all", spec.n_clients, "clients", script and script.clients),
        line("local steps", train.local_steps, "local_steps", script and script.local_steps),
        line("rounds", train.rounds, "rounds", script and script.rounds),
        line(
            "batch x accumulation",
            f"{train.batch_size}x{train.grad_accum}",
            None,
            script and f"{script.batch_size}x{script.grad_accum}",
        ),
        line("max length", train.max_length, None, script and script.max_length),
        line(
            "learning rate",
            f"{train.lr_first:g} -> {train.lr_last:g}",
            None,
            script and f"{script.lr_first:g} -> {script.lr_last:g}",
        ),
        line("LoRA r, alpha", f"{lora.r}, {lora.alpha}", None, script and f"{script.lora_r}, {script.lora_alpha}"),
        line("base model", model, None, script and script.base),
    ]
