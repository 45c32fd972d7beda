"""The registry of algorithms: one file and one line each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..common.hyperparameters import construct
from .base import Algorithm
from .fedadagrad import FedAdagrad
from .fedadam import FedAdam
from .fedavg import FedAvg
from .fedavgm import FedAvgM
from .fedprox import FedProx
from .fedyogi import FedYogi
from .ffa_lora import FFALoRA
from .local import Local
from .scaffold import Scaffold

ALGORITHMS: Mapping[str, type[Algorithm]] = MappingProxyType(
    {a.name: a for a in (Local, FedAvg, FedProx, Scaffold, FedAvgM, FedAdagrad, FedYogi, FedAdam, FFALoRA)}
)


def make_algorithm(name: str, **params: Any) -> Algorithm:
    """An algorithm with its hyperparameters; `FedkitError` for an unknown name or parameter, a wrong type or range."""
    return construct("algorithm", ALGORITHMS, name, params)
