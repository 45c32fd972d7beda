"""Runs the steps of a plan, several at a time, in the order of their dependencies; one failure stops nothing else."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..common.errors import FedkitError
from .display import Display
from .options import Options
from .plan import Step, missing_products, time_left
from .process import Child, private_folder, stop
from .records import Outcome


@contextmanager
def _temporary() -> Iterator[str]:
    """The runner's own folder for the length of a run; FedkitError where it cannot be written."""
    try:
        place = private_folder()
        with tempfile.TemporaryDirectory(prefix="fedkit-", dir=place, ignore_cleanup_errors=True) as folder:
            yield folder
    except OSError as error:
        raise FedkitError(
            f"a temporary file cannot be written ({error}); free some space there, or name another folder in TMPDIR"
        ) from error


class Executor:
    """One pass over the steps that run. `stop_signal` is set from a signal handler; the loop then winds down."""

    def __init__(
        self, steps: Sequence[Step], options: Options, display: Display, on_done: Callable[[Outcome], None]
    ) -> None:
        self.steps = [step for step in steps if step.runs]
        self.options = options
        self.display = display
        self.on_done = on_done
        self.outcomes: dict[str, Outcome] = {}
        self.stop_signal: int | None = None
        self._running: dict[str, Child] = {}
        self._expected = self._measured = 0.0

    def run(self, refused: dict[str, str]) -> list[Outcome]:
        """Outcomes in plan order. `refused`: number -> why a notebook must not run (an unclean source)."""
        with _temporary() as temporary:
            waiting = []
            for step in self.steps:
                if step.number in refused:
                    self._finish(self._not_run(step, "failed", refused[step.number]))
                else:
                    waiting.append(step)
            try:
                while (waiting or self._running) and self.stop_signal is None:
                    waiting = self._start_ready(waiting, Path(temporary))
                    self._collect()
                    self.display.tick(list(self._running), len(self.outcomes), len(self.steps), self._left())
                    time.sleep(0.1)
            finally:
                self._wind_down(waiting)
        return [self.outcomes[step.number] for step in self.steps]

    def _start_ready(self, waiting: list[Step], temporary: Path) -> list[Step]:
        """Starts what may start; returns what still waits. Steps behind a failure are skipped."""
        later: list[Step] = []
        planned = {step.number for step in self.steps}
        for step in self._by_urgency(waiting):
            before = [number for number in step.notebook.depends_on if number in planned]
            bad = [number for number in before if number in self.outcomes and self.outcomes[number].status != "ok"]
            if bad:
                why = f"depends on {', '.join(bad)}, which {self.outcomes[bad[0]].status}"
                self._finish(self._not_run(step, "skipped", why.replace("which skipped", "which was skipped")))
            elif len(self._running) < self.options.jobs and all(number in self.outcomes for number in before):
                self._running[step.number] = Child(step, self.options, temporary)
                self.display.started(step)
            else:
                later.append(step)
        return later

    def _by_urgency(self, waiting: list[Step]) -> list[Step]:
        """One at a time: in plan order. Several: the longest chain of work first, so that none is left over alone."""
        if self.options.jobs == 1:
            return waiting
        chain: dict[str, float] = {}
        for step in reversed(self.steps):
            behind = [chain[other.number] for other in self.steps if step.number in other.notebook.depends_on]
            chain[step.number] = step.seconds + max(behind, default=0.0)
        return sorted(waiting, key=lambda step: -chain[step.number])

    def _collect(self) -> None:
        for number, child in list(self._running.items()):
            if child.process.poll() is None:
                continue
            del self._running[number]
            outcome = child.outcome()
            if outcome.status == "ok":
                self._expected += child.step.seconds
                self._measured += outcome.seconds
                missing = missing_products(child.step.notebook, self.options.folder)
                if missing:
                    outcome.status, outcome.error = "failed", f"did not write {', '.join(missing)}, named in metadata"
            self._finish(outcome)

    def _left(self) -> float:
        pace = min(max(self._measured / self._expected, 0.25), 4.0) if self._expected else 1.0
        ahead = [step for step in self.steps if step.number not in self.outcomes]
        elapsed = {number: child.elapsed for number, child in self._running.items()}
        return time_left(ahead, self.options.jobs, elapsed, pace)

    def _finish(self, outcome: Outcome) -> None:
        self.outcomes[outcome.number] = outcome
        self.on_done(outcome)
        self.display.finished(outcome, len(self.outcomes), len(self.steps), self._left())

    def _not_run(self, step: Step, status: str, error: str) -> Outcome:
        return Outcome(step.number, step.notebook.title, status, error=error)

    def _wind_down(self, waiting: Sequence[Step]) -> None:
        """After a stop, or an error of our own: no child stays, and what never began is skipped, not recorded."""
        if self._running:
            stop(list(self._running.values()))
            for child in list(self._running.values()):
                del self._running[child.step.number]
                self._finish(child.outcome(stopped=True))
        for step in waiting:
            if step.number not in self.outcomes:
                self.outcomes[step.number] = self._not_run(step, "skipped", "not begun when the run was stopped")
