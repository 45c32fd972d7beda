"""The hyperparameters of a profile beside the papers': Table 7 and the public training scripts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..profiles.specs import Profile
from . import paper
from .paper import Setup


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
    for name in profile.datasets:
        there = paper.REPEATS.get(name)
        if there is not None:
            here = shown(setup_of(profile, name))
            printed, script = shown(paper.TABLE7.get(there)), shown(paper.SETTINGS.get(there))
            lines += [Line(name, label, value, printed.get(label), script.get(label)) for label, value in here.items()]
    return lines


def setup_of(profile: Profile, name: str) -> Setup:
    """What a profile does with a dataset, in the papers' terms."""
    spec, base = profile.dataset(name), profile.model_of(name)
    train, lora = spec.train, base.lora
    same = {key: getattr(train, key) for key in ("rounds", "local_steps", "batch_size", "grad_accum", "max_length")}
    return Setup(
        train.clients_per_round,
        spec.n_clients,
        lr_first=train.lr_first,
        lr_last=train.lr_last,
        lora_r=lora.r,
        lora_alpha=lora.alpha,
        base=f"{base.name}, {base.quantization or base.dtype}",
        **same,
    )


def shown(setup: Setup | None) -> Mapping[str, Any]:
    """A set-up as words and values, as --plan prints them; nothing for none."""
    if setup is None:
        return {}
    full = setup.batch_size is not None
    return {
        "clients a round": setup.sampled,
        "clients in all": setup.clients,
        "local steps": setup.local_steps,
        "rounds": setup.rounds,
        "batch x accumulation": f"{setup.batch_size}x{setup.grad_accum}" if full else None,
        "max length": setup.max_length,
        "learning rate": f"{setup.lr_first:g} -> {setup.lr_last:g}" if full else None,
        "LoRA r, alpha": f"{setup.lora_r}, {setup.lora_alpha}" if full else None,
        "base model": setup.base,
    }
