"""The offline judge: how much an answer holds of what the reference adds to the question."""

from __future__ import annotations

from collections.abc import Sequence

from ..words import added, words
from .judge import Judge, JudgeItem
from .report import HIGHEST, LOWEST

BETA = 3  # recall weighs so much: a right answer may say more
FORM = 0.2  # of a rating: how near the whole sentence comes, where the content is there


class ReferenceJudge(Judge):
    """What a reference answer adds to the question, and how much of it an answer holds; no model, no network.

    The words that reference and answer have beyond the question's are compared by chrF3 (Popovic 2015: precision and
    recall of character n-grams, each the mean over n from 1 to 6, in one F score that weighs recall thrice), as
    sacrebleu computes it. Its square is the content: any two texts of a language share letters, and the square of a
    small share is next to nothing. The rating is 1 + 9 content (0.8 + 0.2 form), with form the chrF3 of the whole
    answer: form earns nothing by itself. So an echo of the question and an empty answer rate 1, the reference 10.

    Where a reference adds no word (it chooses among the question's), content is by how much chrF3 of the whole answer
    comes nearer to the reference than the question does. It reads no meaning: a right answer in other words rates low,
    and its values are not on the scale of GPT-4's.
    """

    name = "chrF of added words (offline)"
    needs_reference = True

    def __init__(self) -> None:
        from sacrebleu.metrics import CHRF

        self._chrf = CHRF(beta=BETA)

    def rate_all(self, items: Sequence[JudgeItem]) -> list[float | None]:
        """See `rate`; a later turn's question is all that was asked up to it."""
        last = (item.references[-1] if item.references else "" for item in items)
        rated = zip(items, last, strict=True)
        return [self.rate("\n".join(item.questions), item.answers[-1], reference) for item, reference in rated]

    def rate(self, question: str, answer: str, reference: str) -> float | None:
        """1 for an answer that adds nothing of the reference's, 10 for the reference; None without a reference."""
        if not reference.strip():
            return None
        if answer.strip() == reference.strip():
            return HIGHEST
        asked, said, told = words(question), words(answer), words(reference)
        if not said or not told:
            return LOWEST
        if said == told:
            return HIGHEST
        content = self._content(asked, said, told)
        if not content:
            return LOWEST
        return LOWEST + (HIGHEST - LOWEST) * content * (1 - FORM + FORM * self._near(said, told))

    def _content(self, asked: Sequence[str], said: Sequence[str], told: Sequence[str]) -> float:
        """From 0 to 1."""
        if new := added(told, asked):
            return self._near(added(said, asked), new) ** 2
        echo = self._near(asked, told)
        return max(0.0, self._near(said, told) - echo) / (1 - echo) if echo < 1 else 0.0

    def _near(self, some: Sequence[str], reference: Sequence[str]) -> float:
        """chrF3 from 0 to 1."""
        return min(1.0, self._chrf.sentence_score(" ".join(some), [" ".join(reference)]).score / 100) if some else 0.0
