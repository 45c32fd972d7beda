"""The registry of privacy mechanisms: one file and one line each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..common.hyperparameters import construct
from .base import Mechanism
from .published import PublishedNoise
from .user_level import UserLevelDP

MECHANISMS: Mapping[str, type[Mechanism]] = MappingProxyType({m.name: m for m in (UserLevelDP, PublishedNoise)})


def make_mechanism(privacy: Mapping[str, Any] | None) -> Mechanism:
    """The mechanism of a run's configuration, `{"name": ..., **parameters}`; None: the neutral one.

    `FedkitError` for an unknown name or parameter, a wrong type or range.
    """
    if privacy is None:
        return Mechanism()
    params = dict(privacy)
    return construct("privacy mechanism", MECHANISMS, params.pop("name", None), params)
