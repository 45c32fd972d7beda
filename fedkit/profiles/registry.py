"""The profiles by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..common.errors import unknown
from ..evaluation.specs import EvalSpec
from . import datasets as numbers
from .specs import DatasetSpec, Profile

# What the published rows ran (settings): the two systems' form of each server's rule, FedLLM-Bench's beta 0.5 (the
# default). The other profiles keep each method as its own paper has it.
_SYSTEMS = dict.fromkeys(("fedavgm", "fedadagrad", "fedyogi", "fedadam"), {"form": "systems"})

_ALL = (
    Profile(
        "smoke",
        model=numbers.MINI_MODEL,
        embedded=True,
        datasets=numbers.SMOKE_DATASETS,
        default=DatasetSpec(numbers.SMOKE, raw_records=600, test_questions=4),
        evaluation=EvalSpec(max_new_tokens=8),
        most_items=100,
        note="CI: every notebook, cut short; its numbers mean nothing",
    ),
    Profile(
        "mini",
        model=numbers.MINI_MODEL,
        embedded=True,
        datasets=numbers.MINI_DATASETS,
        default=DatasetSpec(numbers.MINI),
        most_items=1000,
        seeds=(0, 1, 2),
        note="a laptop without GPU or network: the embedded corpus and model",
    ),
    Profile(
        "course",
        model=numbers.SMOL,
        embedded=False,
        datasets=numbers.COURSE_DATASETS,
        default=DatasetSpec(numbers.COURSE, max_records_per_client=400),
        evaluation=EvalSpec(max_new_tokens=128),
        most_items=2000,
        gpu=True,
        note="one consumer GPU, a small open model, the real datasets cut",
    ),
    Profile(
        "paper",
        model=numbers.LLAMA,
        embedded=False,
        datasets=numbers.PAPER_DATASETS,
        default=DatasetSpec(numbers.BENCH),
        evaluation=EvalSpec(max_new_tokens=1024, batch_size=16, temperature=0.7),
        gpu=True,
        algorithms=_SYSTEMS,
        note="Table 7 exactly, on one GPU of 24 to 48 GB",
    ),
)

PROFILES: Mapping[str, Profile] = MappingProxyType({p.name: p for p in _ALL})


def get_profile(name: str) -> Profile:
    """The profile of that name; `FedkitError` names the known ones."""
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    return PROFILES[name]
