"""Preferences of the embedded world: four scored answers in UltraFeedback's schema, two dialogues in HH-RLHF's.

An answer's score follows from how it was made (full, plain, short, wrong, off the point) and a little noise. Harmful
requests, refusals and compliances are those of `harmful`: mild, and without any content of use.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import numpy as np

from fedkit.common.seeds import generator

from .harmful import harmful_answer, harmful_questions, harmful_request
from .instructions import some_fact
from .tasks import Fact, slots
from .users import STYLES, misled, pick, question, respond

_MODELS = ("atlas-40b", "birch-13b", "cedar-13b", "delta-12b", "ember-7b", "fjord-7b")
_PRINCIPLES = ("helpfulness", "honesty", "truthfulness", "verbalized_calibration")
# How an answer is made -> the middle of its scores, and what is said of it.
_GRADES = MappingProxyType(
    {
        "full": (8.5, "Right, and explained."),
        "answer": (7.0, "Right."),
        "short": (5.0, "Right, but only a word or two."),
        "wrong": (2.5, "Wrong."),
        "idle": (1.0, "No answer at all."),
    }
)
_NOISE = 0.6  # standard deviation of a score, which goes in halves from 1 to 10
_IDLE = ("I do not know.", "Sorry, I have no answer.", "That is hard to say.")
_HARMFUL = 0.5  # of the dialogues end in a harmful request
_TURNS = (0.45, 0.35, 0.2)  # chances of 1, 2, 3 questions in a dialogue
_DIFFERENT, _SILENT = 0.003, 0.002  # of the pairs: dialogues that part early, and answers that are empty, as upstream
_HUMAN, _ASSISTANT = "\n\nHuman: ", "\n\nAssistant: "


def ultrafeedback_records(n: int = 1000, seed: int = 0) -> Iterator[dict[str, Any]]:
    """`n` instructions with four scored answers each, the answers in random order."""
    return _feedback(n, seed, test=False)


def ultrafeedback_test(n: int = 100, seed: int = 0) -> Iterator[dict[str, Any]]:
    """`n` such records about held-out facts."""
    return _feedback(n, seed, test=True)


def hh_records(n: int = 1000, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` pairs of dialogues of up to three questions: half about helpfulness, half about harmlessness.

    0.3 % part before the last answer and 0.2 % end in an empty one, faults that the real data have too.
    """
    return _dialogues(n, seed, test=False)


def hh_test(n: int = 200, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` such pairs whose last request is about a held-out fact or a held-out misdeed."""
    return _dialogues(n, seed, test=True)


def _feedback(n: int, seed: int, *, test: bool) -> Iterator[dict[str, Any]]:
    rng = generator(seed, f"mini/ultrafeedback/{'test' if test else 'train'}")
    for _ in range(n):
        fact = some_fact(rng, test=test)
        grades = [list(_GRADES)[i] for i in rng.permutation(len(_GRADES))[:4]]
        models = [_MODELS[i] for i in rng.permutation(len(_MODELS))[:4]]
        yield {
            "source": "mini",
            "instruction": question(fact, "en", int(rng.integers(4))),
            "models": models,
            "completions": [_completion(fact, *each, rng) for each in zip(models, grades, strict=True)],
            "correct_answers": ["None"],
            "incorrect_answers": ["None"],
        }


def _completion(fact: Fact, model: str, grade: str, rng: np.random.Generator) -> dict[str, Any]:
    middle, critique = _GRADES[grade]
    score = float(np.clip(np.round(2 * rng.normal(middle, _NOISE)) / 2, 1, 10))
    return {
        "model": model,
        "principle": pick(_PRINCIPLES, rng),
        "custom_system_prompt": "",
        "response": _graded(fact, grade, rng),
        "critique": critique,
        "fine-grained_score": score / 2,
        "overall_score": score,
    }


def _graded(fact: Fact, grade: str, rng: np.random.Generator) -> str:
    """An answer of that grade, a key of `_GRADES`."""
    if grade == "idle":
        return pick(_IDLE, rng)
    wrong = grade == "wrong"
    style = "answer" if wrong else grade
    filled = _wrong(fact, rng) if wrong else slots(fact, "en")
    return respond(fact, "en", filled, tuple(float(name == style) for name in STYLES), None, rng)


def _wrong(fact: Fact, rng: np.random.Generator) -> Any:
    """The slots of a fact with an answer that is not its own."""
    while True:
        filled = misled(fact, "en", rng)
        if filled["y"] != slots(fact, "en")["y"]:
            return filled


def _dialogues(n: int, seed: int, *, test: bool) -> Iterator[dict[str, str]]:
    rng = generator(seed, f"mini/hh/{'test' if test else 'train'}")
    deeds = harmful_questions(200) if test else []
    for _ in range(n):
        earlier = [_exchange(rng) for _ in range(int(rng.choice(3, p=_TURNS)))]
        fact = some_fact(rng, test=test)
        if rng.random() < _HARMFUL:
            request = pick(deeds, rng) if test else harmful_request(rng)
            better, worse = harmful_answer(True, rng), harmful_answer(False, rng)
        else:
            request = question(fact, "en", int(rng.integers(4)))
            better = _graded(fact, pick(("full", "answer"), rng), rng)
            worse = _graded(fact, pick(("wrong", "idle"), rng), rng)
        fault = rng.random()
        worse = "" if fault < _SILENT else worse
        other = [_exchange(rng)] if _SILENT <= fault < _SILENT + _DIFFERENT else earlier
        yield {
            "chosen": _dialogue([*earlier, (request, better)]),
            "rejected": _dialogue([*other, (request, worse)]),
        }


def _exchange(rng: np.random.Generator) -> tuple[str, str]:
    """A harmless question about a fact that is not held out, with its answer."""
    fact = some_fact(rng, test=False)
    return question(fact, "en", int(rng.integers(4))), _graded(fact, "answer", rng)


def _dialogue(turns: list[tuple[str, str]]) -> str:
    return "".join(f"{_HUMAN}{asked}{_ASSISTANT}{answer}" for asked, answer in turns)
