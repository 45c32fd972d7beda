"""How long `python reproduce.py` takes, cold and warm: `python bench/reproduce_time.py`.

Cold: an empty results folder (the environment is installed already). Warm: the same call again, with nothing changed.
The results go to a temporary folder and are removed; `--keep DIR` keeps them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _common import ROOT, Report, Row, conclude, parser

from fedkit.common.errors import FedkitError
from fedkit.profiles import get_profile
from fedkit.runner.notebooks import choose, find_notebooks, needed
from fedkit.runner.records import read_status

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # set by `make bench`, not by `make reproduce`


def stated_minutes(profile: str, only: list[str]) -> float:
    """The minutes that the notebooks state for the profile, one after another."""
    notebooks = find_notebooks(ROOT / "notebooks")
    numbers = needed(notebooks, choose(notebooks, only, solutions=False))
    return sum(float(notebooks[number].minutes.get(profile, 1)) for number in numbers)


def call(results: Path, options: Any) -> float:
    """Wall seconds of one call; `FedkitError` where it does not end well."""
    command = [sys.executable, "reproduce.py", "--profile", options.profile, "--results", str(results)]
    command += ["--only", *options.only] if options.only else []
    command += ["--jobs", str(options.jobs)] if options.jobs else []
    env = {name: value for name, value in os.environ.items() if name not in THREADS}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=sys.stderr)
    if done.returncode:
        raise FedkitError(f"{' '.join(command[1:])} ended with code {done.returncode}; its messages are above")
    return time.perf_counter() - began


def measure(options: Any, results: Path) -> Report:
    """Cold, then warm, then what each notebook took in the cold run."""
    folder = results / options.profile
    if folder.exists():
        raise FedkitError(f"{folder} is there already, so the run would not be cold; give --keep a new folder")
    cold = call(results, options)
    status = read_status(folder)
    warm = call(results, options)
    jobs = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["jobs"]
    rows: list[Row] = [
        {"what": "all, cold", "seconds": f"{cold:.0f}", "minutes": f"{cold / 60:.1f}"},
        {"what": "all, warm", "seconds": f"{warm:.1f}", "minutes": f"{warm / 60:.2f}"},
    ]
    for record in status:
        seconds = record["seconds"]
        title = f"notebook {record['number']} {record['title']}"
        rows.append({"what": title, "seconds": f"{seconds:.0f}", "minutes": f"{seconds / 60:.1f}"})
    data = {"cold_seconds": cold, "warm_seconds": warm}
    data["notebooks"] = {record["number"]: record["seconds"] for record in status}
    notes = [f"Notebooks run {jobs} at a time, so their times add up to more than the whole."] if jobs > 1 else []
    return Report(rows, {"profile": options.profile, "notebooks at a time": jobs}, [], notes, data)


def main() -> int:
    """Announces how long it will take, then measures."""
    options = parser(__doc__)
    options.add_argument("--profile", default="mini")
    options.add_argument("--only", nargs="+", default=[], metavar="NN")
    options.add_argument("--jobs", type=int, help="default: reproduce.py's")
    options.add_argument("--keep", metavar="DIR", help="a new results folder that stays")
    options.add_argument("--minutes", action="store_true", help="only say how long it would take")
    given = options.parse_args()
    try:
        get_profile(given.profile)
        minutes = stated_minutes(given.profile, given.only)
    except FedkitError as error:
        print(f"reproduce_time: {error}", file=sys.stderr)
        return 2
    print(
        f"This runs the notebooks of profile {given.profile} twice, cold and warm; by their own statements"
        f" {minutes:g} minutes one after another, less side by side. Ctrl-C leaves it out.",
        file=sys.stderr,
        flush=True,
    )
    if given.minutes:
        return 0
    with tempfile.TemporaryDirectory(prefix="fedkit-") as name:
        results = Path(given.keep or name).resolve()
        try:
            return conclude("reproduce_time", given, lambda: measure(given, results))
        except KeyboardInterrupt:
            print("reproduce_time: left out", file=sys.stderr)
            return 130


if __name__ == "__main__":
    sys.exit(main())
