"""The rules that every raw record must pass, whatever its dataset: fields and their types, text, conversations.

A rule is named by what a drop report says of the records that break it. Languages become two-letter codes here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

Turn = dict[str, str]  # {"role": "user" or "assistant", "content": text}

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

UNKNOWN = "und"  # ISO 639-2, "undetermined": a source that does not say, or a language without a two-letter code

# Languages as Chatbot Arena and WildChat name them, with their codes of ISO 639-1.
_NAMES = """
Afrikaans af, Albanian sq, Amharic am, Arabic ar, Armenian hy, Azerbaijani az, Basque eu, Belarusian be, Bengali bn,
Bosnian bs, Breton br, Bulgarian bg, Burmese my, Catalan ca, Chinese zh, Corsican co, Croatian hr, Czech cs, Danish da,
Dutch nl, English en, Esperanto eo, Estonian et, Faroese fo, Finnish fi, French fr, Galician gl, Georgian ka, German de,
Greek el, Guarani gn, Gujarati gu, Haitian Creole ht, Hausa ha, Hebrew he, Hindi hi, Hungarian hu, Icelandic is,
Igbo ig, Indonesian id, Interlingua ia, Interlingue ie, Irish ga, Italian it, Japanese ja, Javanese jv, Kannada kn,
Kazakh kk, Khmer km, Kinyarwanda rw, Korean ko, Kurdish ku, Kyrgyz ky, Lao lo, Latin la, Latvian lv, Lithuanian lt,
Luxembourgish lb, Macedonian mk, Malagasy mg, Malay ms, Malayalam ml, Maltese mt, Manx gv, Maori mi, Marathi mr,
Mongolian mn, Nepali ne, Norwegian no, Nyanja ny, Occitan oc, Oromo om, Pashto ps, Persian fa, Polish pl,
Portuguese pt, Punjabi pa, Quechua qu, Romanian ro, Romansh rm, Russian ru, Samoan sm, Sanskrit sa, Scottish Gaelic gd,
Serbian sr, Shona sn, Sindhi sd, Sinhala si, Slovak sk, Slovenian sl, Somali so, Sotho st, Southern Sotho st,
Spanish es, Sundanese su, Swahili sw, Swedish sv, Tagalog tl, Tajik tg, Tamil ta, Tatar tt, Telugu te, Thai th,
Tibetan bo, Tigrinya ti, Tsonga ts, Tswana tn, Turkish tr, Turkmen tk, Ukrainian uk, Urdu ur, Uyghur ug, Uzbek uz,
Vietnamese vi, Volapuk vo, Welsh cy, Western Frisian fy, Wolof wo, Xhosa xh, Yiddish yi, Yoruba yo, Zulu zu,
Norwegian Bokmal nb, Norwegian Nynorsk nn, Farsi fa, Filipino tl, Simplified Chinese zh, Traditional Chinese zh,
Modern Greek el, Standard Arabic ar, Bangla bn, Kirghiz ky, Slovene sl, Panjabi pa, Bihari bh
"""
CODES: Mapping[str, str] = MappingProxyType(
    {name.lower(): code for name, _, code in (entry.strip().rpartition(" ") for entry in _NAMES.split(","))}
)
_KNOWN = frozenset(CODES.values())


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


def language_code(name: Any) -> str:
    """The two-letter code of a language's English name or of its own code, letter case ignored; else `und`."""
    if not isinstance(name, str):
        return UNKNOWN
    plain = " ".join(name.replace("_", " ").split()).lower()
    return plain if plain in _KNOWN else CODES.get(plain, UNKNOWN)
