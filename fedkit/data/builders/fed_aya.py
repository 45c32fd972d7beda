"""Fed-Aya (FedLLM-Bench section 3.2): Aya's annotators as clients.

The rule: six high-resource languages (en, es, fr, ru, pt, zh) and two low-resource ones (ar, te); annotators with at
least 100 annotations. Languages go by Aya's field `language`: Traditional Chinese shares the code zho.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..sources import SOURCES
from .checks import reasons, text_fault
from .languages import UNKNOWN
from .recipe import Form, Note, Recipe, Row, field_of
from .schemas import ANSWERED

LANGUAGES: Mapping[str, str] = MappingProxyType(
    {
        "Standard Arabic": "ar",
        "English": "en",
        "Spanish": "es",
        "French": "fr",
        "Portuguese": "pt",
        "Russian": "ru",
        "Telugu": "te",
        "Simplified Chinese": "zh",
    }
)
OTHER = "other language"


def two_letter(language: str) -> str | None:
    """Fed-Aya's code of a language as Aya spells it (`Standard Arabic`, `Standard_Arabic`) or of its own code.

    None for other languages.
    """
    spoken = language.replace("_", " ").strip()
    return spoken if spoken in LANGUAGES.values() else LANGUAGES.get(spoken)


def annotation(raw: Mapping[str, Any], note: Note) -> Row | str:
    """A record of Aya as instruction (inputs), response (targets) and language, or the rule that it breaks."""
    code = two_letter(raw["language"])
    if code is None and raw["language"].strip():
        return OTHER
    why = text_fault(raw, SOURCES["aya"].fields)
    return why or {"instruction": raw["inputs"], "response": raw["targets"], "language": code}


def released(raw: Mapping[str, Any], note: Note) -> Row | str:
    """A record of FedLLM-Bench's release, which was cut to the 8 languages by its authors and names none."""
    spoken = str(raw.get("language") or UNKNOWN).strip() or UNKNOWN
    code = UNKNOWN if spoken == UNKNOWN else two_letter(spoken)
    if code is None:
        return OTHER
    why = text_fault(raw, SOURCES["fed_aya"].fields)
    return why or {"instruction": raw["instruction"], "response": raw["response"], "language": code}


build_fed_aya = Recipe(
    name="fed_aya",
    schema=ANSWERED,
    who="annotator",
    forms=(
        Form("aya", reasons(SOURCES["aya"].fields, OTHER), annotation, field_of("user_id")),
        Form("fed_aya", reasons(SOURCES["fed_aya"].fields, OTHER), released, field_of("client_id")),
    ),
    paper=MappingProxyType({"clients": 38, "samples": 25_513, "place": "FedLLM-Bench Table 1"}),
)
