"""The hyperparameters of a profile against the paper's Table 7, and memory and time for a GPU profile (--plan)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..profiles import DatasetSpec, Profile
from ..report.paper import SETTINGS, TABLE7, Script, Setup
from .plan import Step
from .text import table

# The names of the paper's set-ups for our datasets. OpenFedLLM prints one set-up in section 4.1, not in a Table 7.
PAPER_NAMES: Mapping[str, str] = {
    "fed_aya": "Fed-Aya",
    "fed_chatbot_it": "Fed-ChatbotIT",
    "fed_wildchat": "Fed-WildChat",
    "fed_wildchat_multi": "Fed-WildChat (Multi-Turn)",
    "fed_chatbot_pa": "Fed-ChatbotPA",
    "gsm8k": "OpenFedLLM general",
    "alpaca_gpt4": "OpenFedLLM general",
    "fingpt": "OpenFedLLM finance",
    "domains": "OpenFedLLM domains",
    "ultrafeedback": "OpenFedLLM FedVA",
    "hh_rlhf": "OpenFedLLM FedVA",
}


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
    """All datasets of a profile against TABLE7 and SETTINGS; a dataset that the paper does not have is left out."""
    lines: list[Line] = []
    for name, spec in profile.datasets.items():
        there = PAPER_NAMES.get(name)
        if there is not None:
            lines += _lines(name, spec, profile, TABLE7.get(there), SETTINGS.get(there))
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


def settings_text(profile: Profile) -> str:
    """The comparison as a table; a star marks what differs."""

    def show(value: Any, absent: str = "-") -> str:
        return absent if value is None else str(value)

    rows = [
        (
            line.dataset,
            line.name,
            show(line.here, "by user"),
            show(line.paper),
            show(line.script),
            "*" if line.differs else "",
        )
        for line in compare(profile)
    ]
    head = "hyperparameters against FedLLM-Bench Table 7 and the public training scripts (* differs)"
    return f"{head}\n\n" + table(("dataset", "", "here", "Table 7", "scripts", ""), rows)


def estimate_text(profile: Profile, steps: Sequence[Step], seeds: Sequence[int]) -> str:
    """Memory and hours of each training of a GPU profile, and of all that the plan would train.

    Runs are counted once a dataset, algorithm and seed, since notebooks share them.
    """
    from ..training.estimate import estimate

    rows, hours, notes = [], 0.0, []
    for name, spec in profile.datasets.items():
        one = estimate(spec.model or profile.model, spec.train, mean_tokens=spec.mean_tokens)
        runs = {word for s in steps if s.runs and name in s.notebook.datasets for word in s.notebook.algorithms}
        count = len(runs) * len(seeds)
        hours += count * one.hours
        notes.append(f"{name}: {one.assumptions}")
        sizes = (one.weights_gb, one.adapter_gb, one.optimizer_gb, one.activations_gb, one.total_gb)
        rows.append((name, *(f"{size:.1f}" for size in sizes), f"{one.hours:.1f}", count))
    header = (
        "dataset",
        "weights GB",
        "adapter GB",
        "optimizer GB",
        "activations GB",
        "total GB",
        "hours a run",
        "runs",
    )
    end = f"about {hours:.0f} hours of training for this plan (a run: one algorithm, one seed), assuming for"
    return "\n".join(["memory and time, estimated before anything is loaded", "", table(header, rows), "", end, *notes])
