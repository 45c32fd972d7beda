"""Conversations in the forms that the sources have, as one: user and assistant in turn, the user first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from .checks import text_fault

Turn = dict[str, str]  # {"role": "user" or "assistant", "content": text}
TURN = pa.struct([("role", pa.string()), ("content", pa.string())])

NO_TURN, NO_MESSAGE, DISORDER, NO_ANSWER = (
    "no turn",
    "a turn that is no message",
    "turns not user and assistant in turn",
    "no answer",
)
FAULTS = (NO_TURN, NO_MESSAGE, DISORDER, NO_ANSWER)
ONE_EXCHANGE = "one exchange alone"
TURN_RULES = EMPTY_TURN, BROKEN_TURN = ("empty turn", "broken text in a turn")
# Noted, not dropped.
OPENING, UNANSWERED = "assistant's opening turn left out", "last turn of the user, never answered, left out"

_ROLES = MappingProxyType({"user": "user", "assistant": "assistant", "human": "user", "gpt": "assistant"})


def exchanges(
    raw: list[Any],
    note: Callable[[str], None],
    *,
    role: str = "role",
    content: str = "content",
    opening: bool = False,
) -> list[Turn] | str:
    """The turns of a conversation, each question with its answer, so an even number of them; or the rule it breaks.

    `role` and `content` name the fields of a turn. `opening`: a first turn of the assistant is left out, as
    FedLLM-Bench's training code does with its release. A last turn of the user without an answer is left out too.
    Whether a turn is blank is the caller's business.
    """
    turns: list[Turn] = []
    for turn in raw:
        spoken = turn.get(role) if isinstance(turn, Mapping) else None
        text = turn.get(content) if isinstance(turn, Mapping) else None
        if not isinstance(spoken, str) or not isinstance(text, str):
            return NO_MESSAGE
        turns.append({"role": _ROLES.get(spoken, spoken), "content": text})
    if not turns:
        return NO_TURN
    if opening and turns[0]["role"] == "assistant":
        note(OPENING)
        turns = turns[1:]
    if any(turn["role"] != ("assistant" if i % 2 else "user") for i, turn in enumerate(turns)):
        return DISORDER
    if len(turns) < 2:
        return NO_ANSWER
    if len(turns) % 2:
        note(UNANSWERED)
        turns = turns[:-1]
    return turns


def blank(turns: list[Turn]) -> str | None:
    """The first rule that the text of a whole conversation breaks, or None: no blank turn, text that can be written."""
    for turn in turns:
        why = text_fault(turn, {"content": str})
        if why is not None:
            return EMPTY_TURN if not turn["content"].strip() else BROKEN_TURN
    return None
