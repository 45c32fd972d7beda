"""What a benchmark is: where its items are, how a model answers them, and how answers become numbers.

The three are apart so that answers, which cost most, are kept and can be rated by another judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...common.errors import FedkitError
from ...common.intervals import interval, wilson
from ...data.origins import QUESTIONS, WORKED, Origin
from ...data.place import Located, Place
from ...data.sources import RawSource
from ...training.prompts import Prompt, encode_prompt, get_template
from ..specs import EvalSpec
from ..yardsticks import Answerer

if TYPE_CHECKING:
    from ...training.models import Loaded
    from ..judges.judge import Judge

Item = dict[str, Any]  # plain data, so that it can be hashed and kept
Answer = Any  # plain data: a text, two texts, or a dict of them

NO_JUDGE = "none"
_NAMED = 8  # items named in a note


@dataclass(frozen=True)
class Pool:
    """Where items come from. `limit`: at most so many items of a benchmark.

    They are spread over categories, subjects or tasks where there are such, else drawn at random, the same each time.
    `questions(dataset)`: the Ref questions of a federated dataset, as plain data; whoever has a profile hands them in.
    """

    place: Place
    limit: int | None = None
    questions: Callable[[str], list[Item]] | None = None

    def locate(self, source: RawSource | str) -> Located:
        """Where the questions of a source come from."""
        return self.place.locate(source).as_part(QUESTIONS)

    def records(self, source: RawSource | str) -> list[Item]:
        """All raw records of a source; `FedkitError` says what is wrong with one, for a benchmark drops nothing."""
        return [checked(raw, number, source) for number, raw in enumerate(self.locate(source).records(), 1)]

    def worked(self, source: RawSource | str, questions: RawSource | str) -> Located:
        """Where worked examples come from: never from the embedded world for real questions, nor the other way round.

        `FedkitError` where the data folder holds real questions without their worked examples.
        """
        asked, shown = self.locate(questions), self.place.locate(source).as_part(WORKED)
        if "embedded" not in (asked.kind, shown.kind) or asked.kind == shown.kind:
            return shown
        if asked.kind == "embedded":
            return replace(self.place, data_dir=None).locate(source).as_part(WORKED)
        raise FedkitError(
            f"{asked.where.removeprefix('read from ')} has real questions without worked examples, and invented ones"
            f" would not do; put {shown.source.files[0]} in {self.place.data_dir} beside it, or take the questions out"
        )

    def packaged(self, source: RawSource, what: str) -> None:
        """Note that worked examples come with a package (lm-eval's, fedkit's own)."""
        self.place.origins.add(Origin(source.name, WORKED, "package", what))


@dataclass(frozen=True)
class Subject:
    """What is examined: a loaded model with its adapter, the template it was trained with, and how it answers.

    Open questions (of benchmarks that are judged) are put to what answers without a model, too.
    """

    loaded: Loaded | Answerer
    template: str
    evaluation: EvalSpec
    seed: int = 0
    progress: bool = False


@dataclass(frozen=True)
class Score:
    """One number. `value` is None where nothing could be rated; low and high bound it at 95 % over the items.

    `count` items were rated, `unrated` were not and count for nothing. `judge` is "none" for a measurement. `note`
    says what a reader must know (prompts that were cut, a value near chance). `values`: of each item, in order.
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
    values: Sequence[float | None] = field(default=(), compare=False, repr=False)

    @property
    def against_chance(self) -> str:
        """'above', 'near' or 'below chance', by the interval; '' where there is no value or no chance level."""
        if self.value is None or self.chance is None:
            return ""
        if self.low is None or self.low <= self.chance:
            return "near chance" if self.high is None or self.high >= self.chance else "below chance"
        return "above chance"

    def scaled(self, scale: float) -> Score:
        """The same in other units, e.g. per cent."""
        numbers = {name: getattr(self, name) for name in ("value", "low", "high", "chance")}
        return replace(self, **{name: None if x is None else x * scale for name, x in numbers.items()})


