"""The plain text that the embedded model reads before any tuning: statements only, never an instruction.

It holds every fact, also those that no user asks about: knowledge comes from here, and how to answer an instruction
only from tuning. Documents are short and of a few shapes, so that a reader must look things up and copy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType

import numpy as np

from fedkit.common.seeds import generator

from .lexicon import CORE, LANGUAGES, language, sentence
from .tasks import KIND_NAMES, Fact, all_facts, kind, slots

CORE_WEIGHT = 6.0  # how often a language of Fed-Aya is drawn, against 1 for a neighbour
_FORMS = ("answer", "plain", "extra")


@cache
def _by_subject() -> Mapping[str, list[Fact]]:
    """Facts by subject id, e.g. the capital and the continent of France."""
    groups: dict[str, list[Fact]] = defaultdict(list)
    for fact in all_facts():
        groups[fact.key].append(fact)
    return MappingProxyType(groups)


def statements(fact: Fact, code: str, names: Sequence[str] = _FORMS) -> list[str]:
    """The sentences of a fact in the named forms."""
    forms, filled = language(code).forms[fact.kind], slots(fact, code)
    texts = {"answer": (forms.answer,), "plain": forms.plain, "extra": (forms.extra,)}
    return [sentence(form, filled) for name in names for form in texts[name]]


def _subject(code: str, rng: np.random.Generator) -> list[str]:
    """All that is said of one subject, in random order."""
    said = [s for fact in _by_subject()[_draw_fact(rng).key] for s in statements(fact, code)]
    return [said[i] for i in rng.permutation(len(said))][:6]


def _paraphrase(code: str, rng: np.random.Generator) -> list[str]:
    """One to three facts, each said in several ways, all shuffled: what comes next is about something said before."""
    facts = [_draw_fact(rng)]
    for _ in range(int(rng.integers(0, 3))):
        of_kind = kind(facts[0].kind).facts
        facts.append(of_kind[int(rng.integers(len(of_kind)))] if rng.random() < 0.5 else _draw_fact(rng))
    said = [text for fact in dict.fromkeys(facts) for text in statements(fact, code)]
    return [said[i] for i in rng.permutation(len(said))]


def _one_kind(code: str, rng: np.random.Generator) -> list[str]:
    """Several facts of one kind in the same form."""
    facts = kind(KIND_NAMES[int(rng.integers(len(KIND_NAMES)))]).facts
    form = "answer" if rng.random() < 0.75 else "plain"
    chosen = rng.choice(len(facts), size=min(len(facts), int(rng.integers(3, 7))), replace=False)
    return [s for i in chosen for s in statements(facts[i], code, (form,))]


def _mixed(code: str, rng: np.random.Generator) -> list[str]:
    """Facts of any kind in any form."""
    said = []
    for _ in range(int(rng.integers(2, 6))):
        said += statements(_draw_fact(rng), code, ("answer" if rng.random() < 0.7 else "plain",))
    return said


def _draw_fact(rng: np.random.Generator) -> Fact:
    """Any fact; kinds are equally likely."""
    facts = kind(KIND_NAMES[int(rng.integers(len(KIND_NAMES)))]).facts
    return facts[int(rng.integers(len(facts)))]


_SHAPES: Mapping[str, tuple[float, Callable[[str, np.random.Generator], list[str]]]] = MappingProxyType(
    {
        "subject": (0.15, _subject),
        "paraphrase": (0.4, _paraphrase),
        "one_kind": (0.25, _one_kind),
        "mixed": (0.2, _mixed),
    }
)


def plain_documents(n: int, seed: int = 0, languages: Sequence[str] = LANGUAGES) -> Iterator[str]:
    """`n` short documents of statements, in random languages (the 8 of Fed-Aya six times as often).

    Sentences of a document stand in one line, or each on a line of its own.
    """
    rng = generator(seed, "mini/plain")
    weights = np.array([CORE_WEIGHT if code in CORE else 1.0 for code in languages])
    shapes = list(_SHAPES.values())
    chances = np.array([chance for chance, _ in shapes])
    for _ in range(n):
        code = languages[int(rng.choice(len(languages), p=weights / weights.sum()))]
        _, shape = shapes[int(rng.choice(len(shapes), p=chances / chances.sum()))]
        said = shape(code, rng)
        yield "\n".join(said) if rng.random() < 0.5 else language(code).paragraph(said)
