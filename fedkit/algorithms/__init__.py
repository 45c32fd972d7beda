"""The registry of algorithms: one file and one line each."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, get_type_hints

from ..common.errors import FedkitError, unknown
from ..privacy.dp_fedavg import DPFedAvg
from ..privacy.dp_paper import DPPaper
from .base import Aggregate, Algorithm, Broadcast, Finished, LocalRule
from .fedadagrad import FedAdagrad
from .fedadam import FedAdam
from .fedavg import FedAvg
from .fedavgm import FedAvgM
from .fedprox import FedProx
from .fedyogi import FedYogi
from .ffa_lora import FFALoRA
from .local import Local
from .scaffold import Scaffold

ALGORITHMS: Mapping[str, type[Algorithm]] = types.MappingProxyType(
    {
        a.name: a
        for a in (Local, FedAvg, FedProx, Scaffold, FedAvgM, FedAdagrad, FedYogi, FedAdam, FFALoRA, DPPaper, DPFedAvg)
    }
)


def make_algorithm(name: str, **params: Any) -> Algorithm:
    """An algorithm with its hyperparameters; `FedkitError` for an unknown name or parameter, a wrong type or range."""
    if name not in ALGORITHMS:
        raise unknown("algorithm", name, ALGORITHMS)
    cls = ALGORITHMS[name]
    hints = get_type_hints(cls)
    known = {f.name: hints[f.name] for f in dataclasses.fields(cls)}
    for key, value in params.items():
        if key not in known:
            raise unknown(f"parameter of {name}", key, known or ["none"])
        wanted = known[key]
        fits = (
            isinstance(value, (int, float)) and not isinstance(value, bool)
            if wanted is float
            else isinstance(value, wanted)
        )
        if not fits:
            raise FedkitError(f"parameter {key} of {name} takes a {wanted.__name__}, got {value!r}")
    return cls(**{key: float(value) if known[key] is float else value for key, value in params.items()})


__all__ = ["ALGORITHMS", "Aggregate", "Algorithm", "Broadcast", "Finished", "LocalRule", "make_algorithm"]
