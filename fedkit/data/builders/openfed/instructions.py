"""The instruction sets: raw records in Alpaca's schema, and its cousins, as instruction and response.

OpenFedLLM's own reading of each (its utils/process_dataset.py): an `input` that is not empty is joined to the
instruction by one space; of MathInstruct the first record of each instruction is kept; the flashcards' question stands
in `input`, and their `instruction`, the same on every card, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..checks import fault, shape_fault, text_fault
from .corpus import LANGUAGE, Corpus

_INPUT_TYPE = "wrong type of 'input'"
_INPUT_BROKEN = "broken text in 'input'"


def alpaca_row(raw: Any, fields: Mapping[str, type]) -> dict[str, str] | str:
    """Instruction, input (may be absent, null or blank) and output; else the reason."""
    why = shape_fault(raw, fields)
    given = raw.get("input") if why is None else None
    if why is None and given is not None and not isinstance(given, str):
        why = _INPUT_TYPE
    why = why or text_fault(raw, fields)
    given = given if isinstance(given, str) and given.strip() else ""
    if why is None and given and text_fault({"input": given}, {"input": str}):
        why = _INPUT_BROKEN
    return why or _row(f"{raw['instruction']} {given}" if given else raw["instruction"], raw["output"])


def headline_row(raw: Any, fields: Mapping[str, type]) -> dict[str, str] | str:
    """FinGPT's: the question about a headline, the headline, its sentiment; all three are needed."""
    return fault(raw, fields) or _row(f"{raw['instruction']} {raw['input']}", raw["output"])


def flashcard_row(raw: Any, fields: Mapping[str, type]) -> dict[str, str] | str:
    """Medical Meadow's: the question of a card and its answer."""
    return fault(raw, fields) or _row(raw["input"], raw["output"])


def _row(instruction: str, response: str) -> dict[str, str]:
    return {"instruction": instruction, "response": response, "language": LANGUAGE}


_ALONE = "in OpenFedLLM one client of four; its size is the source's"
_RULES = (_INPUT_TYPE, _INPUT_BROKEN)
INSTRUCTION_SETS: Mapping[str, Corpus] = MappingProxyType(
    {
        corpus.name: corpus
        for corpus in (
            Corpus("alpaca_gpt4", alpaca_row, "OpenFedLLM section 4.2", clients=20, samples=20_000, rules=_RULES),
            Corpus("fingpt", headline_row, "OpenFedLLM section 4.3", clients=50, samples=10_000),
            Corpus("alpaca", alpaca_row, _ALONE, samples=52_002, rules=_RULES),
            Corpus("mathinstruct", alpaca_row, _ALONE, samples=262_039, rules=_RULES, once="instruction"),
            Corpus("code_alpaca", alpaca_row, _ALONE, samples=20_022, rules=_RULES),
            Corpus("medical", flashcard_row, "the source's size; the split is in the full paper only", samples=33_955),
        )
    }
)
