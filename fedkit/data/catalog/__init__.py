"""The raw datasets that fedkit knows: one file a family of them; add a file and its line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..sources import RawSource
from . import arena, aya, benchmarks, gsm8k, openfedllm, wildchat

_FAMILIES = (aya, arena, wildchat, gsm8k, openfedllm, benchmarks)

SOURCES: Mapping[str, RawSource] = MappingProxyType(
    {source.name: source for family in _FAMILIES for source in family.SOURCES}
)

__all__ = ["SOURCES", "RawSource"]
