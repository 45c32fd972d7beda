"""The algorithms by name. An algorithm is one file here and its line in `FILES`."""

from __future__ import annotations

from typing import Any

from ..common.hyperparameters import construct, registry
from .base import Algorithm

FILES = (
    "local",
    "fedavg",
    "fedprox",
    "scaffold",
    "fedavgm",
    "fedadagrad",
    "fedyogi",
    "fedadam",
    "ffa_lora",
)
ALGORITHMS = registry(__package__, FILES, Algorithm)


def make_algorithm(name: str, **params: Any) -> Algorithm:
    """An algorithm with its hyperparameters; `FedkitError` for an unknown name or parameter, a wrong type or range."""
    return construct("algorithm", ALGORITHMS, name, params)
