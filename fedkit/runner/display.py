"""All that reproduce.py prints: the tables of --list and --plan, which survive a pipe, and progress.

Progress is one live line in a terminal, plain lines elsewhere. Both name what failed and why.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from ..common.console import printable, progress, say
from ..data.origins import KINDS, lacking, origins_of
from ..profiles.specs import Profile
from ..report.setups import compare
from .notebooks import find_notebooks
from .options import Options
from .plan import Step, time_left
from .records import Outcome, read_status


def origins_text(outcomes: Sequence[Outcome], options: Options) -> str:
    """What the notebooks read and from where, a line a kind of place; what the data folder lacks is named."""
    origins = list(dict.fromkeys(one for outcome in outcomes for one in origins_of(outcome.origins)))
    folder, lines = f"data folder {options.data_dir}", []
    for kind, title in KINDS.items():
        names = dict.fromkeys(origin.named for origin in origins if origin.kind == kind)
        if names:
            lines.append(f"from the {folder if kind == 'local' else title}: {', '.join(names)}")
    if absent := lacking(origins):
        lines.append(f"not in the {folder}: {', '.join(absent)}")
    return printable("\n".join(lines))  # names of files, which are anybody's


def words(seconds: float) -> str:
    """A duration as read by people: `8 s`, `1 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole < 600 and whole % 60 else "")
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def sentence(outcome: Outcome) -> str:
    """One outcome in one line (a refusal's own sentence is printed at the end, once)."""
    head = f"{outcome.number} {outcome.title}: {outcome.status}"
    if outcome.status == "ok":
        return f"{head}, {words(outcome.seconds)}"
    return f"{head}: {outcome.error}" if outcome.status != "refused" else head


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
    embedded = f"the embedded world{f' of seed {options.world_seed}' if options.world_seed else ''}"
    source += embedded if options.profile.embedded else ("no Hub" if options.offline else "the Hub")
    head = [
        f"profile {options.profile.name}: {options.profile.note}" + (f"; on {options.model}" if options.model else ""),
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


def settings_text(profile: Profile) -> str:
    """The comparison as a table; a star marks what differs."""

    def show(value: Any, absent: str = "-") -> str:
        return absent if value is None else str(value)

    rows = [
        (s.dataset, s.name, show(s.here, "by user"), show(s.paper), show(s.script), "*" if s.differs else "")
        for s in compare(profile)
    ]
    head = "hyperparameters against FedLLM-Bench Table 7 and the public training scripts (* differs)"
    return f"{head}\n\n" + table(("dataset", "", "here", "Table 7", "scripts", ""), rows)


def estimate_text(profile: Profile, steps: Sequence[Step], seeds: Sequence[int]) -> str:
    """Memory and hours of each training of a GPU profile, and of all that the plan would train.

    Runs are counted once a dataset, algorithm and seed, since notebooks share them.
    """
    from ..training.costs import estimate

    rows, hours, notes = [], 0.0, []
    for name, spec in profile.datasets.items():
        one = estimate(spec.model or profile.model, spec.train, mean_tokens=spec.mean_tokens)
        runs = {word for s in steps if s.runs and name in s.notebook.datasets for word in s.notebook.algorithms}
        count = len(runs) * len(seeds)
        hours += count * one.hours
        notes.append(f"{name}: {one.assumptions}")
        sizes = (one.weights_gb, one.adapter_gb, one.optimizer_gb, one.activations_gb, one.total_gb)
        rows.append((name, *(f"{size:.1f}" for size in sizes), f"{one.hours:.1f}", count))
    sizes = (f"{what} GB" for what in ("weights", "adapter", "optimizer", "activations", "total"))
    header = ("dataset", *sizes, "hours a run", "runs")
    end = f"about {hours:.0f} hours of training for this plan (a run: one algorithm, one seed), assuming for"
    return "\n".join(["memory and time, estimated before anything is loaded", "", table(header, rows), "", end, *notes])


class Display:
    """What is told while notebooks run: a line when one begins and one when it has ended."""

    def started(self, step: Step) -> None:
        """A notebook begins."""
        say(f"        {step.number} {step.notebook.title}: started ({step.state})", sys.stdout)

    def finished(self, outcome: Outcome, done: int, total: int, left: float) -> None:
        """A notebook has ended; `left`: seconds expected until all have."""
        rest = f" ({words(left)} left)" if done < total else ""
        say(f"[{done}/{total}] {sentence(outcome)}{rest}", sys.stdout)

    def tick(self, running: Sequence[str], done: int, total: int, left: float) -> None:
        """Ten times a second; a log file needs no movement."""

    def close(self) -> None:
        """All have ended."""


class BarDisplay(Display):
    """A bar with what runs now and the time left; lines of ended notebooks stay above it."""

    _bar: Any = None

    def started(self, step: Step) -> None:
        """Shown by the bar."""

    def finished(self, outcome: Outcome, done: int, total: int, left: float) -> None:
        """A line above the bar."""
        self._shown(total).write(printable(sentence(outcome)))

    def tick(self, running: Sequence[str], done: int, total: int, left: float) -> None:
        """Moves the bar."""
        bar = self._shown(total)
        bar.n = done
        bar.set_postfix_str(f"{words(left)} left", refresh=False)
        bar.set_description_str("running " + " ".join(running) if running else "waiting")

    def _shown(self, total: int) -> Any:
        form = "{n_fmt}/{total_fmt} {bar:30} {desc} {elapsed}{postfix}"
        self._bar = progress(total=total, leave=False, bar_format=form) if self._bar is None else self._bar
        return self._bar

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()


def display_for(stream: Any = None) -> Display:
    """A bar where the output is a terminal, plain lines where not."""
    return BarDisplay() if (stream or sys.stdout).isatty() else Display()
