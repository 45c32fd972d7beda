"""What a benchmark is: where its items are, how a model answers them, and how answers become numbers.

The three are apart so that answers, which cost most, are kept and can be rated by another judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...common.intervals import interval, wilson

if TYPE_CHECKING:
    from ...profiles import Profile
    from ...training.models import Loaded
    from ..judges.judge import Judge
    from ..specs import EvalSpec

Item = dict[str, Any]  # plain data, so that it can be hashed and kept
Answer = Any  # plain data: a text, two texts, or a dict of them

NO_JUDGE = "none"


@dataclass(frozen=True)
class Place:
    """Where items come from: as a `Session` looks for data. `limit`: at most so many items.

    They are spread over categories, subjects or tasks where there are such, else drawn at random, the same each time.
    """

    profile: Profile
    data_dir: Path | None = None
    offline: bool = False
    limit: int | None = None


@dataclass(frozen=True)
class Subject:
    """What is examined: a loaded model with its adapter, the template it was trained with, and how it answers."""

    loaded: Loaded
    template: str
    evaluation: EvalSpec
    seed: int = 0
    progress: bool = False


@dataclass(frozen=True)
class Score:
    """One number. `value` is None where nothing could be rated; low and high bound it at 95 % over the items.

    `count` items were rated, `unrated` were not and count for nothing. `judge` is "none" for a measurement. `note`
    says what a reader must know (prompts that were cut, a value near chance).
    """

    value: float | None
    count: int
    unrated: int = 0
    low: float | None = None
    high: float | None = None
    judge: str = NO_JUDGE
    note: str = ""
    chance: float | None = field(
        default=None, compare=False
    )  # what guessing gives: the best constant answer, or 1 of so many options

    @property
    def against_chance(self) -> str:
        """'above', 'near' or 'below chance', by the interval; '' where there is no value or no chance level."""
        if self.value is None or self.chance is None:
            return ""
        if self.low is None or self.low <= self.chance:
            return "near chance" if self.high is None or self.high >= self.chance else "below chance"
        return "above chance"


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: its items, its answers, its scores by the name of a part (e.g. "turn 1").

    items(place, dataset) -> items; answer(subject, items) -> one answer an item, plain data; score(items, answers,
    judge) -> part -> Score. `sources` are the raw sources that it may read.
    """

    name: str
    title: str
    sources: tuple[str, ...]
    items: Callable[[Place, str], list[Item]]
    answer: Callable[[Subject, Sequence[Item]], list[Answer]]
    score: Callable[[Sequence[Item], Sequence[Answer], Judge], dict[str, Score]]
    judged: bool = True


def records(name: str, place: Place) -> list[Any]:
    """All raw records of a source: local files, else the embedded world where the profile is embedded, else the Hub."""
    from ...data.sources import load_raw

    _, found = load_raw(name, data_dir=place.data_dir, offline=place.offline, embedded=place.profile.embedded)
    return list(found)


def checked(raw: Any, number: int, name: str) -> Item:
    """A record with the fields of its source; `FedkitError` names what is wrong with it: a benchmark drops nothing."""
    from ...common.errors import FedkitError
    from ...data.builders.checks import fault
    from ...data.sources import get_source

    why = fault(raw, get_source(name).fields)
    if why is not None:
        raise FedkitError(f"record {number} of {name} is malformed ({why}); mend it or fetch the file anew")
    return dict(raw)


def spread(items: Sequence[Item], limit: int | None, group: Callable[[Item], Hashable]) -> list[Item]:
    """At most `limit` items, one of each group in turn, in their own order. For groups that are no answers."""
    if limit is None or limit >= len(items):
        return list(items)
    places: dict[Hashable, list[int]] = {}
    for i, item in enumerate(items):
        places.setdefault(group(item), []).append(i)
    turns = sorted((turn, i) for own in places.values() for turn, i in enumerate(own))
    return _part(items, [i for _, i in turns[:limit]])


def sample(items: Sequence[Item], limit: int | None, name: str) -> list[Item]:
    """At most `limit` items drawn at random, the same each time, in their own order: a mean over them estimates the
    mean over all. A larger limit adds to a smaller one's items."""
    if limit is None or limit >= len(items):
        return list(items)
    from ...common.seeds import generator

    return _part(items, generator(0, "benchmark items", client=name).permutation(len(items))[:limit].tolist())


def _part(items: Sequence[Item], places: Sequence[int]) -> list[Item]:
    return [{**items[i], "whole": len(items)} for i in sorted(places)]


def part_note(asked: Sequence[Item]) -> str:
    """'40 of 520 items' where a limit took a part, else ''."""
    whole = asked[0].get("whole") if asked else None
    return f"{len(asked)} of {whole} items" if whole else ""


def notes(*texts: str) -> str:
    """The notes that say something, each once."""
    return "; ".join(dict.fromkeys(text for text in texts if text))


def constant(truths: Sequence[Hashable]) -> float:
    """What the best constant answer scores: the share of the most frequent true answer."""
    return max(Counter(truths).values()) / len(truths) if truths else 0.0


def rated(values: Iterable[float | None], judge: str, note: str = "") -> Score:
    """The mean of ratings, with Student's interval over the items; None are unrated."""
    every = list(values)
    known = [value for value in every if value is not None]
    if not known:
        return Score(None, 0, len(every), judge=judge, note=note)
    value, low, high = interval(known)
    return Score(value, len(known), len(every) - len(known), low, high, judge, note)


def share(passed: Iterable[bool], note: str = "", chance: float | None = None, judge: str = NO_JUDGE) -> Score:
    """The share of true values, with Wilson's interval."""
    every = [bool(value) for value in passed]
    if not every:
        return Score(None, 0, judge=judge, note=note, chance=chance)
    low, high = wilson(sum(every), len(every))
    return Score(sum(every) / len(every), len(every), 0, low, high, judge, note, chance)


def too_long(subject: Subject, prompts: Sequence[str]) -> list[bool]:
    """Which prompts lose their beginning, since they and `max_new_tokens` take more positions than the model has."""
    from ...training.prompts import encode_prompt

    positions = getattr(subject.loaded.model.config, "max_position_embeddings", None)
    room = positions - subject.evaluation.max_new_tokens if positions else float("inf")
    return [len(encode_prompt(subject.loaded.tokenizer, prompt)) > room for prompt in prompts]


def cut_note(answers: Sequence[Mapping[str, Any]]) -> str:
    """How many prompts were longer than the model reads."""
    cut = sum(bool(answer["cut"]) for answer in answers)
    return f"{cut} of {len(answers)} prompts cut to the model's length" if cut else ""


def ask(subject: Subject, prompts: Sequence[str], *, temperature: float | None = None, strip: bool = True) -> list[str]:
    """The model's answers to whole prompts by the subject's settings; `temperature` takes the place of its own."""
    from ..generation import generate

    spec = subject.evaluation
    return generate(
        subject.loaded.model,
        subject.loaded.tokenizer,
        prompts,
        max_new_tokens=spec.max_new_tokens,
        batch_size=spec.batch_size,
        temperature=spec.temperature if temperature is None else temperature,
        seed=subject.seed,
        progress=subject.progress,
        strip=strip,
    )
