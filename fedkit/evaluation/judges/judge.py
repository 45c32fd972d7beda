"""Judges: a question, an answer and a reference become a rating from 1 to 10."""

from __future__ import annotations

from typing import Protocol


class Judge(Protocol):
    """What rates answers. `name` goes into every table that the ratings feed."""

    name: str

    def rate(self, question: str, answer: str, reference: str) -> float | None:
        """A rating from 1 (worst) to 10, or None where none can be given; None is counted, never scored."""
        ...


class ReferenceJudge:
    """How much of the reference answer's characters an answer holds; no model, no network.

    1 + 9 chrF / 100, with chrF (Popovic 2015: precision and recall of character n-grams, each the mean over n from 1 to
    6, in one F score that weighs recall twice) as sacrebleu computes it. It reads no meaning: a right answer in other
    words rates low, and its values are not on the scale of GPT-4's.
    """

    name = "chrF reference (offline)"
    needs_reference = True

    def __init__(self) -> None:
        from sacrebleu.metrics import CHRF

        self._chrf = CHRF()

    def rate(self, question: str, answer: str, reference: str) -> float | None:
        """1 for nothing in common with the reference (or no answer), 10 for the reference; None without a reference."""
        if not reference.strip():
            return None
        if not answer.strip():
            return 1.0
        return 1.0 + 9.0 * self._chrf.sentence_score(answer, [reference]).score / 100.0
