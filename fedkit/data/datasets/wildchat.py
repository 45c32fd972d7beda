"""Fed-WildChat (FedLLM-Bench section 3.2): the users of WildChat, known by the hash of their IP address, as clients.

Single-turn: the first exchange of every conversation. Multi-turn: whole conversations with at least two exchanges.
Clients have at least 200 of them. The paper does not say whether its single-turn samples are first exchanges or
conversations of one exchange alone, and its authors published no code for this step; a user's conversations all begin
with a question that stands for itself, so none is left out here. The names of the released files are those of its
training scripts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..rules import FAULTS, ONE_EXCHANGE, TURN_RULES, Turn, blank, exchanges, language_code, text_fault, text_rules
from ..sources import RawSource, spellings
from .base import TALKED, Form, Note, People, Row, paper
from .questions import ChatQuestions
from .released import ANSWER, released, released_answer, released_talk
from .story import BENCH, CITE_BENCH, Part, Story

NO_USER, NO_NAME = "missing 'hashed_ip'", "wrong type of 'hashed_ip'"
OLDER = "WildChat of 2023, without `conversation_hash`"
IN_TURNS = "`hashed_ip` read from the turns"

_LICENCE = "ODC-BY (first released under AI2 ImpACT, low risk)"
_FOLDERS = ("WildChat-1M", "WildChat", "wildchat")
WILDCHAT = RawSource(
    "wildchat",
    (
        *(f"{folder}/{under}train*.parquet" for folder in _FOLDERS for under in ("", "data/")),
        *(name for folder in _FOLDERS for name in spellings(folder, "train")),
    ),
    fields=MappingProxyType({"conversation": list}),  # who asked is `hashed_ip` of the record or of a turn
    hub="allenai/WildChat-1M",
    embedded=True,
    licence=_LICENCE,
    description="WildChat (Zhao et al. 2024): conversations of people with ChatGPT, by hashed IP address",
)
WILDCHAT_TEST = RawSource(
    "wildchat_test",
    ("fedllm_bench/wildchat_test.json", "wildchat_test.json", "wildchat/testset.json"),
    fields=MappingProxyType({"instruction": str}),
    embedded=True,
    licence=_LICENCE,
    description="Ref questions of FedLLM-Bench for Fed-WildChat, 50, without reference answers",
)


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
    return text_fault(row, ANSWER) or {**row, "language": language_code(raw.get("language"))}


def whole(raw: Mapping[str, Any], note: Note) -> Row | str:
    """A conversation of two exchanges or more with its language, or the rule that it breaks."""
    turns = _turns(raw, note)
    if isinstance(turns, str):
        return turns
    why = ONE_EXCHANGE if len(turns) < 4 else blank(turns)
    return why or {"conversation": turns, "language": language_code(raw.get("language"))}


_RULES = (NO_USER, NO_NAME, *text_rules("hashed_ip"), *FAULTS)
ANSWERS = Form(WILDCHAT, first_exchange, (*_RULES, *text_rules(*ANSWER)), user)
_SHARED: dict[str, Any] = dict(
    who="user",
    questions=ChatQuestions("wildchat", WILDCHAT_TEST, ("fed_wildchat", "fed_wildchat_multi"), ANSWERS, "user"),
)
_WORDS: dict[str, Any] = dict(
    hub="allenai/WildChat",
    version="""The Hub's current revision, split `train`; no revision is pinned. Older files without
`conversation_hash`, and newer ones with the hashed address inside the turns, are read as such, and said so.""",
    licence="other",
    parts=(
        Part(
            "WildChat (2023 release)",
            "AI2 ImpACT License, Low Risk",
            "read and accept on the Hub; later releases (WildChat-1M) are under ODC-BY 1.0",
        ),
        Part(
            "what ChatGPT answered",
            "terms of use of OpenAI",
            "forbid, among others, to develop competing models with it",
        ),
    ),
    harms="""Real use of a chatbot without supervision: unsafe, sexual and hateful requests occur, and are kept as
FedLLM-Bench keeps them; upstream marks them by `toxic`. Answers are a model's, with its errors.""",
    privacy="""`hashed_ip` ties together all that came from one address, which may be one person or a whole office; a
long record of one address says much about whoever sits behind it. Upstream removed personal data by machine, so some is
left. Do not try to identify anyone.""",
    citation="""@inproceedings{zhao2024wildchat,
  title = {WildChat: 1M ChatGPT Interaction Logs in the Wild},
  author = {Zhao, Wenting and Ren, Xiang and Hessel, Jack and Cardie, Claire and Choi, Yejin and Deng, Yuntian},
  booktitle = {ICLR},
  year = {2024}
}"""
    + CITE_BENCH,
)

FED_WILDCHAT = People(
    name="fed_wildchat",
    forms=(
        ANSWERS,
        released(
            "fed_wildchat",
            ("instruction", "response"),
            released_answer,
            ("Fed-WildChat/single_turn/*", "fed_wildchat/*"),
            licence=_LICENCE,
            description="Fed-WildChat, single-turn, as FedLLM-Bench released it: {client: [instruction, response]}",
        ),
    ),
    paper=paper(100, 52_703, "FedLLM-Bench Table 1"),
    story=Story(
        title="Fed-WildChat (single-turn)",
        paper=BENCH,
        what="""Questions that people put to ChatGPT through a free public service, with its answers; the first exchange
of each conversation. For federated instruction tuning on real use.""",
        clients="""A client is a hashed address (`hashed_ip`) with at least 200 samples (`mini`: fewer, since its corpus
is smaller).""",
        dropped="""A conversation is dropped for the first rule that it breaks: a field that is missing or of a wrong
type, turns that do not alternate or do not begin with the user, a blank text, a held-out test question; then all of an
address below the minimum.""",
        **_WORDS,
    ),
    **_SHARED,
)
FED_WILDCHAT_MULTI = People(
    name="fed_wildchat_multi",
    schema=TALKED,
    forms=(
        Form(WILDCHAT, whole, (*_RULES, ONE_EXCHANGE, *TURN_RULES), user),
        # `conversations` of {from, value} in the release, `conversation` of {role, content} in an export of fedkit.
        released(
            "fed_wildchat_multi",
            (),
            released_talk,
            ("Fed-WildChat/multi_turn/*", "fed_wildchat_multi/*"),
            licence=_LICENCE,
            description="Fed-WildChat, multi-turn, as FedLLM-Bench released it: {client: [conversations]}",
        ),
    ),
    paper=paper(50, 15_406, "FedLLM-Bench Table 7 (clients) and settings (samples)"),
    story=Story(
        title="Fed-WildChat (multi-turn)",
        paper=BENCH.replace("Table 1", "Table 7"),
        what="""Whole conversations of at least two exchanges between people and ChatGPT, from a free public service.
For federated instruction tuning on multi-turn chat, with the loss on the assistant's turns alone.""",
        clients="""A client is a hashed address (`hashed_ip`) with at least 200 conversations of two user turns or more
(`mini`: fewer).""",
        dropped="""The same rules as for the single-turn form, and a rule of its own: conversations with one user turn
are not multi-turn.""",
        **_WORDS,
    ),
    **_SHARED,
)
DATASETS = (FED_WILDCHAT, FED_WILDCHAT_MULTI)
