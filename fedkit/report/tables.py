"""Results as files: a table with ours, its interval and the paper's number, and figures.

A table is one tidy CSV, one CSV of its values by seed, and one Markdown file to read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.errors import FedkitError
from ..common.files import new_file, write_text
from ..common.intervals import interval
from ..data.origins import Origins, brief, sentence
from . import paper
from .cells import markdown_text

if TYPE_CHECKING:
    import pandas as pd

    from ..evaluation.benchmarks.rows import Row
    from ..evaluation.judges.judge import Judge

COLUMNS = ("table", "row", "metric", "value", "low", "high", "seeds", "paper", "unit", "judge", "source")
NOTHING_READ = "no data"  # the source of what was computed from nothing but the code
SEED_COLUMNS = ("table", "row", "metric", "seed", "value", "unit", "judge")
ITEM_COLUMNS = ("row", "metric", "seed", "value")


class ResultsTable:
    """Values by row, metric and seed, as measured; beside them the paper's, where its table of that name has them.

    `table` is the name of the files (`41_table2_fed_aya`); behind the number stands the key of the paper's table.
    `judge` is a judge or its name, "none" for measures that nobody judges. `origins`: the log of what was read, of the
    session's place; the table names all of it below, and in each cell the sources of that cell where they are known.
    """

    def __init__(self, table: str, judge: Judge | str, unit: str, origins: Origins | None = None) -> None:
        self.table = table
        self.judge = judge if isinstance(judge, str) else judge.name
        self.unit = unit
        self.paper = paper.published(table)
        self.note = ""  # plain text that stands below the Markdown: what judging cost, how many items there were
        self.origins = origins or Origins()
        self._values: dict[tuple[str, str], dict[int, float]] = {}
        self._sources: dict[tuple[str, str], dict[str, None]] = {}
        self._items: dict[tuple[str, str], dict[int, np.ndarray]] = {}

    @property
    def rows(self) -> list[str]:
        """The rows so far, in order."""
        return list(dict.fromkeys(row for row, _ in self._values))

    def add(self, row: str, metric: str, values: Sequence[float] | float, seeds: Sequence[int] | int = 0) -> None:
        """Put in the values of a cell, one for each seed; a seed that is there already is written over."""
        numbers = np.atleast_1d(np.asarray(values, dtype=np.float64))
        names = [seeds] if isinstance(seeds, int | np.integer) else list(seeds)
        if len(numbers) != len(names) or len(set(names)) != len(names):
            raise FedkitError(
                f"table {self.table}, row {row}, metric {metric}: {len(numbers)} values for seeds {names}; "
                "give one value for each of different seeds"
            )
        if not np.isfinite(numbers).all():
            raise FedkitError(f"table {self.table}, row {row}, metric {metric}: a value is not finite; look at its run")
        cell = self._values.setdefault((row, metric), {})
        cell.update({int(s): float(v) for s, v in zip(names, numbers, strict=True)})

    def add_rows(self, row: str, by_seed: Mapping[int, Row]) -> None:
        """Put in what `Session.evaluate` gave by seed, with the scores of each question, which claims are judged by."""
        for seed, one in by_seed.items():
            for metric, value in one.series().items():
                self.add(row, str(metric), float(value), seed)
                self._sources.setdefault((row, str(metric)), {})[one.source(str(metric))] = None
                if (items := one.by_item(str(metric))) is not None:
                    self._items.setdefault((row, str(metric)), {})[seed] = items

    def by_item(self) -> pd.DataFrame:
        """One line a question of a cell and seed, columns `ITEM_COLUMNS`; their mean is the cell's value."""
        import pandas as pd

        lines = [
            (row, metric, seed, value)
            for (row, metric), cell in self._items.items()
            for seed in sorted(cell)
            for value in cell[seed]
        ]
        return pd.DataFrame(lines, columns=list(ITEM_COLUMNS))

    def frame(self) -> pd.DataFrame:
        """One line a cell, columns `COLUMNS`: mean and 95 % interval over `seeds` seeds, the paper's number if any."""
        import pandas as pd

        lines, read = [], brief(self.origins.all) or NOTHING_READ
        for (row, metric), cell in self._values.items():
            value, low, high = interval([cell[s] for s in sorted(cell)])
            printed = self.paper.value(row, metric) if self.paper else None
            source = "; ".join(self._sources.get((row, metric), ())) or read
            lines.append((self.table, row, metric, value, low, high, len(cell), printed, self.unit, self.judge, source))
        frame = pd.DataFrame(lines, columns=list(COLUMNS))
        return frame.astype({c: "float64" for c in ("value", "low", "high", "paper")})

    def by_seed(self) -> pd.DataFrame:
        """One line a cell and seed, columns `SEED_COLUMNS`."""
        import pandas as pd

        lines = [
            (self.table, row, metric, seed, cell[seed], self.unit, self.judge)
            for (row, metric), cell in self._values.items()
            for seed in sorted(cell)
        ]
        return pd.DataFrame(lines, columns=list(SEED_COLUMNS))

    def markdown(self) -> str:
        """The wide form to read: each row of ours, under it the paper's; last the paper's rows that we did not run."""
        read = sentence(self.origins.all)
        notes = [markdown_text(line) for line in (*self.note.splitlines(), read and f"Data {read}.")]
        return markdown(self.frame()) + "".join(f"\n{note}\n" for note in notes if note)

    def write(self, directory: str | Path) -> Path:
        """Write `<table>.csv`, `<table>_seeds.csv` and `<table>.md` into a folder; the path of the first."""
        directory = Path(directory)
        path = directory / f"{self.table}.csv"
        write_text(directory / f"{self.table}_seeds.csv", self.by_seed().to_csv(index=False))
        write_text(directory / f"{self.table}.md", self.markdown())
        write_text(path, self.frame().to_csv(index=False))
        return path


