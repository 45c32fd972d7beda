"""A rating read from a judge's reply, and what judging cost: how much could be scored, asked and paid."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ...common.http import said
from .answer import FILTERED

LOWEST, HIGHEST = 1.0, 10.0
RATED, NONE, SEVERAL, OUTSIDE, CUT = "rated", "no rating", "two ratings", "out of range", "cut off"
NAMED = 5  # unrated items of a reason that a line names

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_DOUBLE = re.compile(rf"\[\[\s*{_NUMBER}\s*\]\]")
# A line that is a rating and nothing else: "[6]" elsewhere is a source, a list, an index.
_SINGLE = re.compile(rf"\W*(?:\w+ )?(?:rating|grade|score)\W*\[\s*{_NUMBER}\s*\](?:/10)?[\W_]*", re.IGNORECASE)
_BARE = re.compile(rf"\[\s*{_NUMBER}\s*\]")
_LINE = 80  # characters of a line that may be a rating and nothing else
_TAGS = "think|thinking|thought|reasoning"
_THOUGHT = re.compile(rf"<({_TAGS})>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_OPENED_BEFORE = re.compile(rf"\A.*</(?:{_TAGS})>", re.DOTALL | re.IGNORECASE)  # its beginning stands in the prompt


@dataclass(frozen=True)
class Rating:
    """`value` from 1 to 10, or None with the reason in `why`."""

    value: float | None
    why: str


def parse_rating(reply: str, finish: str = "stop") -> Rating:
    """The rating of a reply: `[[n]]`, else `Rating: [n]` as the whole last line (Zheng et al. 2023).

    Where the form occurs several times, all must hold one number: a reply with two ratings is unparsed, since to take
    the first or the last would be a guess (MT-Bench's own script takes the first, and `[n]` anywhere). So is a number
    outside 1 to 10. What a judge thinks aloud, up to `</think>`, is no part of its reply.

    finish: why the reply ended, as the server says: one that was cut at its length or by a filter has no rating.
    """
    ended = finish.lower()
    if ended in ("length", "max_tokens"):
        return Rating(None, CUT)
    if ended == "content_filter":
        return Rating(None, FILTERED)
    text = _OPENED_BEFORE.sub("", _THOUGHT.sub("", reply)).strip()
    numbers = {float(one) for one in _DOUBLE.findall(text)}
    last = text.rpartition("\n")[2][: _LINE + 1]
    if not numbers and len(last) <= _LINE and (alone := _SINGLE.fullmatch(last) or _BARE.fullmatch(text)):
        numbers = {float(alone[1])}
    if len(numbers) > 1:
        return Rating(None, SEVERAL)
    for value in numbers:
        return Rating(value, RATED) if LOWEST <= value <= HIGHEST else Rating(None, OUTSIDE)
    return Rating(None, NONE)


@dataclass(frozen=True)
class Judgement:
    """One item's end: a rating or why there is none, the judge's own words, and whether they were already kept.

    The words are those of the server where it refused the item.
    """

    id: str
    rating: float | None
    why: str
    reply: str
    cached: bool


@dataclass
class JudgeReport:
    """Counts over a judge's life, or over a part of it (`Judge.counting`).

    Tokens and `cost` are those of replies got in this time; `kept_` and `kept_cost` those of replies that were there
    before it, so that what a stopped run had paid for is not lost. `whole_cost` is both. Each reply counts once.
    """

    judged: int = 0
    cached: int = 0
    requests: int = 0
    unparsed: Counter[str] = field(default_factory=Counter)  # items without a rating, by reason
    unrated: dict[str, list[str]] = field(default_factory=dict)  # which items those are
    left_out: Counter[str] = field(default_factory=Counter)  # items asked without an option, which the server refuses
    retries: Counter[str] = field(default_factory=Counter)  # by reason
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0  # replies whose tokens the server did not count
    kept_prompt_tokens: int = 0
    kept_completion_tokens: int = 0
    kept_uncounted: int = 0
    price: tuple[float, float] | None = None  # of a million tokens read, written
    counted: set[str] = field(default_factory=set, repr=False, compare=False)  # keys of replies whose tokens are in

    def add(self, judgement: Judgement, without: Iterable[str] = ()) -> None:
        """Count one item; `without`: options that were not sent for it."""
        self.judged += 1
        self.cached += judgement.cached
        self.left_out.update(without)
        if judgement.why != RATED:
            self.unparsed[judgement.why] += 1
            named = self.unrated.setdefault(judgement.why, [])
            if judgement.id not in named:
                named.append(judgement.id)

    def spend(self, key: str, prompt_tokens: int | None, completion_tokens: int | None, kept: bool = False) -> None:
        """Count the tokens of a reply that was got now, or `kept` from before; nothing where they are counted."""
        if key in self.counted:
            return
        self.counted.add(key)
        lacking, read, written = prompt_tokens is None or completion_tokens is None, prompt_tokens, completion_tokens
        if kept:
            self.kept_uncounted += lacking
            self.kept_prompt_tokens += read or 0
            self.kept_completion_tokens += written or 0
        else:
            self.uncounted += lacking
            self.prompt_tokens += read or 0
            self.completion_tokens += written or 0

    def data(self) -> dict[str, Any]:
        """As plain data, which `from_data` reads."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.compare}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> JudgeReport:
        """A report from plain data."""
        price = None if data["price"] is None else tuple(data["price"])
        counters = {name: Counter(data[name]) for name in ("unparsed", "retries", "left_out")}
        return cls(**{**data, **counters, "price": price})

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
        reasons = ", ".join(f"{count} {why}{self._names(why)}" for why, count in sorted(self.unparsed.items()))
        retried = ", ".join(f"{count} {why}" for why, count in sorted(self.retries.items()))
        lacking = ", ".join(f"{count} asked without {name}" for name, count in sorted(self.left_out.items()))
        lacking += ", which the server refuses" if lacking else ""
        spent = f"{self.prompt_tokens} tokens read, {self.completion_tokens} written, {_money(self.cost)}"
        if self.kept_prompt_tokens or self.kept_completion_tokens or self.kept_uncounted:
            spent += f"; the kept ones took {self.kept_prompt_tokens} and {self.kept_completion_tokens}, "
            spent += _money(self.kept_cost)
            spent += "" if self.whole_cost is None else f"; in all {_money(self.whole_cost)}"
        return (
            f"{self.judged} judged ({self.cached} kept from before), {self.unparsed.total()} without a rating "
            f"({100 * self.unparsed_rate:.1f} %{f': {reasons}' if reasons else ''}); {self.requests} requests"
            f"{f', retried: {retried}' if retried else ''}{f', {lacking}' if lacking else ''}; {spent}"
        )

    def _names(self, why: str) -> str:
        named = [name for name in self.unrated.get(why, ()) if name]
        more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
        shown = ", ".join(said(name, "", 40) for name in named[:NAMED])
        return f" (items {shown}{more})" if named else ""


def _money(dollars: float | None) -> str:
    return "cost unknown" if dollars is None else f"{dollars:.4f} US dollars"
