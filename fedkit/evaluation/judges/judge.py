"""Judges: a question, an answer and a reference become a rating from 1 to 10. The contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...common.errors import FedkitError

if TYPE_CHECKING:
    from .report import JudgeReport


@dataclass(frozen=True)
class JudgeItem:
    """The last of `answers` is graded. `prompt` names the judge's prompt; `references` may be empty."""

    id: str
    prompt: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    references: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.questions or len(self.questions) != len(self.answers):
            raise FedkitError(
                f"item {self.id!r} has {len(self.answers)} answers to {len(self.questions)} questions; give one each"
            )


def ref_item(question: str, answer: str, reference: str, id: str = "") -> JudgeItem:
    """An answer graded against a reference, as FedLLM-Bench's Ref score does; by `single-v1` where there is none."""
    if not reference.strip():
        return JudgeItem(id, "single-v1", (question,), (answer,))
    return JudgeItem(id, "ref", (question,), (answer,), (reference,))


class Judge:
    """What rates answers: subclass it with a `name` and either `rate` or `rate_all`; the rest has defaults.

    `name` goes into every table that the ratings feed. `identity`: what the ratings depend on beside class and name,
    as plain data (ratings are kept by it). `needs_reference`: whether it rates nothing without a reference.
    """

    name: str
    identity: Any = ""
    needs_reference = False

    def rate(self, question: str, answer: str, reference: str) -> float | None:
        """A rating from 1 (worst) to 10, or None where none can be given; None is counted, never scored."""
        raise NotImplementedError(f"{type(self).__name__} has neither `rate` nor `rate_all`")

    def rate_all(self, items: Sequence[JudgeItem]) -> list[float | None]:
        """One rating an item, in order: each item's last turn."""
        return [
            self.rate(item.questions[-1], item.answers[-1], item.references[-1] if item.references else "")
            for item in items
        ]

    def check(self) -> None:
        """`FedkitError` where the judge cannot be asked at all, e.g. for want of a key; sends nothing."""

    def keep_in(self, path: str | Path) -> None:
        """Keep replies in a file from now on, where there are any to keep."""

    @contextmanager
    def counting(self) -> Iterator[JudgeReport | None]:
        """A report of what is asked inside the `with` block alone; None: this judge costs nothing."""
        yield None

    def close(self) -> None:
        """Let go of connections and files."""


def without_reference(judge: Judge, items: Sequence[JudgeItem], values: Sequence[float | None]) -> str:
    """What a table's reader must know of items that should have a reference and have none; empty where all have."""
    bare = []
    for item, value in zip(items, values, strict=True):
        # The offline judge reads the last turn's alone, a prompt those of all turns.
        read = item.references[-1:] if judge.needs_reference else item.references
        if not read or not all(text.strip() for text in read):
            bare.append(value)
    if not bare:
        return ""
    if judge.needs_reference:
        return f"{len(bare)} not rated for want of a reference answer"
    return f"{sum(value is not None for value in bare)} graded without a reference answer"
