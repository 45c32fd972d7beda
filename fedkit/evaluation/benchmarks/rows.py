"""What an evaluation gives: a row of a table, and what stands behind each of its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...common.errors import unknown
from ...data.origins import Origin, brief, sentence
from .base import NO_JUDGE, Score
from .suites import Column, Suite

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ..judges.report import JudgeReport


@dataclass(frozen=True)
class Row:
    """One model over one suite. `parts`: `<benchmark>/<part>` -> Score; `answers`: benchmark -> its answers, in order.

    `items`: benchmark -> its items (no answers where the benchmark could not be run). `cached`: benchmarks whose
    answers lay on disk already. `reports`: benchmark -> what its ratings cost, for judges behind an API. `origins`:
    benchmark -> where its questions, worked examples and reference answers are from; `records`: where those are from
    that the model was trained on.
    """

    suite: Suite
    judge: str
    parts: Mapping[str, Score]
    items: Mapping[str, list[Any]]
    answers: Mapping[str, list[Any]]
    cached: tuple[str, ...] = ()
    reports: Mapping[str, JudgeReport] = field(default_factory=dict)
    origins: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict)
    records: tuple[Origin, ...] = ()

    def score(self, metric: str) -> Score:
        """The score of a column: one part's, scaled, or the mean of several (without an interval).

        Without a value where a limit left no item of a part; `FedkitError` for a metric that the suite has not.
        """
        columns = {column.name: column for column in self.suite.columns}
        if metric not in columns:
            raise unknown(f"metric of suite {self.suite.name}", metric, columns)
        return _combined(columns[metric], [self.parts.get(part) or _absent(part) for part in columns[metric].parts])

    def series(self) -> pd.Series:
        """Values by metric, those that have one."""
        import pandas as pd

        values = {column.name: self.score(column.name).value for column in self.suite.columns}
        return pd.Series({name: value for name, value in values.items() if value is not None}, dtype=float)

    def source(self, metric: str) -> str:
        """Where every part of what a metric measures is from: `questions: embedded world; records: embedded world`."""
        column = next((column for column in self.suite.columns if column.name == metric), None)
        asked = [one for name in (column.benchmarks if column else ()) for one in self.origins.get(name, ())]
        return brief([*asked, *self.records])

    def by_item(self, metric: str) -> np.ndarray | None:
        """The column's score of each item, (items,), whose mean is its value; nan where unrated.

        Parts over the same items (turns of one conversation) are averaged by item, others put side by side, weighted
        so that each part counts the same. None where the value is no mean over items, as F1 is.
        """
        import numpy as np

        column = next(c for c in self.suite.columns if c.name == metric)
        if any(part not in self.parts or not self.parts[part].values for part in column.parts):
            return None
        values = [np.array(self.parts[part].values, dtype=np.float64) * column.scale for part in column.parts]
        whole = [
            len(v) == len(self.items[part.partition("/")[0]]) for part, v in zip(column.parts, values, strict=True)
        ]
        if len(column.benchmarks) == 1 and all(whole):
            each = np.mean(values, axis=0)
        else:
            total = sum(len(v) for v in values)
            each = np.concatenate([v * total / (len(values) * len(v)) for v in values])
        value = self.score(metric).value
        return each if value is not None and np.isclose(np.nanmean(each), value) else None

    def items_frame(self, benchmark: str, part: str | None = None) -> pd.DataFrame:
        """One line an item of a benchmark: its fields (of Ref: id, language, instruction, reference), answer, score.

        `part`: whose values `score` holds (e.g. "turn 1"), the first part over all items where None. `score` is missing
        where an item is unrated. `attrs` hold the `judge`. `FedkitError` for what the row has not.
        """
        import pandas as pd

        if benchmark not in self.items:
            raise unknown(f"benchmark of suite {self.suite.name}", benchmark, self.items)
        items, answers = self.items[benchmark], self.answers[benchmark]
        parts = {name.partition("/")[2]: one for name, one in self.parts.items() if name.split("/")[0] == benchmark}
        whole = {name: one for name, one in parts.items() if len(one.values) == len(items)}
        name = next(iter(whole), "") if part is None else part
        if name not in whole:
            raise unknown(f"part of {benchmark} over all its items", part, whole)
        frame = pd.DataFrame(items[: len(answers)]).drop(columns="whole", errors="ignore")
        frame = frame.assign(answer=answers, score=pd.Series(whole[name].values, dtype="float64"))
        frame.attrs.update(judge=whole[name].judge)
        return frame

    def frame(self) -> pd.DataFrame:
        """One line a metric: value, low, high (95 %, over items), items, unrated, chance, judge, note, source."""
        import pandas as pd

        lines = {}
        for column in self.suite.columns:
            one = self.score(column.name)
            lines[column.name] = {
                "value": one.value,
                "low": one.low,
                "high": one.high,
                "items": one.count,
                "unrated": one.unrated,
                "chance": one.chance,
                "judge": one.judge,
                "note": one.note,
                "source": self.source(column.name),
            }
        frame = pd.DataFrame.from_dict(lines, orient="index").rename_axis("metric")
        return frame.astype(dict.fromkeys(("value", "low", "high", "chance"), "float64"))

    @property
    def judges(self) -> str:
        """All that rated a number of this row, in words, for a table's `judge`."""
        names = dict.fromkeys(self.score(c.name).judge for c in self.suite.columns)
        return ", ".join(name for name in names if name != NO_JUDGE) or NO_JUDGE

    @property
    def foot(self) -> str:
        """A table's foot: for each judged benchmark what its ratings cost and how many there are not; else the notes;
        last where the items are from.

        Costs are those of the call that got the ratings, beside them those of the replies that it found kept, and
        both; a later call that finds the ratings kept says the same.
        """
        lines = [f"{name}: {report.describe()}" for name, report in self.reports.items()]
        notes = {c.name: self.score(c.name).note for c in self.suite.columns}
        lines += [f"{name}: {note}" for name, note in notes.items() if note]
        asked = [origin for name in self.items for origin in self.origins.get(name, ())]
        told = sentence([*asked, *self.records])
        return "\n".join([*lines, told] if told else lines)


def _absent(part: str) -> Score:
    return Score(None, 0, note=f"no part {part}, or no item of it within the limit")


def _combined(column: Column, parts: list[Score]) -> Score:
    judges = ", ".join(dict.fromkeys(part.judge for part in parts))
    notes = "; ".join(dict.fromkeys(part.note for part in parts if part.note))
    count, unrated = sum(part.count for part in parts), sum(part.unrated for part in parts)
    if any(part.value is None for part in parts):
        return Score(None, count, unrated, judge=judges, note=notes)
    if len(parts) > 1:
        mean = sum(part.value for part in parts if part.value is not None) / len(parts)
        chances = [part.chance for part in parts if part.chance is not None]
        chance = sum(chances) / len(parts) if len(chances) == len(parts) else None
        return Score(mean, count, unrated, judge=judges, note=notes, chance=chance).scaled(column.scale)
    return replace(parts[0], note=notes).scaled(column.scale)
