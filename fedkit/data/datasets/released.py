"""FedLLM-Bench's releases, `{client: [record, ...]}`, one form a task; an export of fedkit is read alike.

Their authors chose the clients and cleaned the records; only the rules that keep a record usable are applied again.
A release names no language (`und`), an export does.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..rules import FAULTS, TURN_RULES, blank, exchanges, language_code, text_fault, text_rules
from ..sources import RawSource
from .base import Form, Note, Row, field_of

PROMPT = "instruction called `prompt`"
ANSWER = MappingProxyType({"instruction": str, "response": str})
PAIR = MappingProxyType({"instruction": str, "chosen": str, "rejected": str})
OWNER = MappingProxyType({"client_id": str})
_MISSING = tuple(f"missing {name!r}" for name in ("instruction", "conversation"))


def released(
    name: str, fields: tuple[str, ...], row: Any, patterns: tuple[str, ...], *, rules: tuple[str, ...] = (), **rest: Any
) -> Form:
    """The form of a released dataset, whose client is the key that its records stand under.

    `fields`: text that a record must have beside it. `patterns`: of its files, without `.json` or `.json.gz`.
    """
    files = tuple(f"{pattern}.json{end}" for pattern in patterns for end in ("", ".gz"))
    source = RawSource(name, files, fields=MappingProxyType(dict.fromkeys((*fields, *OWNER), str)), **rest)
    texts = text_rules(*source.fields, *PAIR, "response")
    return Form(source, row, (*rules, *_MISSING, *FAULTS, *TURN_RULES, *texts), field_of("client_id"))


def released_answer(raw: Mapping[str, Any], note: Note) -> Row | str:
    """Instruction and response."""
    why = text_fault(raw, {**ANSWER, **OWNER})
    return why or {**{name: raw[name] for name in ANSWER}, "language": language_code(raw.get("language"))}


def released_pair(raw: Mapping[str, Any], note: Note) -> Row | str:
    """Instruction (TRL's `prompt` in some files), chosen and rejected."""
    row = dict(raw)
    if row.get("instruction") is None and row.get("prompt") is not None:
        note(PROMPT)
        row["instruction"] = row["prompt"]
    if not isinstance(row.get("instruction"), str):
        return "missing 'instruction'"
    why = text_fault(row, {**PAIR, **OWNER})
    return why or {**{name: row[name] for name in PAIR}, "language": language_code(raw.get("language"))}


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
    why = text_fault(raw, OWNER) or blank(turns)
    return why or {"conversation": turns, "language": language_code(raw.get("language"))}
