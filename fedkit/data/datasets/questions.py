"""Ref questions with reference answers: the test set of FedLLM-Bench's Ref-GPT4 score.

20 in each of 8 languages for Fed-Aya, 50 in all for the datasets made from chats (settings, evaluation).
"""

from __future__ import annotations

import hashlib
import heapq
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...common.errors import FedkitError
from ..origins import QUESTIONS
from ..rules import fault, language_code
from ..sources import RawSource
from .base import ANSWERED, Form, Row
from .built import DropReport

if TYPE_CHECKING:
    from ..place import Located, Place


@dataclass(frozen=True)
class Question:
    """One question of a test set; `language` is two-letter, `reference` "" where the set has no answers.

    fact: the words that a right answer says, "" where nobody knows them (all real sets); instead: the other one where
    the question offers two.
    """

    id: str
    language: str
    instruction: str
    reference: str
    fact: str = ""
    instead: str = ""


def draw_key(row: Row) -> str:
    """The hash of a row's instruction; in its order, a draw is the same everywhere."""
    return hashlib.sha256(row["instruction"].encode()).hexdigest()


@dataclass(frozen=True)
class QuestionSet(ABC):
    """The Ref questions that datasets share.

    `test`: the source of their own file. `datasets`: those that train on the records; whoever is below the minimum of
    all of them is in none, and may ask. `each`: what so many questions are wanted of ("" for in all).
    """

    prefix: str
    test: RawSource
    datasets: tuple[str, ...]
    each = ""

    @property
    @abstractmethod
    def sources(self) -> tuple[RawSource, ...]:
        """The raw sources that it may read."""

    @abstractmethod
    def locate(self, place: Place) -> Located:
        """Where the questions come from; `describe()` says it in a sentence."""

    def read(self, place: Place, wanted: int, minimum: int, *, answered: bool = False) -> list[Question]:
        """`wanted` questions: the first in the file or, of raw records, the first by the hash of their text.

        `minimum`: the smallest of those that the profile gives `datasets`. `answered`: only questions with a reference
        answer. `FedkitError` for a malformed question, or none at all (Fed-Aya: in any one language).
        """
        located = self.locate(place).as_part(QUESTIONS)
        if wanted < 1:
            raise FedkitError(f"{wanted} questions{self.each} are wanted of {located.source.name}; ask for at least 1")
        questions = self._read(located, place, wanted, minimum)
        if answered and not any(question.reference.strip() for question in questions):
            located = self._locate_answered(located, place).as_part(QUESTIONS)
            questions = self._read(located, place, wanted, minimum)
        return [question for question in questions if question.reference.strip() or not answered]

    @abstractmethod
    def _read(self, located: Located, place: Place, wanted: int, minimum: int) -> list[Question]: ...

    def _locate_answered(self, located: Located, place: Place) -> Located:
        """Where questions with references are to be had if those located have none."""
        raise FedkitError(
            f"no question in {located.files[0]} has a reference answer; put one into each, or move the file"
        )


def key_of(raw: Row) -> dict[str, str]:
    """`fact` and `instead` of a raw question, where it has them: a folder of the embedded world's."""
    return {name: value for name in ("fact", "instead") if isinstance(value := raw.get(name), str)}


def malformed(number: int, located: Located, why: str) -> FedkitError:
    """A test set is short, so a fault in it stops with its place (from 1)."""
    return FedkitError(f"question {number} of {located.files[0]} is malformed ({why}); mend it or fetch the file anew")


@dataclass(frozen=True)
class ChatQuestions(QuestionSet):
    """Those of the datasets made from chats: 50 in all, whatever their language.

    In this order: FedLLM-Bench's own file in the data folder, which has no reference answers, so that the offline judge
    rates none; questions of users whom the minimum keeps out, where the data folder holds the raw records; the embedded
    world's, where the place is embedded; else those of such users from the Hub, the first by the hash of their text.
    `form`: reads a raw record as instruction and response. `who`: a user, in one word.
    """

    form: Form
    who: str

    @property
    def sources(self) -> tuple[RawSource, ...]:
        return (self.test, self.form.source)

    def locate(self, place: Place) -> Located:
        raw = self.form.source
        local = next((source for source in (self.test, raw) if place.files(source)), None)
        return place.locate(local or (self.test if place.embedded else raw))

    def _locate_answered(self, located: Located, place: Place) -> Located:
        """The raw records, whose users below the minimum have answers to their questions."""
        return place.real().locate(self.form.source)

    def _read(self, located: Located, place: Place, wanted: int, minimum: int) -> list[Question]:
        if located.kind == "embedded":
            return [Question(**record) for record in located.records(wanted)]
        if located.source == self.test:
            return self._released(located)[:wanted]
        # The records are read twice, so that few are ever held.
        sizes = Counter(row["client_id"] for row in self.form.rows(located.records()))
        if not sizes:
            self.form.table(located, ANSWERED, DropReport(self.form.reasons), limit=None)  # says why not
        rows = (row for row in self.form.rows(located.records()) if sizes[row["client_id"]] < minimum)
        first = heapq.nsmallest(wanted, rows, key=draw_key)
        if not first:
            raise FedkitError(
                f"every {self.who} of {located.source.name} is trained on, so none is left to ask questions;"
                f" put {self.test.files[0]} in the data folder, or raise the minimum"
            )
        return [self._question(i, row["language"], row["instruction"], row["response"]) for i, row in enumerate(first)]

    def _released(self, located: Located) -> list[Question]:
        questions = []
        for i, raw in enumerate(located.records()):
            why = fault(raw, located.source.fields)
            if why is not None:
                raise malformed(i + 1, located, why)
            reference = raw.get("reference")
            code = language_code(raw.get("language"))
            reference = reference if isinstance(reference, str) else ""
            questions.append(replace(self._question(i, code, raw["instruction"], reference), **key_of(raw)))
        if not questions:
            raise FedkitError(f"{located.files[0]} holds no question; fetch the file anew")
        return questions

    def _question(self, i: int, language: str, instruction: str, reference: Any) -> Question:
        return Question(f"{self.prefix}-{i:03d}", language, instruction, reference)
