"""Raw chat logs of the embedded world in WildChat's schema (allenai/WildChat-1M), and held-out questions.

A user talks with a chatbot over one to five turns. Who writes how many conversations, and how many of them go on after
the first answer, is planned (`people`), so that the clients of both forms of Fed-WildChat are known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import numpy as np

from fedkit.common.seeds import generator

from .chat import Asker, Model, answer, first_turn, make_asker, next_turn, questions
from .lexicon import language
from .sizes import split, tailed
from .users import draw

DEFAULT_N = 6_000
CLIENTS, TALKERS = 100, 50  # the paper's: clients of the single-turn form, and of the multi-turn form
_SINGLE, _MULTI = 300, 400  # the minimums are n // 300 conversations, and n // 400 of several turns
_SMALL = 60  # users below any minimum
_EMPTY_SHARE, _LATE_SHARE = 0.006, 0.002  # no first question or answer; no answer in a later turn
_TAIL = 1.15  # sigma of the log-normal tail of sizes; gives a spread like the paper's 527 +- 477
_LATER_TURNS = (0.5, 0.25, 0.15, 0.1)  # chances of 2, 3, 4, 5 turns in a conversation that goes on
_PASTERS = 0.3  # users who often paste a text before their question
_REDACTED = 0.01  # first questions with a name that upstream has taken out
_START, _SPAN = datetime(2023, 4, 9, tzinfo=UTC), timedelta(days=380)

# The 100 clients by language, about as upstream's records are spread.
CLIENTS_BY_LANGUAGE = MappingProxyType(
    {"en": 56, "zh": 14, "ru": 10, "fr": 5, "es": 4, "pt": 3, "de": 2, "ar": 2, "it": 1, "ja": 1, "ko": 1, "fa": 1}
)
_COUNTRIES = MappingProxyType(
    {"en": "United States", "zh": "China", "ru": "Russia", "fr": "France", "es": "Spain", "pt": "Brazil",
     "de": "Germany", "ar": "Egypt", "it": "Italy", "ja": "Japan", "ko": "South Korea", "fa": "Iran"}
)  # fmt: skip

# name, wrong, typo, no stop; shares of short, answer, long, chatty, full; refuses
MODELS = (
    Model("gpt-3.5-turbo-0301", 0.06, 0.0, 0.0, (0.03, 0.47, 0.25, 0.15, 0.10), 0.85),
    Model("gpt-3.5-turbo-0613", 0.05, 0.0, 0.0, (0.05, 0.55, 0.25, 0.10, 0.05), 0.9),
    Model("gpt-4-0314", 0.02, 0.0, 0.0, (0.03, 0.42, 0.35, 0.05, 0.15), 0.95),
    Model("gpt-4-1106-preview", 0.02, 0.0, 0.0, (0.02, 0.28, 0.30, 0.15, 0.25), 0.95),
)


@dataclass(frozen=True)
class Person:
    """A user behind one IP address, and their sound conversations: all, and those of several turns."""

    asker: Asker
    country: str
    models: tuple[float, ...]  # preference among MODELS
    conversations: int
    several: int
    late: int  # further ones in which a later answer is empty


def people(n: int = DEFAULT_N, seed: int = 0) -> list[Person]:
    """The 160 users: 100 with at least n // 300 sound conversations, of whom 50 have n // 400 of several turns."""
    rng = generator(seed, "mini/wildchat/people")
    least, least_several = n // _SINGLE, n // _MULTI
    small = 1 + np.floor(max(0, least - 1) * rng.random(_SMALL) ** 1.5).astype(int)
    late = rng.multinomial(int(_LATE_SHARE * n), np.full(TALKERS, 1 / TALKERS))
    rest = max(0, n - int(small.sum()) - int(late.sum()) - int(_EMPTY_SHARE * n))
    sizes = np.concatenate([tailed(rest, min(least, rest // CLIENTS), CLIENTS, _TAIL, rng), small])
    talk, rest_of = sizes[:TALKERS], sizes[TALKERS:]
    more = rng.binomial(np.maximum(talk - least_several, 0), rng.uniform(0.05, 0.65, TALKERS))
    few = rng.binomial(
        rest_of, np.minimum(rng.uniform(0.0, 0.25, len(rest_of)), 0.7 * least_several / np.maximum(rest_of, 1))
    )
    several = [*np.minimum(least_several + more, talk), *np.minimum(few, max(0, least_several - 1))]
    codes = rng.permutation([code for code, count in CLIENTS_BY_LANGUAGE.items() for _ in range(count)])
    codes = [str(code) for code in (*codes, *rng.choice(codes, size=_SMALL))]
    return [
        Person(
            make_asker(hashlib.sha256(f"mini-wildchat/{seed}/{i}".encode()).hexdigest(), code, rng, _PASTERS),
            _COUNTRIES[code],
            tuple(rng.dirichlet(np.full(len(MODELS), 0.6)).tolist()),
            int(sizes[i]),
            int(several[i]),
            int(late[i]) if i < TALKERS else 0,
        )
        for i, code in enumerate(codes)
    ]


def wildchat_records(n: int = DEFAULT_N, seed: int = 0, *, drift: bool = False) -> Iterator[dict[str, Any]]:
    """`n` raw conversations in WildChat's schema, in order of time; users in random order.

    For n >= 1200, exactly 100 users have at least n // 300 conversations that begin with a non-empty question and
    answer (20 at the default n), and exactly 50 have at least n // 400 sound conversations of several turns (15). Of
    the records, about a quarter have 2 to 5 turns, 0.6 % lack the first question or answer and 0.2 % a later answer;
    some requests are harmful (`toxic`), some texts redacted. Moderation fields are shortened, timestamps are ISO
    8601. With `drift`, records are those of older releases: without `conversation_hash` and `country`.
    """
    rng = generator(seed, "mini/wildchat/records")
    cast = people(n, seed)
    # One row a conversation: whose, how many turns at least, and the fault.
    rows = [(i, 1, "") for i, p in enumerate(cast) for _ in range(p.conversations - p.several)]
    rows += [(i, 2, "") for i, p in enumerate(cast) for _ in range(p.several)]
    rows += [(i, 2, "late") for i, p in enumerate(cast) for _ in range(p.late)]
    rows += [(int(rng.integers(CLIENTS)), 1, "empty") for _ in range(n - len(rows))]
    for i, place in enumerate(rng.permutation(len(rows))[:n]):
        who, turns, fault = rows[place]
        if turns > 1:
            turns += draw(_LATER_TURNS, rng)
        record = _record(cast[who], turns, fault, _START + _SPAN * ((i + rng.random()) / n), rng)
        text = f"mini-wildchat/{seed}/{i}".encode()
        record["conversation_hash"] = hashlib.md5(text, usedforsecurity=False).hexdigest()
        if drift:
            del record["conversation_hash"], record["country"]
            for turn in record["conversation"]:
                del turn["country"]
        yield record


def wildchat_questions(count: int = 50, seed: int = 0) -> list[dict[str, str]]:
    """`count` questions about held-out facts in the languages of the clients: id, language, instruction, reference."""
    rng = generator(seed, "mini/wildchat/questions")
    codes = np.repeat(list(CLIENTS_BY_LANGUAGE), split(count, np.array(list(CLIENTS_BY_LANGUAGE.values()))))
    return questions("mini-wildchat", [str(code) for code in rng.permutation(codes)], rng)


def _record(person: Person, turns: int, fault: str, when: datetime, rng: np.random.Generator) -> dict[str, Any]:
    """One conversation in the schema, with its fault if it has one."""
    model = MODELS[draw(person.models, rng)]
    asked = [first_turn(person.asker, rng, harmless=turns > 1)]
    while len(asked) < turns:
        asked.append(next_turn(person.asker, asked[-1], rng))
    harmful, redacted = asked[0].fact is None, bool(rng.random() < _REDACTED)
    conversation = []
    for question in asked:
        given = answer(model, question, rng, wishes=person.asker.user.styles)
        for role, text in (("user", question.text), ("assistant", given.text)):
            conversation.append(_turn(person, role, text, language(question.code).name, harmful))
    if redacted:
        conversation[0]["content"] += " <PRESIDIO_ANONYMIZED_PERSON>"
        conversation[0]["redacted"] = True
    if fault:
        at = -1 if fault == "late" else int(rng.random() < 0.8)  # else the answer, or now and then the question
        conversation[at]["content"] = ("", " ", "\n")[int(rng.integers(3))]
    return {
        "conversation_hash": "",
        "model": model.name,
        "timestamp": when.isoformat(timespec="seconds"),
        "conversation": conversation,
        "turn": turns,
        "language": language(asked[0].code).name,
        "openai_moderation": [{"categories": {"violence": harmful}, "flagged": harmful}] * turns,
        "detoxify_moderation": [{"toxicity": 0.7 if harmful else 0.001}] * turns,
        "toxic": harmful,
        "redacted": redacted,
        "hashed_ip": person.asker.user.id,
        "country": person.country,
    }


def _turn(person: Person, role: str, text: str, spoken: str, harmful: bool) -> dict[str, Any]:
    user = role == "user"
    return {
        "content": text,
        "role": role,
        "language": spoken,
        "toxic": harmful and user,
        "redacted": False,
        "hashed_ip": person.asker.user.id if user else None,
        "country": person.country if user else None,
    }