def _nothing() -> None:
    """Most benchmarks need no more than this package."""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: its items, its answers, its scores by the name of a part (e.g. "turn 1").

    items(pool, dataset) -> items; answer(subject, items) -> one answer an item, plain data; score(items, answers,
    judge) -> part -> Score. `sources`: the raw sources of its own. `judged`: whether a judge is asked. `need()` raises
    `FedkitError` on a machine where it cannot be run, and its columns then stay empty.
    """

    name: str
    title: str
    sources: tuple[RawSource, ...]
    items: Callable[[Pool, str], list[Item]]
    answer: Callable[[Subject, Sequence[Item]], list[Answer]]
    score: Callable[[Sequence[Item], Sequence[Answer], Judge], dict[str, Score]]
    judged: bool = False
    need: Callable[[], object] = _nothing


def checked(raw: Any, number: int, source: RawSource | str) -> Item:
    """A record with the fields of its source; `FedkitError` names what is wrong with it."""
    from ...data.place import get_source
    from ...data.rules import fault

    source = get_source(source)
    why = fault(raw, source.fields)
    if why is not None:
        raise FedkitError(f"record {number} of {source.name} is malformed ({why}); mend it or fetch the file anew")
    return dict(raw)


def spread(items: Sequence[Item], limit: int | None, group: str) -> list[Item]:
    """At most `limit` items, one of each group (a field's value) in turn, in their own order.

    For groups that are no answers.
    """
    if limit is None or limit >= len(items):
        return list(items)
    turns = sorted((turn, i) for own in grouped(items, group).values() for turn, i in enumerate(own))
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


def grouped(items: Sequence[Item], field: str) -> dict[Any, list[int]]:
    """Places of items by the value of a field, in order."""
    groups: dict[Any, list[int]] = {}
    for i, item in enumerate(items):
        groups.setdefault(item[field], []).append(i)
    return groups


def part_note(items: Sequence[Item]) -> str:
    """'40 of 520 items' where a limit took a part, else ''."""
    whole = items[0].get("whole") if items else None
    return f"{len(items)} of {whole} items" if whole else ""


def cut_note(answers: Sequence[Mapping[str, Any]]) -> str:
    """How many prompts were longer than the model reads."""
    cut = sum(bool(answer["cut"]) for answer in answers)
    return f"{cut} of {len(answers)} prompts cut to the model's length" if cut else ""


def unread_note(answers: Sequence[Mapping[str, Any]]) -> str:
    """Which items could not be rated, since the model cannot read an option of theirs, by their place (from 1)."""
    places = [str(place) for place, answer in enumerate(answers, 1) if answer.get("unread")]
    if not places:
        return ""
    named = ", ".join(places[:_NAMED]) + (", ..." if len(places) > _NAMED else "")
    return (
        f"{len(places)} of {len(answers)} items left out: an option is longer than the model reads, or blank ({named})"
    )


def notes(*texts: str) -> str:
    """The notes that say something, each once."""
    return "; ".join(dict.fromkeys(text for text in texts if text))


def constant(truths: Sequence[Hashable]) -> float:
    """What the best constant answer scores: the share of the most frequent true answer."""
    return max(Counter(truths).values()) / len(truths) if truths else 0.0


def rated(values: Iterable[float | None], judge: str, note: str = "") -> Score:
    """The mean of ratings, with Student's interval over the items; None are unrated, and the note says how many."""
    every = tuple(values)
    known = [value for value in every if value is not None]
    if not known:
        return Score(None, 0, len(every), judge=judge, note=note, values=every)
    value, low, high = interval(known)
    if len(known) < len(every):
        note = notes(note, f"a mean over the {len(known)} of {len(every)} items that have a rating")
    return Score(value, len(known), len(every) - len(known), low, high, judge, note, values=every)


def share(passed: Iterable[bool | None], note: str = "", chance: float | None = None, judge: str = NO_JUDGE) -> Score:
    """The share of true values, with Wilson's interval; None are unrated."""
    every = tuple(None if value is None else float(bool(value)) for value in passed)
    known = [value for value in every if value is not None]
    unrated = len(every) - len(known)
    if not known:
        return Score(None, 0, unrated, judge=judge, note=note, chance=chance, values=every)
    right = int(sum(known))
    low, high = wilson(right, len(known))
    return Score(right / len(known), len(known), unrated, low, high, judge, note, chance, every)


def too_long(subject: Subject, prompts: Sequence[Prompt]) -> list[bool]:
    """Which prompts lose their beginning, since they and `max_new_tokens` take more positions than the model has."""

    positions = getattr(subject.loaded.model.config, "max_position_embeddings", None)
    room = positions - subject.evaluation.max_new_tokens if positions else float("inf")
    return [len(encode_prompt(subject.loaded.tokenizer, prompt)) > room for prompt in prompts]


def replies(subject: Subject, questions: Sequence[tuple[str, str]]) -> list[str]:
    """One answer to each (question, its language), asked in the template's form for the language."""
    if isinstance(subject.loaded, Answerer):
        return [subject.loaded.reply(question, language) for question, language in questions]
    form = get_template(subject.template)
    return ask(subject, [form.prompt(question, language) for question, language in questions])


def ask(
    subject: Subject, prompts: Sequence[Prompt], *, temperature: float | None = None, strip: bool = True
) -> list[str]:
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
