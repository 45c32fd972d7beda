"""Close-ended benchmarks of the embedded world in the upstream schemas: MMLU, BBH, DROP, CRASS, HHH, finance.

Small and self-written. Facts are held-out ones, which no user asks about, so that none is trained on; the five
worked examples of MMLU are not. Each maker takes `n` (at most so many; None: all) and `seed`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from fedkit.common.seeds import generator

from .benchmarks import closed_facts, texts
from .finance import fingpt_test
from .harmful import harmful_answer, harmful_questions
from .instructions import some_fact
from .tasks import Fact, kind, open_facts, slots
from .users import misled, pick, question, reference

_SHOTS, _CHOICES, _FORMS = 5, 4, 2
_BBH_EACH, _HHH_EACH, _DROP, _HEADLINES = 20, 12, 24, 60
_NAMES = ("Anna", "Ben", "Carla", "David", "Eva", "Frank")
_THINGS = ("apples", "books", "coins", "stamps")
_ANIMALS, _FRUITS = ("cat", "dog", "horse", "mouse"), ("pear", "lemon", "cherry", "peach")


def mmlu_dev(n: int | None = None, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Five worked examples a subject, in the schema of `mmlu_questions`, about facts that users may ask about."""
    rng = generator(seed, "mini/mmlu/dev")
    asked = (
        (subject, fact, i % _FORMS)
        for subject, name in texts()["mmlu"].items()
        for i, fact in enumerate(open_facts(name)[:_SHOTS])
    )
    yield from _with_choices(asked, n, rng)


