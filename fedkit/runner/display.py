"""Progress: one live line in a terminal (rich), plain lines elsewhere. Both name what failed and why."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from .execute import Display
from .plan import Step
from .records import Outcome


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


class PlainDisplay:
    """A line when a notebook begins and one when it has ended."""

    def started(self, step: Step) -> None:
        """Prints the line."""
        print(f"        {step.number} {step.notebook.title}: started ({step.state})", flush=True)

    def finished(self, outcome: Outcome, done: int, total: int, left: float) -> None:
        """Prints the line, with what is left."""
        rest = f" ({words(left)} left)" if done < total else ""
        print(f"[{done}/{total}] {sentence(outcome)}{rest}", flush=True)

    def tick(self, running: Sequence[str], done: int, total: int, left: float) -> None:
        """Nothing: a log file needs no movement."""


class RichDisplay(PlainDisplay):
    """A bar with what runs now and the time left; lines of ended notebooks stay above it."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            MofNCompleteColumn(),
            BarColumn(bar_width=30),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]} left"),
            transient=True,
        )
        self._task: Any = None

    def started(self, step: Step) -> None:
        """Shown by the bar."""

    def finished(self, outcome: Outcome, done: int, total: int, left: float) -> None:
        """A line above the bar; the bar goes away with the last."""
        self._progress.console.print(sentence(outcome), markup=False, highlight=False)
        if done == total:
            self._progress.stop()

    def tick(self, running: Sequence[str], done: int, total: int, left: float) -> None:
        """Moves the bar."""
        if done == total:
            return
        if self._task is None:
            self._task = self._progress.add_task("", total=total, left="")
            self._progress.start()
        text = "running " + " ".join(running) if running else "waiting"
        self._progress.update(self._task, completed=done, description=text, left=words(left))

    def close(self) -> None:
        """Takes the bar away."""
        self._progress.stop()


def display_for(stream: Any = None) -> Display:
    """A bar where the output is a terminal, plain lines where not."""
    return RichDisplay() if (stream or sys.stdout).isatty() else PlainDisplay()
