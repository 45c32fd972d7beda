"""People who talk with models: what they ask first, what they ask next, and what a model answers.

Shared by arena votes and chat logs. Facts, sentences and people's habits are those of `tasks`, `lexicon` and `users`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np

from .harmful import harmful_answer, harmful_request
from .lexicon import language, read_json, sentence
from .tasks import KIND_NAMES, Fact, open_facts, slots
from .users import User, ask, draw, held_out_facts, key, make_user, misled, pick, question, reference, respond

_SAME_SUBJECT = 0.3  # of later questions: another fact of the same subject, where there is one
_JOINED = 0.5  # of later questions asked in full: begin with thanks or 'One more question:'
_QUALITY = MappingProxyType({"typo": -0.3, "no_stop": -0.1, "wrong": -1.0, None: 0.0})


@dataclass(frozen=True)
class Asker:
    """A user and the habits that show only in a chat, each the chance of a thing."""

    user: User
    english: float  # a question is in English, for a user of another language
    context: float  # a first question comes with a pasted text
    elliptic: float  # a later question of the same kind is only 'And what about Spain?'
    mischief: float  # a first question in English is a harmful request


@dataclass(frozen=True)
class Asked:
    """One turn of a user. `fact` is None for a harmful request."""

    code: str  # two-letter language
    text: str
    fact: Fact | None


@dataclass(frozen=True)
class Model:
    """A model: how often it is wrong or careless, how it writes, how often it refuses harmful requests."""

    name: str
    wrong: float
    typo: float
    no_stop: float
    styles: tuple[float, ...]  # preference among users.STYLES
    refuses: float


@dataclass(frozen=True)
class Answer:
    """A model's turn; quality is 0 without fault, -1 with a wrong fact."""

    text: str
    quality: float
    refused: bool


def make_asker(user_id: str, code: str, rng: np.random.Generator, pasters: float) -> Asker:
    """A user of that language; `pasters` is the share of people who often paste a text before their question."""
    user = make_user(user_id, code, rng)
    often = rng.random() < pasters
    return Asker(
        user=user,
        english=0.0 if code == "en" else float(rng.choice([0.0, 0.1, 0.4])),
        context=float(rng.uniform(0.2, 0.7)) if often else float(rng.choice([0.0, 0.03])),
        elliptic=float(rng.uniform(0.1, 0.9)),
        mischief=float(rng.choice([0.0, 0.03, 0.2], p=[0.4, 0.4, 0.2])),
    )


def first_turn(asker: Asker, rng: np.random.Generator, *, harmless: bool = False) -> Asked:
    """What a conversation begins with: greeting or pasted text if any, then a question; or a harmful request."""
    user = asker.user
    if rng.random() < asker.english:
        user = replace(user, language="en")
    if rng.random() < asker.mischief and user.language == "en" and not harmless:
        return Asked("en", harmful_request(rng), None)
    fact, text = ask(user, rng)
    lang = language(user.language)
    if rng.random() < asker.context:
        text = lang.paragraph([*_pasted(fact.kind, user.language, rng), lang.openers[-1], text])
    elif rng.random() < user.opener:
        text = lang.paragraph([pick(lang.openers, rng), text])
    return Asked(user.language, text, fact)


def next_turn(asker: Asker, last: Asked, rng: np.random.Generator) -> Asked:
    """A question after `last`: about the same subject, or about another fact of the same kind.

    After a harmful request (no fact) it is a new question.
    """
    if last.fact is None:
        return first_turn(asker, rng, harmless=True)
    user = replace(asker.user, language=last.code)
    lang, more = language(last.code), _turns()[last.code]
    others = [f for f in _of_subject()[last.fact.key] if f.kind != last.fact.kind]
    if others and rng.random() < _SAME_SUBJECT:
        fact = pick(others, rng)
    else:
        fact = last.fact
        while fact == last.fact:
            fact = pick(open_facts(last.fact.kind), rng)
        filled = slots(fact, last.code)
        if "z" not in filled and rng.random() < asker.elliptic:
            return Asked(last.code, sentence(more["and"], filled), fact)
    _, text = ask(user, rng, fact)
    if rng.random() < _JOINED:
        text = lang.paragraph([pick(more["next"], rng), text])
    return Asked(last.code, text, fact)


def answer(model: Model, asked: Asked, rng: np.random.Generator, wishes: Sequence[float] = ()) -> Answer:
    """The model's answer; `wishes` are a user's styles, which then weigh as much as the model's own."""
    if asked.fact is None:
        refused = rng.random() < model.refuses
        return Answer(harmful_answer(refused, rng), 0.0, refused)
    styles = model.styles
    if wishes:
        shares = np.array(styles)
        shares[: len(wishes)] += wishes
        styles = tuple((shares / shares.sum()).tolist())
    fault = (None, "wrong", "typo", "no_stop")[
        draw((1 - model.wrong - model.typo - model.no_stop, model.wrong, model.typo, model.no_stop), rng)
    ]
    right = filled = slots(asked.fact, asked.code)
    while fault == "wrong" and filled["y"] == right["y"]:
        filled = misled(asked.fact, asked.code, rng)
    return Answer(respond(asked.fact, asked.code, filled, styles, fault, rng), _QUALITY[fault], False)


def questions(prefix: str, codes: Sequence[str], rng: np.random.Generator) -> list[dict[str, str]]:
    """Held-out questions, one in each of these languages: id, language, instruction, reference, fact, instead.

    A fact that comes again in a language is asked in another of its four forms.
    """
    rows, asked = [], set()
    for i, (code, fact) in enumerate(zip(codes, held_out_facts(len(codes), rng), strict=True)):
        start = int(rng.integers(4))
        forms = [question(fact, code, (start + step) % 4) for step in range(4)]
        text = next((form for form in forms if form not in asked), forms[0])
        asked.add(text)
        row = {"id": f"{prefix}-{i:03d}", "language": code, "instruction": text, "reference": reference(fact, code)}
        rows.append({**row, **key(fact, code)})
    return rows


@cache
def _turns() -> dict[str, Any]:
    return read_json("turns.json")


@cache
def _of_subject() -> Mapping[str, list[Fact]]:
    """Facts that users may ask about by subject id, e.g. the capital and the continent of France."""
    groups: dict[str, list[Fact]] = defaultdict(list)
    for name in KIND_NAMES:
        for fact in open_facts(name):
            groups[fact.key].append(fact)
    return groups


def _pasted(name: str, code: str, rng: np.random.Generator) -> list[str]:
    """'Read this text:' and two or three statements of that kind."""
    form = language(code).forms[name].plain[0]
    facts = [pick(open_facts(name), rng) for _ in range(int(rng.integers(2, 4)))]
    return [_turns()[code]["read"], *(sentence(form, slots(fact, code)) for fact in facts)]
