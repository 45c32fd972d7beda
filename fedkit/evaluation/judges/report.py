"""What judging cost and how much of it could be scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .ratings import RATED, Rating

_TOKENS = ("prompt_tokens", "completion_tokens", "uncounted")
_NUMBERS = ("judged", "cached", "requests", *_TOKENS, *(f"kept_{name}" for name in _TOKENS))
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
    """Counts over a judge's life, or over a part of it (`OpenAIJudge.counting`).

    Tokens and `cost` are those of replies got in this time; `kept_` and `kept_cost` those of replies that were there
    before it, so that what a stopped run had paid for is not lost. `whole_cost` is both. Each reply counts once.
    """

    judged: int = 0
    cached: int = 0
    requests: int = 0
    unparsed: Counter[str] = field(default_factory=Counter)  # by reason
    retries: Counter[str] = field(default_factory=Counter)  # by reason
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0  # replies whose tokens the server did not count
    kept_prompt_tokens: int = 0
    kept_completion_tokens: int = 0
    kept_uncounted: int = 0
    price: tuple[float, float] | None = None  # of a million tokens read, written
    counted: set[str] = field(default_factory=set, repr=False, compare=False)  # keys of replies whose tokens are in

    def add(self, rating: Rating, cached: bool) -> None:
        """Count one item."""
        self.judged += 1
        self.cached += cached
        if rating.why != RATED:
            self.unparsed[rating.why] += 1

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

    def spend(self, key: str, prompt_tokens: int | None, completion_tokens: int | None) -> None:
        """Count the tokens of a reply that was got now."""
        self.counted.add(key)
        self.uncounted += prompt_tokens is None or completion_tokens is None
        self.prompt_tokens += prompt_tokens or 0
        self.completion_tokens += completion_tokens or 0

    def recall(self, key: str, prompt_tokens: int | None, completion_tokens: int | None) -> None:
        """Count the tokens of a reply that was kept from before; nothing where they are counted already."""
        if key in self.counted:
            return
        self.counted.add(key)
        self.kept_uncounted += prompt_tokens is None or completion_tokens is None
        self.kept_prompt_tokens += prompt_tokens or 0
        self.kept_completion_tokens += completion_tokens or 0

    @property
    def cost(self) -> float | None:
        """US dollars of the replies got now, or None where no price is known or a reply's tokens were not counted."""
        return None if self.uncounted else self._priced(self.prompt_tokens, self.completion_tokens)

    @property
    def kept_cost(self) -> float | None:
        """US dollars that the kept replies cost when they were got, or None as in `cost`."""
        return None if self.kept_uncounted else self._priced(self.kept_prompt_tokens, self.kept_completion_tokens)

    @property
    def whole_cost(self) -> float | None:
        """US dollars of all replies, or None as in `cost`."""
        return None if self.cost is None or self.kept_cost is None else self.cost + self.kept_cost

    def _priced(self, read: int, written: int) -> float | None:
        return None if self.price is None else (read * self.price[0] + written * self.price[1]) / 1e6

    @property
    def unparsed_rate(self) -> float:
        """Share of items without a rating; 0 where nothing was judged."""
        return self.unparsed.total() / self.judged if self.judged else 0.0

    def describe(self) -> str:
        """One line for a table's foot."""
        reasons = ", ".join(f"{count} {why}" for why, count in sorted(self.unparsed.items()))
        retried = ", ".join(f"{count} {why}" for why, count in sorted(self.retries.items()))
        spent = f"{self.prompt_tokens} tokens read, {self.completion_tokens} written, {_money(self.cost)}"
        if self.kept_prompt_tokens or self.kept_completion_tokens or self.kept_uncounted:
            spent += f"; the kept ones took {self.kept_prompt_tokens} and {self.kept_completion_tokens}, "
            spent += _money(self.kept_cost)
            spent += "" if self.whole_cost is None else f"; in all {_money(self.whole_cost)}"
        return (
            f"{self.judged} judged ({self.cached} kept from before), {self.unparsed.total()} without a rating "
            f"({100 * self.unparsed_rate:.1f} %{f': {reasons}' if reasons else ''}); {self.requests} requests"
            f"{f', retried: {retried}' if retried else ''}; {spent}"
        )


def _money(dollars: float | None) -> str:
    return "cost unknown" if dollars is None else f"{dollars:.4f} US dollars"
