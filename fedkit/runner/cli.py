"""`main`: command-line words in, exit code out: 0 all well, 1 a notebook failed, 2 a user's mistake, 128+n stopped."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ..common.console import say
from ..common.errors import FedkitError
from .display import display_for, estimate_text, list_text, origins_text, plan_text, settings_text, words
from .execute import Executor
from .notebooks import passed_over
from .options import Options, parse
from .parameters import stored_clean
from .plan import Step, make_plan
from .records import Outcome, read_status, results_lock, update_status, write_junit, write_summary

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def main(argv: Sequence[str], *, root: Path) -> int:
    """Runs reproduce.py. `root`: the folder that holds notebooks/, requirements.lock and, by default, results/."""
    try:
        options = parse(argv, root=root)
        if copies := passed_over(options.notebooks):
            say(f"passed over as copies, named unlike the kit's notebooks: {', '.join(copies)}")
        if options.action == "list":
            say(list_text(options), sys.stdout)
            return 0
        steps = make_plan(options)
        if options.action == "plan":
            print_plan(steps, options)
            return 0
        with results_lock(options.folder):
            return run(make_plan(options), options)  # again: another run may have ended meanwhile
    except FedkitError as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # --list | head
        sys.stderr.close()
        return 0


def print_plan(steps: Sequence[Step], options: Options) -> None:
    """--plan: what would run, the settings against the paper's, memory and time on a GPU."""
    texts = [plan_text(steps, options), settings_text(options.profile)]
    if options.profile.gpu:
        texts.append(estimate_text(options.profile, steps, options.seeds))
    say("\n\n".join(texts), sys.stdout)


def run(steps: Sequence[Step], options: Options) -> int:
    """Runs the steps, writes every record of the run, says how it ended. The results lock is held."""
    started, begun = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    display = display_for()
    executor = Executor(steps, options, display, lambda outcome: update_status(options.folder, outcome))
    unclean = {step.number: " ".join(stored_clean(step.notebook)) for step in steps} if options.check else {}
    with _stopping(executor):
        ran = executor.run({number: why for number, why in unclean.items() if why})
    display.close()
    before = {record["number"]: record.get("origins") or [] for record in read_status(options.folder)}
    unchanged = [
        Outcome(
            *(s.number, s.notebook.title, "failed" if why else "ok", s.seconds),
            error=why,
            ran=False,
            origins=before.get(s.number, []),
        )
        for s in steps
        if not s.runs
        for why in [unclean.get(s.number, "")]
    ]
    outcomes = sorted([*ran, *unchanged], key=lambda outcome: outcome.number)
    wall = time.monotonic() - begun
    write_junit(options.folder, options.profile.name, outcomes, wall)
    if ran or not (options.folder / "summary.json").is_file():
        write_summary(options, outcomes, started=started, wall_seconds=wall)
    code = _report(outcomes, executor.stop_signal, options)
    if executor.stop_signal is None:
        from ..report.site import index_html

        try:
            index_html(options.folder)
        except FedkitError as error:  # a product that cannot be read; the run itself is recorded
            say(f"index.html was not written: {error}")
            return code or 1
        say(f"{words(wall)}; open {options.folder / 'index.html'}", sys.stdout)
    return code


@contextmanager
def _stopping(executor: Executor) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP make the executor wind down instead of killing this process.

    One that whoever started this process has it ignore (`nohup`, `trap '' TERM`) stays ignored.
    """

    def note(number: int, frame: object) -> None:
        if executor.stop_signal is None:
            say("stopping; partial notebooks are kept ...")
        executor.stop_signal = number

    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(outcomes: Sequence[Outcome], stop_signal: int | None, options: Options) -> int:
    """Prints the end of a run; the exit code. Each refusal's sentence is printed once, with its notebooks."""
    refusals: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.status == "refused":
            refusals.setdefault(outcome.error, []).append(outcome.number)
    for text, numbers in refusals.items():
        say(f"{', '.join(numbers)}: {text}")
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    for outcome in failed:
        where = f" (see {options.folder / outcome.html})" if outcome.html else ""
        say(f"{outcome.number} failed: {outcome.error}{where}")
    count = {"ran": sum(o.ran and o.status == "ok" for o in outcomes), "unchanged": sum(not o.ran for o in outcomes)}
    lost = len(failed) + sum(map(len, refusals.values()))
    say(f"{count['ran']} ran, {count['unchanged']} unchanged, {lost} failed", sys.stdout)
    if told := origins_text(outcomes, options):
        say(told, sys.stdout)
    if stop_signal is not None:
        say("stopped; the same command goes on from here")
        return 128 + stop_signal
    return 1 if failed else 2 if refusals else 0
