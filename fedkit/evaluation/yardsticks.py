"""What answers without a model: the rows that a trained one must beat.

An echo says the question, a constant what people answer most, the nearest record what somebody answered to the training
question that is most alike, with this question's words put in place of that one's.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .words import words

if TYPE_CHECKING:
    from ..data.federated import FederatedDataset

YARDSTICKS = ("echo", "constant", "nearest record")  # as tables name their rows, in this order


class Answerer(ABC):
    """Answers open questions in a model's place (`Session.evaluate`); `identity` is what its answers depend on."""

    name: str
    dataset = ""

    @property
    @abstractmethod
    def identity(self) -> Any:
        """Plain data: kept answers are named by it."""

    @abstractmethod
    def reply(self, question: str, language: str = "en") -> str:
        """The answer to a question in a language (two-letter code)."""


class Echo(Answerer):
    """The question itself."""

    name = YARDSTICKS[0]

    def __init__(self, dataset: str = "") -> None:
        self.dataset = dataset

    @property
    def identity(self) -> Any:
        return self.name

    def reply(self, question: str, language: str = "en") -> str:
        """See `Answerer`."""
        return question


class _Recorded(Answerer):
    """What answers from the records of a federation."""

    def __init__(self, data: FederatedDataset) -> None:
        self.data, self.dataset = data, data.name

    @property
    def identity(self) -> Any:
        return [self.name, self.data.name, self.data.fingerprint]

    @cached_property
    def _pairs(self) -> list[tuple[str, str, str]]:
        """Language, question and answer of every record: of a conversation the first, of a pair the chosen answer."""
        table = self.data.table
        if "conversation" in table.column_names:
            talks = table["conversation"].to_pylist()
            questions, answers = ([talk[turn]["content"] for talk in talks] for turn in (0, 1))
        else:
            questions = table["instruction"].to_pylist()
            answers = table["response" if "response" in table.column_names else "chosen"].to_pylist()
        return [
            (language or "", question, answer)
            for language, question, answer in zip(table["language"].to_pylist(), questions, answers, strict=True)
        ]


class Constant(_Recorded):
    """The most frequent answer of the records in a question's language, or of all where none is in it."""

    name = YARDSTICKS[1]

    @cached_property
    def _frequent(self) -> dict[str, str]:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for language, _, answer in self._pairs:
            counts[language][answer] += 1
            counts[""][answer] += 1
        return {code: max(own.items(), key=lambda pair: (pair[1], pair[0]))[0] for code, own in counts.items()}

    def reply(self, question: str, language: str = "en") -> str:
        """See `Answerer`."""
        return self._frequent.get(language, self._frequent[""])


class NearestRecord(_Recorded):
    """The answer to the nearest question of the records, with the words swapped in which the two questions differ.

    Nearest by the cosine of character TF-IDF (2- to 4-grams within words).
    """

    name = YARDSTICKS[2]

    @cached_property
    def _index(self) -> tuple[Any, Any]:
        from sklearn.feature_extraction.text import TfidfVectorizer

        grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
        return grams, grams.fit_transform(question for _, question, _ in self._pairs)

    def reply(self, question: str, language: str = "en") -> str:
        """See `Answerer`."""
        grams, known = self._index
        _, asked, answer = self._pairs[int((known @ grams.transform([question]).T).toarray().argmax())]
        return swapped(asked, question, answer)


def swapped(asked: str, question: str, answer: str) -> str:
    """An answer to `asked` as one to `question`: what of `asked` stands otherwise there is put otherwise.

    Of two questions "capital of Spain" and "capital of Italy" the answer "Madrid, in Spain" becomes "Madrid, in Italy".
    """
    old, new = asked.split(), question.split()
    if len(old) < 2 or len(new) < 2:  # written without blanks
        old, new = list(asked), list(question)
        gap = ""
    else:
        gap = " "
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        before, after = (_bare(gap.join(part)) for part in (old[a:b], new[c:d]))
        if kind == "replace" and words(before):
            answer = answer.replace(before, after)
    return answer


def _bare(text: str) -> str:
    """Without punctuation at its ends."""
    while text and not words(text[0]):
        text = text[1:]
    while text and not words(text[-1]):
        text = text[:-1]
    return text


def yardsticks(data: FederatedDataset) -> dict[str, Answerer]:
    """The three by their names, over the records of a federation."""
    every = (Echo(data.name), Constant(data), NearestRecord(data))
    return {one.name: one for one in every}
