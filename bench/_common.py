"""What the benchmarks share: their options, a table to read, JSON to parse, and a file that README.md is made from."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fedkit.common.errors import FedkitError
from fedkit.common.files import write_json
from fedkit.common.intervals import interval
from fedkit.common.manifest import commit, versions
from fedkit.runner.display import table
from fedkit.runner.records import device

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results"

Row = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A number that was promised, and whether it was reached. `value` None: not measured this time."""

    what: str
    value: float | None
    sense: str  # "at most" or "at least"
    bound: float
    unit: str = ""

    @property
    def met(self) -> bool | None:
        """None where there is no value."""
        if self.value is None:
            return None
        return self.value <= self.bound if self.sense == "at most" else self.value >= self.bound

    def record(self) -> Row:
        """Its entry in the JSON."""
        return {**asdict(self), "met": self.met}


def ratio(over: Sequence[float], under: Sequence[float]) -> tuple[float, float | None, float | None]:
    """The geometric mean of the ratios, turn by turn, with its 95 % interval; None for the ends of a single turn."""
    mean, low, high = interval([math.log(a / b) for a, b in zip(over, under, strict=True)])
    return math.exp(mean), None if low is None else math.exp(low), None if high is None else math.exp(high)


def shown(three: tuple[float, float | None, float | None]) -> str:
    """`1.02 [0.99, 1.05]`, or the ratio alone."""
    middle, low, high = three
    return f"{middle:.3f}" if low is None or high is None else f"{middle:.3f} [{low:.3f}, {high:.3f}]"


@dataclass
class Report:
    """What one benchmark measured. `rows` are shown as a table with the keys of the first as its header."""

    rows: list[Row]
    settings: Row = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    data: Row = field(default_factory=dict)  # every single measurement, for programs


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Options that every benchmark has; the first line of its docstring describes it."""
    options = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    options.add_argument("--json", action="store_true", help="print JSON only, indented")
    options.add_argument(
        "--save",
        nargs="?",
        const=str(RESULTS),
        metavar="DIR",
        help="also write DIR/<name>.json; DIR: bench/results, which `python bench/readme.py` reads",
    )
    return options


def conclude(name: str, options: argparse.Namespace, measure: Callable[[], Report]) -> int:
    """Measure, print the table and a line of JSON, save if asked; the exit code (2: a sentence on what is missing)."""
    load, began = _load(), time.perf_counter()
    try:
        report = measure()
    except FedkitError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    record = {
        "benchmark": name,
        **asdict(report),
        "targets": [target.record() for target in report.targets],
        "machine": {**device(), "load_before": load, "load_after": _load()},
        "versions": versions(),
        "commit": commit(),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - began, 1),
    }
    if options.json:
        print(json.dumps(record, indent=2, ensure_ascii=False))
    else:
        print(text(record))
        print(json.dumps(record, ensure_ascii=False), flush=True)
    if options.save:
        path = Path(options.save) / f"{name}.json"
        write_json(path, record)
        print(f"saved {path}", file=sys.stderr)
    return 0


def text(record: Row) -> str:
    """A record as a terminal shows it."""
    lines = [f"{record['benchmark']}: {sentence(record['settings'])}".rstrip(": "), ""]
    lines += [table(*cells(record["rows"])), ""]
    for target in record["targets"]:
        lines.append(f"{verdict(target)}: {target['what']}: {goal(target)}")
    lines += record["notes"]
    return "\n".join([*lines, ""])


def cells(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and cells as text; what a row lacks stays empty."""
    header = list(dict.fromkeys(key for row in rows for key in row))
    return header, [["" if row.get(key) is None else str(row[key]) for key in header] for row in rows]


def sentence(settings: Row) -> str:
    """Settings as `batch 16, 8; pairs 5`."""
    words = {k: ", ".join(map(str, v)) if isinstance(v, list | tuple) else str(v) for k, v in settings.items()}
    return "; ".join(f"{name} {value}" for name, value in words.items())


def goal(target: Row) -> str:
    """A target as `1.04; target at most 1.1`."""
    unit = f" {target['unit']}" if target["unit"] else ""
    measured = "no value" if target["value"] is None else f"{target['value']:.4g}{unit}"
    return f"{measured}; target {target['sense']} {target['bound']:g}{unit}"


def verdict(target: Row) -> str:
    """met, NOT MET or open."""
    return {True: "met", False: "NOT MET", None: "open"}[target["met"]]


def _load() -> float | None:
    """Processes that wanted a core over the last minute; a busy machine measures badly."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
