"""What --list and --plan print: plain tables that survive a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .display import words
from .notebooks import find_notebooks
from .options import Options
from .plan import Step, time_left
from .records import read_status


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns of equal width, two spaces between, a rule below the header."""
    lines = [[str(cell) for cell in row] for row in ([*header], *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join(line.rstrip() for line in (padded[0], "  ".join("-" * width for width in widths), *padded[1:]))


def list_text(options: Options) -> str:
    """Number, title, needs, minutes in the profile (measured where a run has come through), products."""
    records = {record["number"]: record for record in read_status(options.folder)}
    rows = []
    for number, notebook in find_notebooks(options.notebooks).items():
        if (options.only and number not in options.only) or (notebook.solution and not options.check):
            continue
        stated = notebook.minutes.get(options.profile.name)
        minutes = "?" if stated is None else f"{stated:g}"
        if records.get(number, {}).get("status") == "ok":
            minutes = f"{records[number]['seconds'] / 60:.1f} measured"
        rows.append(
            (number, notebook.title, ", ".join(notebook.needs) or "-", minutes, ", ".join(notebook.products) or "-")
        )
    head = f"profile {options.profile.name}: {options.profile.note}\n\n"
    return head + table(("no", "title", "needs", "minutes", "products"), rows)


def _time(step: Step) -> str:
    if not step.runs:
        return "-"
    return words(step.seconds) if step.timed else "?"


def plan_text(steps: Sequence[Step], options: Options) -> str:
    """What would run and why, and how long by the last measured or stated times."""
    rows = [(s.number, s.notebook.title, s.state, _time(s), s.why) for s in steps]
    runs = [step for step in steps if step.runs]
    seeds = " ".join(map(str, options.seeds))
    source = f"{options.data_dir}, else " if options.data_dir else ""
    source += "the embedded world" if options.profile.embedded else ("no Hub" if options.offline else "the Hub")
    head = [
        f"profile {options.profile.name}: {options.profile.note}",
        f"seeds {seeds}; {options.jobs} at a time; data from {source}; results in {options.folder}",
        "",
    ]
    if not runs:
        end = "nothing to run"
    else:
        timed = all(step.timed for step in runs)
        time = f"about {words(time_left(runs, options.jobs, {}))}" if timed else "some with no stated time"
        end = f"{len(runs)} of {len(steps)} to run, {time}"
    return "\n".join([*head, table(("no", "title", "state", "time", "why"), rows), "", end])
