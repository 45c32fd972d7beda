"""Registries of classes, one a file; and their hyperparameters, checked when one is made and not after a night."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from importlib import import_module
from math import inf, isfinite
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

from .errors import FedkitError, unknown

T = TypeVar("T")
LARGEST = 3.4e38  # of single precision, in which adapters are: torch refuses a factor beyond it


def class_of(module: str, base: type[T]) -> type[T]:
    """The one subclass of `base` that a module defines."""
    own = [c for c in vars(import_module(module)).values() if isinstance(c, type) and c.__module__ == module]
    (only,) = [c for c in own if issubclass(c, base)]
    return only


def registry(package: str, files: Sequence[str], base: type[T]) -> Mapping[str, type[T]]:
    """Name -> class of files that define one subclass of `base` each, in their order."""
    classes = [class_of(f"{package}.{file}", base) for file in files]
    return MappingProxyType({c.name: c for c in classes})  # type: ignore[attr-defined]


def construct(kind: str, registry: Mapping[str, type[T]], name: str, params: Mapping[str, Any]) -> T:
    """`registry[name](**params)`; `FedkitError` for an unknown name or parameter, or a value of another type."""
    if name not in registry:
        raise unknown(kind, name, registry)
    hints = get_type_hints(registry[name])
    types = {field.name: hints[field.name] for field in dataclasses.fields(registry[name])}  # type: ignore[arg-type]
    for key, value in params.items():
        if key not in types:
            raise unknown(f"parameter of {name}", key, types or ["none"])
        number = types[key] is float and isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number and not isinstance(value, types[key]):
            raise FedkitError(f"parameter {key} of {name} takes a {types[key].__name__}, got {value!r}")
    return registry[name](**{key: _float(value) if types[key] is float else value for key, value in params.items()})


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return inf


def require(
    of: Any, field: str, *, least: float = -inf, above: float = -inf, most: float = inf, below: float = inf
) -> None:
    """`FedkitError` unless `of.field` is finite, in single precision too, and within the bounds; `of.name` is named."""
    value = getattr(of, field)
    if isfinite(value) and abs(value) <= LARGEST and least <= value <= most and above < value < below:
        return
    bounds = {"at least": least, "above": above, "at most": most, "below": below}
    finite = "finite in single precision" if isfinite(value) and abs(value) > LARGEST else "finite"
    wanted = " and ".join([finite, *(f"{words} {bound:g}" for words, bound in bounds.items() if isfinite(bound))])
    raise FedkitError(f"{field} of {of.name} is {value}; it must be {wanted}")
