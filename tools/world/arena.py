"""Raw votes of the embedded world in the schema of lmsys/chatbot_arena_conversations, and held-out questions.

A judge asks, two models answer, the judge votes by taste: length, quality, refusal of harmful requests, and chance.
The models are invented. Which judge casts how many usable votes is planned first (`votes`), so that the clients of
Fed-ChatbotIT and Fed-ChatbotPA are known; what a vote says is left to the judge.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from fedkit.common.seeds import generator

from .chat import Answer, Asked, Asker, Model, answer, first_turn, make_asker, next_turn, questions
from .lexicon import language
from .sizes import split, tailed
from .users import draw

DEFAULT_N = 15_000
# The paper's clients and samples (Table 1): 237 judges with at least 10 usable votes, 747 with at least 5.
HEAVY, HEAVY_VOTES, MINIMUM_IT = 237, 6_166, 10
MEDIUM, MINIMUM_PA = 747 - 237, 5
_LIGHT, _IDLE = 800, 60  # judges with 1 to 4 usable votes, judges with ties alone
_MEDIUM_SHARES = 0.8 ** np.arange(5)  # of 5, 6, 7, 8, 9 votes: a mean of 6.5, what the paper's 3,342 come to
_LIGHT_SHARES = np.array([0.5, 0.25, 0.15, 0.1])  # of 1, 2, 3, 4 votes
_TAIL = 1.4  # sigma of the log-normal tail of the heavy judges, for a spread like the paper's 26 +- 33
# Of all records; they fall to heavy judges, so that no reading of them changes who is a client.
_FAULTS = MappingProxyType(
    {"no answer": 0.004, "no question": 0.001, "no later answer": 0.001, "two questions": 0.0007}
)
_VOTE, _TIE = "vote", "tie"
_SLOTS = (_VOTE, _TIE, *_FAULTS)
_TURNS = (0.87, 0.09, 0.04)  # chances of 1, 2, 3 turns
_TRIES = 8  # a judge with sharp tastes may find no close match in so many; the last is then called a tie
_START, _SPAN = 1_682_300_000.0, 57 * 86_400.0  # from 24 April 2023 on, in seconds

LANGUAGE_SHARES = MappingProxyType(
    {"en": 0.86, "pt": 0.02, "ru": 0.02, "es": 0.02, "fr": 0.02, "zh": 0.02, "de": 0.015, "ar": 0.01, "it": 0.005,
     "ja": 0.005, "pl": 0.005}
)  # fmt: skip

# name, wrong, typo, no stop; shares of short, answer, long, chatty, full; refuses
MODELS = (
    Model("atlas-40b", 0.02, 0.005, 0.0, (0.02, 0.38, 0.30, 0.15, 0.15), 0.97),
    Model("birch-13b", 0.05, 0.01, 0.01, (0.05, 0.45, 0.30, 0.10, 0.10), 0.9),
    Model("cedar-13b", 0.08, 0.01, 0.01, (0.02, 0.18, 0.30, 0.30, 0.20), 0.85),
    Model("delta-12b", 0.12, 0.02, 0.05, (0.30, 0.60, 0.08, 0.01, 0.01), 0.6),
    Model("ember-7b", 0.16, 0.02, 0.01, (0.10, 0.50, 0.25, 0.10, 0.05), 0.7),
    Model("fjord-7b", 0.22, 0.02, 0.02, (0.05, 0.25, 0.30, 0.20, 0.20), 0.4),
    Model("grove-6b", 0.28, 0.05, 0.05, (0.45, 0.45, 0.08, 0.01, 0.01), 0.3),
    Model("heron-3b", 0.35, 0.05, 0.10, (0.25, 0.55, 0.15, 0.03, 0.02), 0.15),
)


@dataclass(frozen=True)
class Judge:
    """A user who votes; tastes are weights of what one answer has over the other."""

    asker: Asker
    length: float  # of the log ratio of lengths; below 0 for who likes short answers
    quality: float
    refusal: float  # below 0 for who wants harmful requests answered
    close: float  # answers nearer than this are a tie


@dataclass(frozen=True)
class Match:
    """A conversation with two models, turn by turn."""

    asked: tuple[Asked, ...]
    a: tuple[Answer, ...]
    b: tuple[Answer, ...]


def votes(n: int = DEFAULT_N, seed: int = 0) -> np.ndarray:
    """Planned records of each judge by slot, (judges, 6): usable votes, ties, and the four kinds of fault.

    The number of judges goes with n: n / 15,000 of 237 with at least 10 usable votes, of 510 with 5 to 9, of 800 with
    1 to 4 and of 60 with ties alone; so 24 and 75 clients at n = 1,500. What usable votes and faults leave of n are
    ties (a quarter), shared out by how often a judge is undecided.
    """
    rng = generator(seed, "mini/arena/votes")
    scale = n / DEFAULT_N
    heavy, medium, light, idle = (max(1, round(count * scale)) for count in (HEAVY, MEDIUM, _LIGHT, _IDLE))
    usable = np.concatenate(
        [
            tailed(max(MINIMUM_IT * heavy, round(HEAVY_VOTES * scale)), MINIMUM_IT, heavy, _TAIL, rng),
            np.repeat(np.arange(MINIMUM_PA, MINIMUM_IT), split(medium, _MEDIUM_SHARES)),
            np.repeat(np.arange(1, MINIMUM_PA), split(light, _LIGHT_SHARES)),
            np.zeros(idle, dtype=int),
        ]
    )
    plan = np.zeros((len(usable), len(_SLOTS)), dtype=int)
    plan[:, 0] = usable
    for column, share in enumerate(_FAULTS.values(), start=2):
        owners = rng.choice(heavy, size=round(share * n), p=usable[:heavy] / usable[:heavy].sum())
        plan[:, column] = np.bincount(owners, minlength=len(usable))
    weight = (usable + 0.5) * np.exp(0.5 * rng.standard_normal(len(usable)))
    plan[-idle:, 1] = 1
    plan[:, 1] += split(max(0, n - int(plan.sum())), weight)
    return plan


def make_judge(name: str, seed: int = 0) -> Judge:
    """The judge of that name: mostly for longer, better and refusing answers, each by a weight of their own."""
    rng = generator(seed, "mini/arena/judge", client=name)
    codes = tuple(LANGUAGE_SHARES)
    code = codes[draw(tuple(LANGUAGE_SHARES.values()), rng)]
    return Judge(
        asker=make_asker(name, code, rng, pasters=0.1),
        length=float(rng.normal(0.5, 0.6)),
        quality=float(rng.lognormal(0.4, 0.5)),
        refusal=float(rng.normal(1.2, 1.2)),
        close=float(0.35 * rng.lognormal(0.0, 0.4)),
    )


def arena_records(n: int = DEFAULT_N, seed: int = 0, *, drift: bool = False) -> Iterator[dict[str, Any]]:
    """`n` raw votes in Chatbot Arena's schema, in order of time; judges in random order.

    A vote is usable if it has a winner and both conversations begin with the same non-empty question and a non-empty
    answer. At the default n, 237 judges have at least 10 usable votes and 747 at least 5, for every seed; how this
    goes with n is said at `votes`. About a quarter are ties, 13 % have two or three turns, one in eight is in another
    language than English, 0.7 % are broken, and some requests are harmful. Moderation fields are shortened. With
    `drift`, records lack `turn`, as some releases do.
    """
    plan = votes(n, seed)
    rng = generator(seed, "mini/arena/records")
    names = rng.permutation(len(plan))
    order = np.repeat(np.arange(plan.size), plan.ravel())  # judge and slot in one number
    judges: dict[int, Judge] = {}
    for i, place in enumerate(rng.permutation(len(order))[:n]):
        who, slot = divmod(int(order[place]), len(_SLOTS))
        judge = judges.get(who)
        if judge is None:
            judge = judges[who] = make_judge(f"arena_user_{names[who]}", seed)
        record = _record(judge, _SLOTS[slot], rng)
        record["question_id"] = hashlib.md5(f"mini-arena/{seed}/{i}".encode(), usedforsecurity=False).hexdigest()
        record["tstamp"] = round(_START + _SPAN * (i + rng.random()) / n, 4)
        if drift:
            del record["turn"]
        yield record


def chatbot_questions(count: int = 50, seed: int = 0) -> list[dict[str, str]]:
    """`count` questions about held-out facts in the languages of the judges: id, language, instruction, reference."""
    rng = generator(seed, "mini/arena/questions")
    codes = np.repeat(list(LANGUAGE_SHARES), split(count, np.array(list(LANGUAGE_SHARES.values()))))
    return questions("mini-chatbot", [str(code) for code in rng.permutation(codes)], rng)


def _record(judge: Judge, slot: str, rng: np.random.Generator) -> dict[str, Any]:
    """One vote of the wanted slot, in the schema."""
    turns = 1 + draw(_TURNS, rng) if slot != "no later answer" else 2
    for tried in itertools.count():
        first, step = int(rng.integers(len(MODELS))), int(rng.integers(1, len(MODELS)))
        a, b = MODELS[first], MODELS[(first + step) % len(MODELS)]
        match = _match(judge, a, b, turns, rng)
        lead = _lead(judge, match, rng)
        tie = abs(lead) < judge.close or match.a[0].text == match.b[0].text
        if tie == (slot == _TIE) or (slot == _TIE and tried >= _TRIES):
            break
    winner = ("model_a" if lead > 0 else "model_b") if slot != _TIE else _tie(match, rng)
    left, right = _conversation(match.asked, match.a), _conversation(match.asked, match.b)
    _break(left, right, slot, rng)
    flagged = match.asked[0].fact is None
    return {
        "question_id": "",
        "model_a": a.name,
        "model_b": b.name,
        "winner": winner,
        "judge": judge.asker.user.id,
        "conversation_a": left,
        "conversation_b": right,
        "turn": len(match.asked),
        "anony": bool(rng.random() < 0.95),
        "language": language(match.asked[0].code).name,
        "tstamp": 0.0,
        "openai_moderation": {"categories": {"violence": flagged}, "flagged": flagged},
        "toxic_chat_tag": {"roberta-large": {"flagged": flagged}, "t5-large": {"flagged": flagged}},
    }


def _match(judge: Judge, a: Model, b: Model, turns: int, rng: np.random.Generator) -> Match:
    asked = [first_turn(judge.asker, rng, harmless=turns > 1)]
    while len(asked) < turns:
        asked.append(next_turn(judge.asker, asked[-1], rng))
    return Match(
        tuple(asked), tuple(answer(a, turn, rng) for turn in asked), tuple(answer(b, turn, rng) for turn in asked)
    )


def _lead(judge: Judge, match: Match, rng: np.random.Generator) -> float:
    """By how much the judge prefers model_a, all turns together; logistic noise is what the weights leave out."""
    length_a, length_b = (sum(len(turn.text) for turn in side) for side in (match.a, match.b))
    quality = sum(turn.quality for turn in match.a) - sum(turn.quality for turn in match.b)
    refusal = match.a[0].refused - match.b[0].refused
    taste = judge.length * math.log(length_a / length_b) + judge.quality * quality + judge.refusal * refusal
    return taste + 0.5 * float(rng.logistic())


def _tie(match: Match, rng: np.random.Generator) -> str:
    bad = all(min(turn.quality for turn in side) < -0.5 for side in (match.a, match.b))
    return "tie (bothbad)" if rng.random() < (0.9 if bad else 0.15) else "tie"


def _conversation(asked: tuple[Asked, ...], answers: tuple[Answer, ...]) -> list[dict[str, str]]:
    turns = []
    for question, given in zip(asked, answers, strict=True):
        turns += [{"content": question.text, "role": "user"}, {"content": given.text, "role": "assistant"}]
    return turns


def _break(left: list[dict[str, str]], right: list[dict[str, str]], slot: str, rng: np.random.Generator) -> None:
    """The fault of a slot, if it is one, put into the conversations."""
    blank = ("", " ", "\n")[int(rng.integers(3))]
    one = left if rng.random() < 0.5 else right
    if slot == "no answer":
        one[1]["content"] = blank
    elif slot == "no later answer":
        one[3]["content"] = blank
    elif slot == "no question":
        left[0]["content"] = right[0]["content"] = blank
    elif slot == "two questions":
        one[0]["content"] += " " + one[0]["content"]
