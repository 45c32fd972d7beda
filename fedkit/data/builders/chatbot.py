"""Fed-ChatbotIT and Fed-ChatbotPA (FedLLM-Bench section 3.2): the judges of Chatbot Arena as clients.

Both are the votes that name a winner: the instruction with the winner's answer (IT, judges with at least 10 votes), or
with both answers (PA, at least 5). The paper calls them single-turn: of a longer conversation the first exchange is
taken. It names no rule about languages and its authors published no code for this step, so all languages stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..sources import SOURCES
from .checks import reasons, text_fault, text_rules
from .conversations import FAULTS, Turn, exchanges
from .languages import language_code
from .recipe import Form, Note, Recipe, Row, field_of
from .released import released_answer, released_form, released_pair
from .schemas import ANSWERED, PAIRED

SIDES: Mapping[str, str] = MappingProxyType({"model_a": "conversation_a", "model_b": "conversation_b"})
TIES = frozenset({"tie", "tie (bothbad)"})
TIE, NO_WINNER, TWO_QUESTIONS = "tie", "winner is neither model nor a tie", "two different instructions"
NO_TURN_FIELD = "no `turn`: counted from the conversation"
TURN_DIFFERS = "`turn` differs from the conversation, which counts"

_PAIR = MappingProxyType({"instruction": str, "chosen": str, "rejected": str})
_RULES = (
    TIE,
    NO_WINNER,
    *(f"{fault} in {side!r}" for side in SIDES.values() for fault in FAULTS),
    TWO_QUESTIONS,
    *text_rules(*_PAIR),
)


def pair(raw: Mapping[str, Any], note: Note) -> Row | str:
    """A vote as instruction, chosen, rejected and language, or the rule that it breaks."""
    if raw["winner"] in TIES:
        return TIE
    if raw["winner"] not in SIDES:
        return NO_WINNER
    talks: dict[str, list[Turn]] = {}
    for model, side in SIDES.items():
        turns = exchanges(raw[side], note)
        if isinstance(turns, str):
            return f"{turns} in {side!r}"
        talks[model] = turns
    chosen = talks.pop(raw["winner"])
    (rejected,) = talks.values()
    if chosen[0]["content"].strip() != rejected[0]["content"].strip():
        return TWO_QUESTIONS
    row = {"instruction": chosen[0]["content"], "chosen": chosen[1]["content"], "rejected": rejected[1]["content"]}
    why = text_fault(row, _PAIR) or text_fault(raw, SOURCES["arena"].fields)
    if why is not None:
        return why
    _compare_turns(raw, len(chosen) // 2, note)
    return {**row, "language": language_code(raw.get("language"))}


def _compare_turns(raw: Mapping[str, Any], turns: int, note: Note) -> None:
    """The field `turn` is not needed; that a record lacks it, or that it is wrong, is noted."""
    if raw.get("turn") is None:
        note(NO_TURN_FIELD)
    elif raw["turn"] != turns:
        note(TURN_DIFFERS)


def answer(raw: Mapping[str, Any], note: Note) -> Row | str:
    """A vote as instruction, response (the winner's answer) and language, or the rule that it breaks."""
    row = pair(raw, note)
    if isinstance(row, str):
        return row
    return {"instruction": row["instruction"], "response": row["chosen"], "language": row["language"]}


def _paper(clients: int, samples: int) -> Mapping[str, Any]:
    return MappingProxyType({"clients": clients, "samples": samples, "place": "FedLLM-Bench Table 1"})


_VOTES = reasons(SOURCES["arena"].fields, *_RULES)

build_fed_chatbot_it = Recipe(
    name="fed_chatbot_it",
    schema=ANSWERED,
    who="judge",
    forms=(
        Form("arena", _VOTES, answer, field_of("judge")),
        released_form("fed_chatbot_it", released_answer),
    ),
    paper=_paper(237, 6_166),
)
build_fed_chatbot_pa = Recipe(
    name="fed_chatbot_pa",
    schema=PAIRED,
    who="judge",
    forms=(
        Form("arena", _VOTES, pair, field_of("judge")),
        released_form("fed_chatbot_pa", released_pair),
    ),
    paper=_paper(747, 9_508),
)
