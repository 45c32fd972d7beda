"""Every number of a run, in one place, as frozen data: smoke, mini, course, paper.

A profile is data: no notebook and no function branches on its name. `specs` has the shapes, `bases` the models and
trainings to start from, `bench` and `openfed` the datasets of the two papers in each profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from ..common.errors import FedkitError, unknown
from ..evaluation.specs import EvalSpec
from . import bases, bench, openfed
from .specs import DatasetSpec, Profile

# What the published rows ran (settings): the two systems' form of each server's rule, FedLLM-Bench's beta 0.5 (the
# default). The other profiles keep each method as its own paper has it.
_SYSTEMS = MappingProxyType(
    dict.fromkeys(("fedavgm", "fedadagrad", "fedyogi", "fedadam"), MappingProxyType({"form": "systems"}))
)

_ALL = (
    Profile(
        "smoke",
        model=bases.MINI_MODEL,
        embedded=True,
        datasets=MappingProxyType({**bench.SMOKE_DATASETS, **openfed.SMOKE_DATASETS}),
        evaluation=EvalSpec(max_new_tokens=8),
        note="CI: every notebook, cut short; its numbers mean nothing",
    ),
    Profile(
        "mini",
        model=bases.MINI_MODEL,
        embedded=True,
        datasets=MappingProxyType({**bench.MINI_DATASETS, **openfed.MINI_DATASETS}),
        seeds=(0, 1, 2),
        note="a laptop without GPU or network: the embedded corpus and model",
    ),
    Profile(
        "course",
        model=bases.SMOL,
        embedded=False,
        datasets=MappingProxyType({**bench.COURSE_DATASETS, **openfed.COURSE_DATASETS}),
        evaluation=EvalSpec(max_new_tokens=128),
        gpu=True,
        note="one consumer GPU, a small open model, the real datasets cut",
    ),
    Profile(
        "paper",
        model=bases.LLAMA,
        embedded=False,
        datasets=MappingProxyType({**bench.PAPER_DATASETS, **openfed.PAPER_DATASETS}),
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


def as_dict(spec: Any) -> dict[str, Any]:
    """A spec as plain JSON-ready data, the form that run hashes are taken over."""
    if isinstance(spec, Profile):
        raise FedkitError("a run is named by its own settings, not by a whole profile; pass its parts")
    return asdict(spec)


__all__ = ["PROFILES", "DatasetSpec", "Profile", "as_dict", "get_profile"]
