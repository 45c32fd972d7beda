"""Fed-ChatbotIT and Fed-ChatbotPA (FedLLM-Bench section 3.2): the voters of Chatbot Arena as clients.

Both are the votes that name a winner: the instruction with the winner's answer (IT, voters with at least 10 votes), or
with both answers (PA, at least 5). The paper calls them single-turn: of a longer conversation the first exchange is
taken. It names no rule about languages and its authors published no code for this step, so all languages stay. The
names of the released files are those of its training scripts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..rules import FAULTS, Turn, exchanges, language_code, text_fault, text_rules
from ..sources import RawSource, spellings
from .base import PAIRED, Form, Note, People, Row, field_of, paper
from .questions import ChatQuestions
from .released import PAIR, released, released_answer, released_pair
from .story import BENCH, CITE_BENCH, Part, Story

SIDES: Mapping[str, str] = MappingProxyType({"model_a": "conversation_a", "model_b": "conversation_b"})
TIES = frozenset({"tie", "tie (bothbad)"})
TIE, NO_WINNER, TWO_QUESTIONS = "tie", "winner is neither model nor a tie", "two different instructions"
NO_TURN_FIELD = "no `turn`: counted from the conversation"
TURN_DIFFERS = "`turn` differs from the conversation, which counts"

_LICENCE = "CC-BY-4.0 (instructions), CC-BY-NC-4.0 (answers)"
_FOLDERS = ("chatbot_arena_conversations", "arena")
ARENA = RawSource(
    "arena",
    (
        *(f"{folder}/{under}train*.parquet" for folder in _FOLDERS for under in ("", "data/")),
        *(name for folder in _FOLDERS for name in spellings(folder, "train")),
    ),
    fields=MappingProxyType({"winner": str, "judge": str, "conversation_a": list, "conversation_b": list}),
    hub="lmsys/chatbot_arena_conversations",
    gated=True,
    embedded=True,
    others=(
        (
            "winner_model_a",
            "the 55,000 votes of Kaggle's competition (lmsys-arena-human-preference-55k), which name no judge, so that"
            " no client can be made of them; take lmsys/chatbot_arena_conversations",
        ),
        (
            "evaluation_session_id",
            "the 140,000 votes of 2025 (lmarena-ai/arena-human-preference-140k), which name no judge, so that no client"
            " can be made of them; take lmsys/chatbot_arena_conversations",
        ),
    ),
    licence=_LICENCE,
    description="Chatbot Arena Conversations (Zheng et al. 2023): 33,000 votes between two answers, by judge",
)
CHATBOT_TEST = RawSource(
    "chatbot_test",
    ("fedllm_bench/chatbot_test.json", "chatbot_test.json", "chatbot/testset.json"),
    fields=MappingProxyType({"instruction": str}),
    embedded=True,
    licence=_LICENCE,
    description="Ref questions of FedLLM-Bench for Fed-ChatbotIT and Fed-ChatbotPA, 50, without reference answers",
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
    why = text_fault(row, PAIR) or text_fault(raw, ARENA.fields)
    if why is not None:
        return why
    # The field `turn` is not needed; that a record lacks it, or that it is wrong, is noted.
    if raw.get("turn") is None:
        note(NO_TURN_FIELD)
    elif str(raw["turn"]) != str(len(chosen) // 2):  # text in a CSV file
        note(TURN_DIFFERS)
    return {**row, "language": language_code(raw.get("language"))}


def answer(raw: Mapping[str, Any], note: Note) -> Row | str:
    """A vote as instruction, response (the winner's answer) and language, or the rule that it breaks."""
    row = pair(raw, note)
    if isinstance(row, str):
        return row
    return {"instruction": row["instruction"], "response": row["chosen"], "language": row["language"]}


_RULES = (
    TIE,
    NO_WINNER,
    *(f"{fault} in {side!r}" for side in SIDES.values() for fault in FAULTS),
    TWO_QUESTIONS,
    *text_rules(*PAIR),
)
ANSWERS = Form(ARENA, answer, _RULES, field_of("judge"))
_SHARED: dict[str, Any] = dict(
    who="judge",
    questions=ChatQuestions("chatbot", CHATBOT_TEST, ("fed_chatbot_it", "fed_chatbot_pa"), ANSWERS, "judge"),
)
_WORDS: dict[str, Any] = dict(
    paper=BENCH,
    hub=ARENA.hub,
    version="""The Hub's current revision, split `train` (33,000 votes of April to June 2023); no revision is pinned.
FedLLM-Bench's own release is read too where the data folder holds it. A record without `turn` is read as an older form,
and said so.""",
    licence="cc-by-nc-4.0",
    parts=(
        Part(
            "Chatbot Arena Conversations: what users wrote",
            "CC BY 4.0",
            "name the source; the Hub asks for consent to its terms first",
        ),
        Part(
            "Chatbot Arena Conversations: what models answered",
            "CC BY-NC 4.0",
            "not for commercial use; the terms of each model's maker apply as well",
        ),
        Part("FedLLM-Bench's choice of clients and test questions", "CC BY-NC 4.0", "as above; cite the paper"),
    ),
    privacy="""`judge` is a pseudonym that ties together all votes of a visitor; most conversations with personal data
were taken out upstream, not all. Do not try to identify anyone.""",
    citation="""@inproceedings{zheng2023judging,
  title = {Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena},
  author = {Zheng, Lianmin and Chiang, Wei-Lin and Sheng, Ying and others},
  booktitle = {NeurIPS Datasets and Benchmarks},
  year = {2023}
}"""
    + CITE_BENCH,
)
_HARMS = """Users asked for whatever they liked, so there are unsafe, rude and sexual requests, and answers that comply.
FedLLM-Bench keeps them, to study safety. Votes are those of one person on one pair, often on taste or length rather
than on truth."""

FED_CHATBOT_IT = People(
    name="fed_chatbot_it",
    forms=(
        ANSWERS,
        released(
            "fed_chatbot_it",
            ("instruction", "response"),
            released_answer,
            ("Fed-ChatbotIT/*", "fed_chatbot_it/*"),
            licence=_LICENCE,
            description="Fed-ChatbotIT as FedLLM-Bench released it: {client: [instruction, response]}",
        ),
    ),
    paper=paper(237, 6_166, "FedLLM-Bench Table 1"),
    story=Story(
        title="Fed-ChatbotIT",
        what="""Questions that visitors of a public arena put to two nameless chatbots, each with the answer that its
visitor preferred. For federated instruction tuning on single-turn chat.""",
        clients="A client is a visitor (`judge`) with at least 10 decided votes.",
        dropped="""A vote is dropped for the first rule that it breaks: a field that is missing or of a wrong type, a
tie (nothing was chosen), conversations that are no alternation of user and assistant or do not begin with the same
question, a blank question or answer, a question that is one of the held-out test questions; then all votes of a visitor
below the minimum. Of a conversation of several turns the first exchange is taken.""",
        harms=_HARMS,
        **_WORDS,
    ),
    **_SHARED,
)
FED_CHATBOT_PA = People(
    name="fed_chatbot_pa",
    schema=PAIRED,
    forms=(
        Form(ARENA, pair, _RULES, field_of("judge")),
        released(
            "fed_chatbot_pa",
            ("chosen", "rejected"),
            released_pair,
            ("Fed-ChatbotPA/*", "fed_chatbot_pa/*"),
            licence=_LICENCE,
            description="Fed-ChatbotPA as FedLLM-Bench released it: {client: [instruction/prompt, chosen, rejected]}",
        ),
    ),
    paper=paper(747, 9_508, "FedLLM-Bench Table 1"),
    story=Story(
        title="Fed-ChatbotPA",
        what="""Preference pairs from a public arena of chatbots: a question, the answer that a visitor preferred and
the one that lost. For federated preference alignment (DPO). Clients differ in taste: most prefer the longer answer,
some do not.""",
        tasks=("text-generation", "reinforcement-learning"),
        clients="A client is a visitor (`judge`) with at least 5 decided votes.",
        dropped="""The same rules as for Fed-ChatbotIT, with a smaller minimum: a vote is dropped for the first rule
that it breaks (a missing or wrong field, a tie, conversations that do not fit together, a blank text, a held-out test
question), then all votes of a visitor below the minimum.""",
        harms=f"{_HARMS} An alignment to such votes aligns to the tastes of those who came.",
        **_WORDS,
    ),
    **_SHARED,
)
DATASETS = (FED_CHATBOT_IT, FED_CHATBOT_PA)
