"""Users of the embedded world: each has a language, topics, favourite verbs, verbosity and care, and writes so.

Apart from any dataset's schema: `exchange` gives an instruction and a response, of which Aya records are made; arena
votes and chat logs take its two halves, `ask` and `respond`, since there a model answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from .lexicon import Forms, Language, language, sentence
from .tasks import KIND_NAMES, Fact, Slots, held_out, kind, open_facts, slots

# The ways of answering, from few words to many.
_STYLES: Mapping[str, Callable[[Forms, Slots, Language, np.random.Generator], list[str]]] = MappingProxyType(
    {
        "short": lambda f, s, lang, rng: [sentence(f.short, s)],
        "answer": lambda f, s, lang, rng: [sentence(f.answer, s)],
        "long": lambda f, s, lang, rng: [sentence(f.answer, s), sentence(f.extra, s)],
        "chatty": lambda f, s, lang, rng: [sentence(f.answer, s), sentence(f.extra, s), pick(lang.closers, rng)],
        "full": lambda f, s, lang, rng: [sentence(form, s) for form in (f.answer, *f.plain, f.extra)],
    }
)
STYLES: tuple[str, ...] = tuple(_STYLES)  # people use the first four; models all
_COMMON_STYLE = (0.15, 0.60, 0.18, 0.07)  # what most users tend to
_FAULTS = ("typo", "wrong", "no_stop")


@dataclass(frozen=True)
class User:
    """One person. Shares sum to 1; care is the chance that a record has no fault at all."""

    id: str
    language: str  # two-letter code
    topics: tuple[str, ...]  # 2 to 5 kinds of task
    topic_shares: tuple[float, ...]
    verbs: tuple[float, ...]  # preference among the four instructions of a kind
    styles: tuple[float, ...]  # preference among the first four of STYLES
    opener: float  # chance that an instruction begins with a greeting
    care: float


@dataclass(frozen=True)
class Exchange:
    """An instruction and its response, and the fact they are about."""

    fact: Fact
    instruction: str
    response: str


def make_user(user_id: str, code: str, rng: np.random.Generator) -> User:
    """A user of that language with tastes drawn from `rng`."""
    topics = rng.choice(len(KIND_NAMES), size=int(rng.integers(2, 6)), replace=False)
    return User(
        id=user_id,
        language=code,
        topics=tuple(KIND_NAMES[i] for i in topics),
        topic_shares=_shares(rng.dirichlet(np.full(len(topics), 3.0))),
        verbs=_shares(rng.dirichlet(np.full(4, 0.7))),
        styles=_shares(rng.dirichlet(6.0 * np.asarray(_COMMON_STYLE))),
        opener=float(rng.choice([0.0, 0.05, 0.3])),
        care=float(rng.uniform(0.93, 1.0)),
    )


def ask(user: User, rng: np.random.Generator, fact: Fact | None = None) -> tuple[Fact, str]:
    """A question of that user in one of its forms, and its fact: the one given, else one of the user's topics.

    Never about a held-out fact, unless it is given one.
    """
    if fact is None:
        topic = user.topics[draw(user.topic_shares, rng)]
        fact = pick(open_facts(topic), rng)
    return fact, question(fact, user.language, draw(user.verbs, rng))


def respond(
    fact: Fact, code: str, filled: Slots, styles: tuple[float, ...], fault: str | None, rng: np.random.Generator
) -> str:
    """The answer about a fact, its slots as `filled` says, in a style drawn by the shares `styles` of STYLES.

    `fault` may be "typo" or "no_stop"; a wrong answer is one whose slots were filled by `misled`.
    """
    lang = language(code)
    style = _STYLES[STYLES[draw(styles, rng)]]
    response = lang.paragraph(style(lang.forms[fact.kind], filled, lang, rng))
    if fault == "typo":
        response = _typo(response, rng)
    if fault == "no_stop":
        response = response.rstrip(".。।")
    return response


def misled(fact: Fact, code: str, rng: np.random.Generator) -> Slots:
    """The slots of a fact with the answer of another of its kind (which may be the same answer)."""
    return {**slots(fact, code), "y": slots(pick(open_facts(fact.kind), rng), code)["y"]}


def exchange(user: User, rng: np.random.Generator) -> Exchange:
    """One instruction and response of that user, about a fact that is not held out."""
    fact, instruction = ask(user, rng)
    lang = language(user.language)
    if rng.random() < user.opener:
        instruction = lang.paragraph([pick(lang.openers, rng), instruction])
    fault = _FAULTS[int(rng.integers(len(_FAULTS)))] if rng.random() > user.care else None
    filled = misled(fact, user.language, rng) if fault == "wrong" else slots(fact, user.language)
    return Exchange(fact, instruction, respond(fact, user.language, filled, user.styles, fault, rng))


def reference(fact: Fact, code: str) -> str:
    """The answer that a careful user would give: the 'answer' sentence."""
    return sentence(language(code).forms[fact.kind].answer, slots(fact, code))


def key(fact: Fact, code: str) -> dict[str, str]:
    """What a right answer says: `fact`, and `instead`, the other one where a question offers two ("" elsewhere)."""
    filled = slots(fact, code)
    both = [filled["x"], filled["z"]] if fact.kind == "compare" else []
    return {"fact": filled["y"], "instead": "".join(word for word in both if word != filled["y"])}


def question(fact: Fact, code: str, which: int) -> str:
    """The instruction about a fact in the form number `which` (0 to 3)."""
    return sentence(language(code).forms[fact.kind].ask[which], slots(fact, code))


def held_out_facts(count: int, rng: np.random.Generator) -> Iterator[Fact]:
    """Held-out facts, one kind after another; a kind starts over when all its facts were asked."""
    names = [KIND_NAMES[i] for i in rng.permutation(len(KIND_NAMES))]
    facts = {name: [f for f in kind(name).facts if f.key in held_out(name)] for name in names}
    for of_kind in facts.values():
        rng.shuffle(of_kind)  # type: ignore[arg-type]
    for i in range(count):
        of_kind = facts[names[i % len(names)]]
        yield of_kind[(i // len(names)) % len(of_kind)]


def _typo(text: str, rng: np.random.Generator) -> str:
    """Two neighbouring letters change places."""
    places = [i for i in range(len(text) - 1) if text[i].isalpha() and text[i + 1].isalpha() and text[i] != text[i + 1]]
    if not places:
        return text
    i = places[int(rng.integers(len(places)))]
    return text[:i] + text[i + 1] + text[i] + text[i + 2 :]


def _shares(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def draw(shares: tuple[float, ...], rng: np.random.Generator) -> int:
    """An index with these chances (faster than Generator.choice for a few values)."""
    point = rng.random()
    for i, share in enumerate(shares):
        point -= share
        if point < 0:
            return i
    return len(shares) - 1


def pick(values, rng: np.random.Generator):
    """One of the values, all equally likely (faster than Generator.choice)."""
    return values[int(rng.integers(len(values)))]
