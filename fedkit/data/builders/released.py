"""FedLLM-Bench's releases, `{client: [record, ...]}`, one reader a task; an export of fedkit is read alike.

Their authors chose the clients and cleaned the records; only the rules that keep a record usable are applied again.
A release names no language (`und`), an export does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ..sources import SOURCES
from .checks import reasons, text_fault, text_rules
from .conversations import FAULTS, TURN_RULES, blank, exchanges
from .languages import language_code
from .recipe import Form, Note, Row, field_of

PROMPT = "instruction called `prompt`"
_ANSWER = MappingProxyType({"instruction": str, "response": str})
_PAIR = MappingProxyType({"instruction": str, "chosen": str, "rejected": str})
_OWNER = MappingProxyType({"client_id": str})
_RULES = (*(f"missing {name!r}" for name in ("instruction", "conversation")), *FAULTS, *TURN_RULES)


def released_form(source: str, row: Callable[[Mapping[str, Any], Note], Row | str]) -> Form:
    """The form of a released dataset, whose client is the key that its records stand under."""
    return Form(
        source, (*reasons(SOURCES[source].fields, *_RULES), *text_rules(*_PAIR, "response")), row, field_of("client_id")
    )


def released_answer(raw: Mapping[str, Any], note: Note) -> Row | str:
    """Instruction and response."""
    why = text_fault(raw, {**_ANSWER, **_OWNER})
    return why or {**{name: raw[name] for name in _ANSWER}, "language": language_code(raw.get("language"))}


def released_pair(raw: Mapping[str, Any], note: Note) -> Row | str:
    """Instruction (TRL's `prompt` in some files), chosen and rejected."""
    row = dict(raw)
    if row.get("instruction") is None and row.get("prompt") is not None:
        note(PROMPT)
        row["instruction"] = row["prompt"]
    if not isinstance(row.get("instruction"), str):
        return "missing 'instruction'"
    why = text_fault(row, {**_PAIR, **_OWNER})
    return why or {**{name: row[name] for name in _PAIR}, "language": language_code(raw.get("language"))}


def released_talk(raw: Mapping[str, Any], note: Note) -> Row | str:
    """A conversation: turns of `from` and `value` in the release, of `role` and `content` in an export."""
    ours, theirs = raw.get("conversation"), raw.get("conversations")
    if isinstance(ours, list):
        turns = exchanges(ours, note)
    elif isinstance(theirs, list):
        turns = exchanges(theirs, note, role="from", content="value", opening=True)
    else:
        return "missing 'conversation'"
    if isinstance(turns, str):
        return turns
    why = text_fault(raw, _OWNER) or blank(turns)
    return why or {"conversation": turns, "language": language_code(raw.get("language"))}