def source_note(judge: str, printed: paper.PaperTable | None) -> str:
    """Which judge fed a table, and what that means for a look at the paper's numbers."""
    where = f"{printed.paper}, {printed.place}" if printed else ""
    if judge == "none":
        return "Measured, not judged." + (f" The paper's numbers: {where}." if printed else "")
    ours = f"Ours is rated by: {judge}" + ("." if "gpt-4" in judge.lower() else ", which is not GPT-4.")
    if printed is None:
        return f"{ours} The papers have no such table."
    if judge == printed.judge:
        return f"{ours} So is the paper's ({where})."
    return (
        f"{ours} The paper's numbers ({where}) are rated by {printed.judge}: another judge, model and test set, so the "
        "values are not on one scale. Compare the order of rows, never a value with a value."
    )


def wide(frame: pd.DataFrame) -> tuple[list[str], list[dict[str, Any]]]:
    """A tidy frame of one table as (metrics, rows) for display.

    A row: `name`, `run` (False: only the paper has it), `ours` and `paper`: metric -> (value, low, high) and number.
    Values that are missing are left out.
    """
    printed = paper.published(str(frame["table"].iloc[0])) if len(frame) else None
    metrics = [str(m) for m in dict.fromkeys(frame["metric"])]
    rows: dict[str, dict[str, Any]] = {}
    for cell in frame.itertuples():
        row = rows.setdefault(str(cell.row), {"name": str(cell.row), "run": True, "ours": {}, "paper": {}})
        known = [None if v != v else float(v) for v in (cell.value, cell.low, cell.high)]
        row["ours"][str(cell.metric)] = tuple(known)
        if cell.paper == cell.paper:
            row["paper"][str(cell.metric)] = float(cell.paper)
    for name, numbers in printed.rows.items() if printed else ():
        if name not in rows:
            only = {m: v for m, v in numbers.items() if m in metrics}
            rows[name] = {"name": name, "run": False, "ours": {}, "paper": only}
    return metrics, list(rows.values())


