"""The papers' conclusions as data: each claim with its place and its rule, read from `claims.toml` when asked for."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..common.errors import unknown

SOURCE = Path(__file__).with_name("claims.toml")


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper: `table` is the key of the `PaperTable` said to show it, `rule` what decides it here.

    rule: a word of `rules.py` with what it is about, as claims.toml explains.
    """

    id: str
    paper: str
    place: str
    text: str
    table: str
    rule: Mapping[str, Any]
    note: str = ""


@cache
def _source() -> dict[str, Any]:
    return tomllib.loads(SOURCE.read_text(encoding="utf-8"))


@cache
def _claims() -> Mapping[str, Claim]:
    return MappingProxyType({claim["id"]: Claim(**claim) for claim in _source()["claim"]})


def groups() -> Mapping[str, list[str]]:
    """Rows that claims speak of together, by name: patterns of row names, `*` for anything."""
    return MappingProxyType(_source()["groups"])


def claim(name: str) -> Claim:
    """The claim of that id; `FedkitError` names the known ones."""
    if name not in _claims():
        raise unknown("claim", name, _claims())
    return _claims()[name]


if TYPE_CHECKING:
    CLAIMS: Mapping[str, Claim]


def __getattr__(name: str) -> Mapping[str, Claim]:
    if name == "CLAIMS":
        return _claims()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
