"""What would run and why: new, changed, forced or unchanged; read-only, the same for --plan and for a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .fingerprint import PARTS, Fingerprints
from .notebooks import Notebook, choose, find_notebooks, needed
from .options import Options
from .parameters import parameters
from .records import read_status

DEFAULT_MINUTES = 1.0  # for a notebook that names none for the profile


@dataclass(frozen=True)
class Step:
    """One notebook of a plan. `state`: new, changed, forced, unchanged; `why` in words."""

    notebook: Notebook
    parameters: Mapping[str, Any]
    fingerprint: Mapping[str, str]
    state: str
    why: str
    seconds: float  # expected
    timed: bool = True  # False: neither measured nor stated, `seconds` is a stand-in

    @property
    def number(self) -> str:
        """Its number."""
        return self.notebook.number

    @property
    def runs(self) -> bool:
        """Whether it has to be run."""
        return self.state != "unchanged"


def expected_seconds(notebook: Notebook, profile: str, record: Mapping[str, Any] | None) -> float:
    """How long it took the last time it came through, else the metadata's minutes for the profile."""
    if record and record.get("status") == "ok" and record.get("seconds"):
        return float(record["seconds"])
    return 60.0 * float(notebook.minutes.get(profile, DEFAULT_MINUTES))


def missing_products(notebook: Notebook, folder: Path) -> list[str]:
    """The products named in the metadata that are not (or empty) under results/<profile>."""
    return [name for name in notebook.products if not _there(folder / name)]


def _there(path: Path) -> bool:
    return path.is_dir() or (path.is_file() and path.stat().st_size > 0)


def _judge(
    notebook: Notebook, fingerprint: Mapping[str, str], record: Mapping[str, Any] | None, folder: Path
) -> tuple[str, str]:
    if record is None:
        return "new", "never run in this profile"
    if record.get("status") != "ok":
        return "changed", f"last time: {record.get('status')}"
    old = record.get("fingerprint", {})
    changed = [words for part, words in PARTS.items() if old.get(part) != fingerprint[part]]
    if changed:
        return "changed", "changed: " + ", ".join(changed)
    missing = missing_products(notebook, folder)
    if not (folder / "notebooks" / f"{notebook.number}.ipynb").is_file():
        missing.append(f"notebooks/{notebook.number}.ipynb")
    if missing:
        return "changed", "missing: " + ", ".join(missing)
    return "unchanged", "nothing it depends on has changed"


def make_plan(options: Options) -> list[Step]:
    """Steps in an order that respects depends_on. Raises FedkitError for any mistake of the call; writes nothing.

    With --only, what a chosen notebook depends on is added where it is not up to date, and left out where it is.
    """
    notebooks = find_notebooks(options.notebooks)
    chosen = choose(notebooks, options.only, solutions=options.check)
    numbers = needed(notebooks, chosen)
    values = parameters([notebooks[number] for number in numbers], options)
    records = {record["number"]: record for record in read_status(options.folder)}
    fingerprints = Fingerprints(options)
    known: dict[str, dict[str, str]] = {}
    steps: list[Step] = []
    for number in numbers:
        notebook, record = notebooks[number], records.get(number)
        known[number] = fingerprints.of(notebook, values[number], known)
        state, why = _judge(notebook, known[number], record, options.folder)
        if number not in chosen:
            if state == "unchanged":
                continue
            why = f"needed by {', '.join(_dependants(notebooks, chosen, number))}; {why}"
        elif state == "unchanged" and options.force:
            state, why = "forced", "--force"
        seconds = expected_seconds(notebook, options.profile.name, record)
        timed = options.profile.name in notebook.minutes or (record or {}).get("status") == "ok"
        steps.append(Step(notebook, values[number], known[number], state, why, seconds, timed))
    return steps


def _dependants(notebooks: Mapping[str, Notebook], chosen: Sequence[str], number: str) -> list[str]:
    return [one for one in chosen if one != number and number in needed(notebooks, [one])]


def time_left(steps: Sequence[Step], jobs: int, elapsed: Mapping[str, float], pace: float = 1.0) -> float:
    """Seconds until all `steps` are done with `jobs` at a time: no less than the longest, no less than the sum / jobs.

    `elapsed`: seconds that a running step has had. `pace`: measured over expected time of those that are done.
    """
    left = [max(step.seconds * pace - elapsed.get(step.number, 0.0), 1.0) for step in steps]
    return max([sum(left) / jobs, *left]) if left else 0.0
