"""Fed-WildChat (FedLLM-Bench section 3.2): the users of WildChat, known by the hash of their IP address, as clients.

Single-turn: the first exchange of every conversation. Multi-turn: whole conversations with at least two exchanges.
Clients have at least 200 of them. The paper does not say whether its single-turn samples are first exchanges or
conversations of one exchange alone, and its authors published no code for this step; a user's conversations all begin
with a question that stands for itself, so none is left out here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..sources import SOURCES
from .checks import reasons, text_fault, text_rules
from .conversations import FAULTS, ONE_EXCHANGE, TURN_RULES, Turn, blank, exchanges
from .languages import language_code
from .recipe import Form, Note, Recipe, Row
from .released import released_answer, released_form, released_talk
from .schemas import ANSWERED, TALKED

NO_USER, NO_NAME = "missing 'hashed_ip'", "wrong type of 'hashed_ip'"
OLDER = "WildChat of 2023, without `conversation_hash`"
IN_TURNS = "`hashed_ip` read from the turns"

_EXCHANGE = MappingProxyType({"instruction": str, "response": str})


def user(raw: Mapping[str, Any]) -> Any:
    """Who asked: `hashed_ip` of the record, or else of the first turn that names one."""
    own = raw.get("hashed_ip")
    if own is not None:
        return own
    turns = raw.get("conversation")
    named = (turn.get("hashed_ip") for turn in turns if isinstance(turn, Mapping)) if isinstance(turns, list) else ()
    return next((name for name in named if name is not None), None)


def _turns(raw: Mapping[str, Any], note: Note) -> list[Turn] | str:
    """The conversation of a raw record that names its user, or the rule that the record breaks."""
    name = user(raw)
    if name is None:
        return NO_USER
    if not isinstance(name, str):
        return NO_NAME
    why = text_fault({"hashed_ip": name}, {"hashed_ip": str})
    turns = why or exchanges(raw["conversation"], note)
    if not isinstance(turns, str):
        if raw.get("conversation_hash") is None:
            note(OLDER)
        if raw.get("hashed_ip") is None:
            note(IN_TURNS)
    return turns


def first_exchange(raw: Mapping[str, Any], note: Note) -> Row | str:
    """A conversation's first question and answer as instruction, response and language, or the rule that it breaks."""
    turns = _turns(raw, note)
    if isinstance(turns, str):
        return turns
    row = {"instruction": turns[0]["content"], "response": turns[1]["content"]}
    return text_fault(row, _EXCHANGE) or {**row, "language": language_code(raw.get("language"))}


def whole(raw: Mapping[str, Any], note: Note) -> Row | str:
    """A conversation of two exchanges or more with its language, or the rule that it breaks."""
    turns = _turns(raw, note)
    if isinstance(turns, str):
        return turns
    why = ONE_EXCHANGE if len(turns) < 4 else blank(turns)
    return why or {"conversation": turns, "language": language_code(raw.get("language"))}


_RULES = reasons(SOURCES["wildchat"].fields, NO_USER, NO_NAME, *text_rules("hashed_ip"), *FAULTS)

build_fed_wildchat = Recipe(
    name="fed_wildchat",
    schema=ANSWERED,
    who="user",
    forms=(
        Form("wildchat", (*_RULES, *text_rules(*_EXCHANGE)), first_exchange, user),
        released_form("fed_wildchat", released_answer),
    ),
    paper=MappingProxyType({"clients": 100, "samples": 52_703, "place": "FedLLM-Bench Table 1"}),
)
build_fed_wildchat_multi = Recipe(
    name="fed_wildchat_multi",
    schema=TALKED,
    who="user",
    forms=(
        Form("wildchat", (*_RULES, ONE_EXCHANGE, *TURN_RULES), whole, user),
        released_form("fed_wildchat_multi", released_talk),
    ),
    paper=MappingProxyType(
        {"clients": 50, "samples": 15_406, "place": "FedLLM-Bench Table 7 (clients) and settings (samples)"}
    ),
)
