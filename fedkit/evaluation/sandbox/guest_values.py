"""Inside the sandbox: values that travel between the tests and the program, as JSON. See `guest`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any


def _items(value: Any) -> list[Any]:
    return [encode(item) for item in value]


# Base type: tag, packing. A value of a subclass (a Counter, a namedtuple) travels as its base type.
_PACK: dict[type, tuple[str, Callable[[Any], Any]]] = {
    int: ("i", lambda value: hex(int(value))),  # decimal text of a long integer is refused by Python itself
    float: ("f", lambda value: float(value).hex()),
    str: ("s", lambda value: str.__str__(value)),
    bytes: ("b", lambda value: bytes(value).hex()),
    complex: ("c", lambda value: [value.real.hex(), value.imag.hex()]),
    list: ("l", lambda value: _items(list.__iter__(value))),
    tuple: ("t", lambda value: _items(tuple.__iter__(value))),
    set: ("S", lambda value: _items(set.__iter__(value))),
    frozenset: ("F", lambda value: _items(frozenset.__iter__(value))),
    type({}.keys()): ("S", _items),
    dict: ("d", lambda value: [[encode(k), encode(v)] for k, v in dict.items(value)]),
    range: ("r", lambda value: [value.start, value.stop, value.step]),
    Fraction: ("q", lambda value: [hex(value.numerator), hex(value.denominator)]),
    Decimal: ("D", str),
}
_UNPACK: dict[str, Callable[[Any], Any]] = {
    "i": lambda text: int(text, 16),
    "f": float.fromhex,
    "s": lambda text: text,
    "b": bytes.fromhex,
    "c": lambda parts: complex(*map(float.fromhex, parts)),
    "l": lambda items: [decode(item) for item in items],
    "t": lambda items: tuple(decode(item) for item in items),
    "S": lambda items: {decode(item) for item in items},
    "F": lambda items: frozenset(decode(item) for item in items),
    "d": lambda pairs: {decode(k): decode(v) for k, v in pairs},
    "r": lambda parts: range(*parts),
    "q": lambda parts: Fraction(*(int(part, 16) for part in parts)),
    "D": Decimal,
    "o": lambda name: Opaque(name),
}


class Opaque:
    """A value that cannot travel (a generator, an object of the program's own class); equal to nothing but itself."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<an object of type {self.name}>"


def encode(value: Any) -> Any:
    """A value as JSON; what is not plain data becomes an `Opaque` at the other end."""
    if value is None or value is True or value is False:
        return value
    kind = next((base for base in type(value).__mro__ if base in _PACK), None)
    if kind is None:
        plain = _plain(value)
        return {"o": type(value).__name__} if plain is value else encode(plain)
    tag, pack = _PACK[kind]
    return {tag: pack(value)}


def _plain(value: Any) -> Any:
    """A number of numpy's that Python has too as Python's, else the value itself."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.generic):
        return value
    plain = value.item()
    return plain if type(plain) in (bool, int, float, complex, str, bytes) else value


def decode(value: Any) -> Any:
    """The inverse of `encode`; `ValueError` or `TypeError` for anything else."""
    if value is None or value is True or value is False:
        return value
    ((tag, content),) = value.items()
    return _UNPACK[tag](content)
