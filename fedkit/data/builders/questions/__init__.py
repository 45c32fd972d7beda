"""Ref questions with reference answers: the test set of FedLLM-Bench's Ref-GPT4 score, a registry row a dataset.

20 in each of 8 languages for Fed-Aya, 50 in all for the datasets made from chats (settings, evaluation).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ....common.errors import FedkitError, unknown
from ....profiles import Profile
from ...sources import Located
from .aya import AYA
from .chats import CHATBOT, WILDCHAT
from .question import Question, QuestionSet

__all__ = ["QUESTION_SETS", "Question", "QuestionSet", "question_source", "questions"]

QUESTION_SETS: Mapping[str, QuestionSet] = MappingProxyType(
    {
        "fed_aya": AYA,
        "fed_chatbot_it": CHATBOT,
        "fed_chatbot_pa": CHATBOT,
        "fed_wildchat": WILDCHAT,
        "fed_wildchat_multi": WILDCHAT,
    }
)


def _set(name: str) -> QuestionSet:
    if name not in QUESTION_SETS:
        raise unknown("dataset with Ref questions", name, QUESTION_SETS)
    return QUESTION_SETS[name]


def question_source(
    name: str, profile: Profile, *, data_dir: str | Path | None = None, offline: bool = False
) -> Located:
    """Where `questions` would take them from; `describe()` says it in a sentence."""
    return _set(name).find(profile, data_dir, offline)


def questions(
    name: str,
    profile: Profile,
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    per_language: int | None = None,
    answered: bool = False,
) -> list[Question]:
    """The Ref questions of a federated dataset (the profile's number of them if None).

    Fed-Aya: `per_language` in each of its 8 languages, in this order from `fedllm_bench/aya_test.json` of the data
    folder (FedLLM-Bench's own 160); the embedded world, where the profile is embedded; else Aya's held-out split
    (CohereLabs/aya_dataset, split `test`, from the data folder or the Hub). That split has no Spanish, French or
    Russian: for a language that it lacks, questions come from annotators whom the profile's minimum keeps out of the
    natural Fed-Aya, so none is trained on. The other datasets: as many in all; see `chats`. Where a set holds more
    than is asked for, the first in the file are taken, or, of raw records, the first by the hash of their text.

    `answered`: only questions with a reference answer; where the set's own file has none (FedLLM-Bench's 50 of the
    chats), those of users whom the minimum keeps out.

    `FedkitError` for an unknown dataset, a malformed question, or none at all (Fed-Aya: in any one language).
    """
    asked = _set(name)
    wanted = profile.dataset(name).test_questions if per_language is None else per_language
    located = asked.find(profile, data_dir, offline)
    if wanted < 1:
        each = " a language" if asked.languages else ""
        raise FedkitError(f"{name} is asked for {wanted} questions{each}; per_language must be at least 1")
    found = asked.read(located, profile, data_dir, offline, wanted)
    if not answered or any(question.reference.strip() for question in found):
        return [question for question in found if question.reference.strip() or not answered]
    if asked.find_answered is None:
        raise FedkitError(
            f"no question in {located.files[0]} has a reference answer; put one into each, or move the file"
        )
    return asked.read(asked.find_answered(data_dir, offline), profile, data_dir, offline, wanted)
