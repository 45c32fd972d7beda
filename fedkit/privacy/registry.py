"""The privacy mechanisms by name. A mechanism is one file here and its line in `FILES`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common.hyperparameters import construct, registry
from .base import Mechanism

FILES = (
    "user_level",
    "published",
)
MECHANISMS = registry(__package__, FILES, Mechanism)


def make_mechanism(privacy: Mapping[str, Any] | None) -> Mechanism:
    """The mechanism of a run's configuration, `{"name": ..., **parameters}`; None: the neutral one.

    `FedkitError` for an unknown name or parameter, a wrong type or range.
    """
    if privacy is None:
        return Mechanism()
    params = dict(privacy)
    return construct("privacy mechanism", MECHANISMS, params.pop("name", None), params)
