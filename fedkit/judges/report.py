"""What judging cost and how much of it could be scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .ratings import RATED, Rating

_NUMBERS = ("judged", "cached", "requests", "prompt_tokens", "completion_tokens", "uncounted")
_COUNTERS = ("unparsed", "retries")


@dataclass(frozen=True)
class Judgement:
    """One item's end: a rating or why there is none, the judge's own words, and whether they were already kept."""

    id: str
    rating: float | None
    why: str
    reply: str
    cached: bool


@dataclass
class JudgeReport:
    """Counts over a judge's life. Tokens and cost are those of replies got now, not of kept ones."""

    judged: int = 0
    cached: int = 0
    requests: int = 0
    unparsed: Counter[str] = field(default_factory=Counter)  # by reason
    retries: Counter[str] = field(default_factory=Counter)  # by reason
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0  # replies whose tokens the server did not count
    price: tuple[float, float] | None = None  # of a million tokens read, written

    def add(self, rating: Rating, cached: bool) -> None:
        """Count one item."""
        self.judged += 1
        self.cached += cached
        if rating.why != RATED:
            self.unparsed[rating.why] += 1

    def since(self, before: JudgeReport) -> JudgeReport:
        """What was counted after an earlier state of this report."""
        return JudgeReport(
            **{name: getattr(self, name) - getattr(before, name) for name in (*_NUMBERS, *_COUNTERS)}, price=self.price
        )

    def data(self) -> dict[str, Any]:
        """As plain data, which `from_data` reads."""
        counters = {name: dict(getattr(self, name)) for name in _COUNTERS}
        return {**{name: getattr(self, name) for name in _NUMBERS}, **counters, "price": self.price}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> JudgeReport:
        """A report from plain data."""
        counters = {name: Counter(data[name]) for name in _COUNTERS}
        price = None if data["price"] is None else (data["price"][0], data["price"][1])
        return cls(**{name: data[name] for name in _NUMBERS}, **counters, price=price)

    def spend(self, prompt_tokens: int | None, completion_tokens: int | None) -> None:
        """Count one reply's tokens."""
        self.uncounted += prompt_tokens is None or completion_tokens is None
        self.prompt_tokens += prompt_tokens or 0
        self.completion_tokens += completion_tokens or 0

    @property
    def cost(self) -> float | None:
        """US dollars, or None where no price is known or the server did not count every reply."""
        if self.price is None or self.uncounted:
            return None
        return (self.prompt_tokens * self.price[0] + self.completion_tokens * self.price[1]) / 1e6

    @property
    def unparsed_rate(self) -> float:
        """Share of items without a rating; 0 where nothing was judged."""
        return self.unparsed.total() / self.judged if self.judged else 0.0

    def describe(self) -> str:
        """One line for a table's foot."""
        reasons = ", ".join(f"{count} {why}" for why, count in sorted(self.unparsed.items()))
        retried = ", ".join(f"{count} {why}" for why, count in sorted(self.retries.items()))
        money = "cost unknown" if self.cost is None else f"{self.cost:.4f} US dollars"
        return (
            f"{self.judged} judged ({self.cached} kept from before), {self.unparsed.total()} without a rating "
            f"({100 * self.unparsed_rate:.1f} %{f': {reasons}' if reasons else ''}); {self.requests} requests"
            f"{f', retried: {retried}' if retried else ''}; {self.prompt_tokens} tokens read, "
            f"{self.completion_tokens} written, {money}"
        )