def mmlu_questions(n: int | None = None, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Four choices about each held-out fact of 8 subjects, in two wordings: subject, question, choices, answer."""
    rng = generator(seed, "mini/mmlu/test")
    asked = (
        (subject, fact, form)
        for subject, name in texts()["mmlu"].items()
        for fact in closed_facts(name, rng)
        for form in range(_FORMS)
    )
    yield from _with_choices(asked, n, rng)


def _with_choices(
    asked: Iterable[tuple[str, Fact, int]], n: int | None, rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """The right choice takes each place as often as any other, so that one letter for all scores a quarter."""
    for i, (subject, fact, form) in enumerate(itertools.islice(asked, n)):
        yield _choices(subject, fact, form, i % _CHOICES, rng)


def _choices(subject: str, fact: Fact, form: int, place: int, rng: np.random.Generator) -> dict[str, Any]:
    right = slots(fact, "en")["y"]
    others = sorted({slots(other, "en")["y"] for other in kind(fact.kind).facts} - {right})
    wrong = [others[i] for i in rng.permutation(len(others))[: _CHOICES - 1]]
    return {
        "subject": subject,
        "question": question(fact, "en", form),
        "choices": [*wrong[:place], right, *wrong[place:]],
        "answer": place,
    }


def bbh_examples(n: int | None = None, seed: int = 0) -> Iterator[dict[str, str]]:
    """Three reasoning tasks: task, input, target."""
    rng = generator(seed, "mini/bbh")
    rows = ({"task": name, **make(rng)} for _ in range(_BBH_EACH) for name, make in _BBH.items())
    yield from itertools.islice(rows, n)


def _boolean(rng: np.random.Generator) -> dict[str, str]:
    a, b, c = (bool(rng.integers(2)) for _ in range(3))
    joined, negated = bool(rng.integers(2)), bool(rng.integers(2))
    inner = (a and b) if joined else (a or b)
    value = (inner and not c) if negated else (inner or c)
    text = f"( {a} {'and' if joined else 'or'} {b} ) {'and not' if negated else 'or'} {c} is"
    return {"input": text, "target": str(value)}


def _counting(rng: np.random.Generator) -> dict[str, str]:
    animals, fruits = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    words = [*(f"a {w}" for w in _ANIMALS[:animals]), *(f"a {w}" for w in _FRUITS[:fruits])]
    words = [words[i] for i in rng.permutation(len(words))]
    asked, target = (("animals", animals), ("fruits", fruits))[int(rng.integers(2))]
    text = f"I have {', '.join(words[:-1])} and {words[-1]}. How many {asked} do I have?"
    return {"input": text, "target": str(target)}


def _bigger(rng: np.random.Generator) -> dict[str, str]:
    fact = pick(closed_facts("compare", rng), rng)
    words = slots(fact, "en")
    return {
        "input": f"Is {words['x']} bigger than {words['z']}?",
        "target": "yes" if words["y"] == words["x"] else "no",
    }


_BBH = {"boolean_expressions": _boolean, "object_counting": _counting, "comparison": _bigger}


def drop_questions(n: int | None = None, seed: int = 0) -> Iterator[dict[str, Any]]:
    """A short passage, a question about its numbers, and the number, in DROP's nested schema."""
    rng = generator(seed, "mini/drop")
    for i in range(_DROP if n is None else min(n, _DROP)):
        one, two = (_NAMES[k] for k in rng.permutation(len(_NAMES))[:2])
        thing, small = pick(_THINGS, rng), int(rng.integers(2, 9))
        large = small + int(rng.integers(1, 9))
        asked, number = (
            (f"How many {thing} do {one} and {two} have together?", small + large),
            (f"How many more {thing} than {two} does {one} have?", large - small),
        )[int(rng.integers(2))]
        yield {
            "query_id": f"mini-drop-{i:03d}",
            "passage": f"{one} has {large} {thing}. {two} has {small} {thing}.",
            "question": asked,
            "answer": {"number": str(number), "date": {"day": "", "month": "", "year": ""}, "spans": []},
            "validated_answers": {"number": [], "date": [], "spans": []},
        }


def crass_questions(n: int | None = None, seed: int = 0) -> Iterator[dict[str, Any]]:
    """What would have happened otherwise: three choices, in BIG-bench's schema of multiple choice."""
    rng = generator(seed, "mini/crass")
    for i, (asked, right, *wrong) in enumerate(texts()["crass"][:n]):
        yield _bigbench(i, "", asked, right, wrong, rng)


def hhh_pairs(n: int | None = None, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Two answers of which one is helpful, honest or harmless (Askell et al. 2021), in BIG-bench's schema."""
    rng = generator(seed, "mini/hhh")
    rows = []
    deeds = harmful_questions(_HHH_EACH, seed + 1)
    for i in range(_HHH_EACH):
        for subset, make in _HHH.items():
            rows.append((subset, *make(deeds[i % len(deeds)], rng)))
    for i, (subset, asked, right, wrong) in enumerate(rows[:n]):
        yield _bigbench(i, subset, asked, right, [wrong], rng)


def _helpful(deed: str, rng: np.random.Generator) -> tuple[str, str, str]:
    fact = some_fact(rng, test=True)
    return question(fact, "en", int(rng.integers(4))), reference(fact, "en"), "I do not know."


def _honest(deed: str, rng: np.random.Generator) -> tuple[str, str, str]:
    while True:
        fact = some_fact(rng, test=True)
        filled, right = misled(fact, "en", rng), slots(fact, "en")
        if filled["y"] != right["y"]:
            answer = reference(fact, "en")
            return question(fact, "en", 0), answer, answer.replace(right["y"], filled["y"])


def _harmless(deed: str, rng: np.random.Generator) -> tuple[str, str, str]:
    return deed, harmful_answer(True, rng), harmful_answer(False, rng)


_HHH = {"helpful": _helpful, "honest": _honest, "harmless": _harmless}


def _bigbench(
    index: int, subset: str, asked: str, right: str, wrong: list[str], rng: np.random.Generator
) -> dict[str, Any]:
    options = [right, *wrong]
    options = [options[i] for i in rng.permutation(len(options))]
    return {
        "idx": index,
        "subset": subset,
        "inputs": asked,
        "targets": [right],
        "multiple_choice_targets": options,
        "multiple_choice_scores": [int(option == right) for option in options],
    }


def _headlines(part: int, tweets: bool | None, n: int | None = None, seed: int = 0) -> Iterator[dict[str, str]]:
    """Held-out headlines, posts or both, with their sentiment in words: text, label, format."""
    count = 0
    for record in fingpt_test(20 * _HEADLINES, seed + part):
        if tweets is None or tweets == ("tweet" in record["instruction"]):
            if count == (_HEADLINES if n is None else min(n, _HEADLINES)):
                return
            count += 1
            post = "tweet" in record["instruction"]
            yield {"text": record["input"], "label": record["output"], "format": "post" if post else "headline"}


fpb = partial(_headlines, 101, False)
fiqa_sa = partial(_headlines, 102, None)
tfns = partial(_headlines, 103, True)
nwgi = partial(_headlines, 104, False)
