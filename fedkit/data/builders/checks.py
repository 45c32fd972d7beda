"""The rules that every raw record must pass, whatever its dataset: an object, its fields, their types, no blanks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...common.errors import FedkitError
from ..sources import Located
from .drops import DropReport


def reasons(fields: Mapping[str, type], *between: str) -> tuple[str, ...]:
    """Every reason that `shape_fault` and then `text_fault` can give, a builder's own rules `between` them."""
    shape = [f"{what} {name!r}" for what in ("missing", "wrong type of") for name in fields]
    return ("not a record", *shape, *between, *text_rules(*(name for name, kind in fields.items() if kind is str)))


def text_rules(*names: str) -> tuple[str, ...]:
    """Every reason that `text_fault` can give for these fields."""
    return tuple(f"{what} {name!r}" for what in ("empty", "broken text in") for name in names)


def fault(record: Any, fields: Mapping[str, type]) -> str | None:
    """The first rule that a record breaks, or None: `shape_fault`, then `text_fault`."""
    return shape_fault(record, fields) or text_fault(record, fields)


def shape_fault(record: Any, fields: Mapping[str, type]) -> str | None:
    """A record is an object with all these fields, each of its type."""
    if not isinstance(record, Mapping):
        return "not a record"
    for name in fields:
        if record.get(name) is None:
            return f"missing {name!r}"
    for name, kind in fields.items():
        if not isinstance(record[name], kind):
            return f"wrong type of {name!r}"
    return None


def text_fault(record: Mapping[str, Any], fields: Mapping[str, type]) -> str | None:
    """Text fields are not blank, and are text that can be written down."""
    texts = [name for name, kind in fields.items() if kind is str]
    for name in texts:
        if not record[name].strip():
            return f"empty {name!r}"
    for name in texts:
        if not _encodable(record[name]):
            return f"broken text in {name!r}"
    return None


def _encodable(text: str) -> bool:
    """False for half of a surrogate pair, which JSON can spell and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_usable(located: Located, drops: DropReport, usable: int, fields: Mapping[str, type]) -> None:
    """`FedkitError`, naming place, fields and remedy, where not one record of a source can be used."""
    if usable:
        return
    needs = ", ".join(f"{name} ({kind.__name__})" for name, kind in fields.items())
    what = f"all {drops.read} were dropped: {drops.sentence()}" if drops.read else "it is empty"
    raise FedkitError(
        f"{located.source.name} has no usable record, {located.where} ({what});"
        f" it needs the fields {needs}: check that this is the file meant and that its fields are so named"
    )