def decimals(metrics: Sequence[str], rows: Sequence[Mapping[str, Any]], judge: str) -> dict[str, tuple[int, int]]:
    """Digits after the point by metric, for ours and for the paper's, of what `wide` gives.

    Two; where nobody judges 0 for counts, and 3 for what of ours lies within -1 and 1. A judge's scores and per cents
    keep two whatever they are, and the paper's numbers have never more than that.
    """
    digits = {}
    for metric in metrics:
        ours = [x for row in rows for x in row["ours"].get(metric, ()) if x is not None]
        printed = [row["paper"][metric] for row in rows if metric in row["paper"]]
        if judge != "none":
            digits[metric] = (2, 2)
            continue
        own = 0 if _whole((*ours, *printed)) else 3 if all(abs(x) <= 1 for x in ours) else 2
        digits[metric] = (own, 0 if _whole(printed) else 2)
    return digits


def _whole(numbers: Sequence[float]) -> bool:
    return all(x == round(x) for x in numbers)


def markdown(frame: pd.DataFrame) -> str:
    """A tidy frame of one table as Markdown, with its judge, unit and seeds said in words."""
    if frame.empty:
        return "(no values yet)\n"
    first = frame.iloc[0]
    printed = paper.published(str(first["table"]))
    metrics, rows = wide(frame)
    digits = decimals(metrics, rows, str(first["judge"]))
    counts, unit = sorted({int(n) for n in frame["seeds"]}), markdown_text(first["unit"])
    over = " to ".join(map(str, sorted({counts[0], counts[-1]})))
    sources = printed.sources if printed else {}
    numbers = {source: f"[{i}]" for i, source in enumerate(dict.fromkeys(sources.values()), 1)}  # read at second hand
    marks = {cell: f" {numbers[source]}" for cell, source in sources.items()}
    lines = [f"# {first['table']}", ""]
    if printed:
        lines += [f"{printed.title}.", ""]
    lines += [
        f"Unit: {unit}. Mean [95 % Student t interval over seeds], {over} seed(s) a cell; one seed has none.",
        "",
        markdown_text(source_note(str(first["judge"]), printed)),
        "",
        "| row | " + " | ".join(map(markdown_text, metrics)) + " |",
        "|---|" + "---:|" * len(metrics),
    ]
    for row in rows:
        name = markdown_text(row["name"])
        if row["run"]:
            cells = [_cell(*row["ours"][m], digits[m][0]) if m in row["ours"] else "" for m in metrics]
            lines.append(f"| **{name}** | " + " | ".join(cells) + " |")
        if row["paper"]:
            name = "*paper*" if row["run"] else f"{name}, *paper only*"
            cells = [
                f"*{row['paper'][m]:.{digits[m][1]}f}*{marks.get((row['name'], m), '')}" if m in row["paper"] else ""
                for m in metrics
            ]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for source, mark in numbers.items():
        lines += ["", f"{mark} {source}."]
    return "\n".join(lines) + "\n"


def _cell(value: float | None, low: float | None, high: float | None, digits: int) -> str:
    if value is None:
        return ""
    own = f"{value:.{digits}f}"
    return own if low is None or high is None else f"{own} [{low:.{digits}f}, {high:.{digits}f}]"


def read_csv(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """A CSV that this module wrote; `FedkitError` where it cannot be read or lacks a column."""
    import pandas as pd

    path = Path(path)
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""])  # a row may be called NA or null
    except (OSError, ValueError) as error:
        raise FedkitError(f"{path}: cannot be read as CSV ({error}); delete it and run its notebook again") from error
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise FedkitError(f"{path}: column {missing[0]!r} is missing; delete the file and run its notebook again")
    return frame


def save_figure(figure: Any, directory: str | Path, name: str) -> Path:
    """Write a matplotlib figure as `<name>.png` (150 dots an inch) and `<name>.svg`; the path of the PNG."""
    import matplotlib

    directory = Path(directory)
    metadata: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "png": {}}  # equal figures, equal files
    for kind in metadata:
        with new_file(directory / f"{name}.{kind}") as part, matplotlib.rc_context({"svg.hashsalt": name}):
            figure.savefig(part, format=kind, dpi=150, bbox_inches="tight", metadata=metadata[kind])
    return directory / f"{name}.png"
