"""What a run leaves under results/<profile> beside its products: status.json, summary.json, junit.xml; and its lock.

One run at a time on one results folder, and no run on a folder that cannot be written.
"""

from __future__ import annotations

import platform
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ..common.console import printable
from ..common.errors import FedkitError
from ..common.files import read_json, write_json, write_text
from ..common.locks import held
from ..common.machine import cores
from ..common.manifest import commit, output, versions
from .options import Options


@contextmanager
def results_lock(folder: Path) -> Iterator[None]:
    """Makes `folder` and holds its .lock; a killed holder leaves none.

    FedkitError names what stands in the way: the folder cannot be written, or the process that holds it already.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".trial.", dir=folder):
            pass
    except OSError as error:
        raise FedkitError(
            f"the results folder {folder} cannot be written ({error.strerror}); free it or give another with --results"
        ) from error
    with held(folder / ".lock", str(folder), wait=False):
        yield


@dataclass
class Outcome:
    """How one notebook ended. `status`: ok, failed, refused (by a FedkitError), skipped, interrupted."""

    number: str
    title: str
    status: str
    seconds: float = 0.0
    error: str = ""
    html: str = ""  # under results/<profile>
    ran: bool = True  # False: unchanged, taken over
    peak_memory_mb: float | None = None
    fingerprint: dict[str, str] = field(default_factory=dict)
    origins: list[dict[str, str]] = field(default_factory=list)  # what it read, and from where
    details: str = field(default="", repr=False)  # traceback with its colours, for junit.xml only

    def record(self) -> dict[str, Any]:
        """Its entry of status.json."""
        names = ("number", "title", "status", "seconds", "html", "error", "peak_memory_mb", "fingerprint", "origins")
        return {name: getattr(self, name) for name in names}


def read_status(folder: Path) -> list[dict[str, Any]]:
    """The entries of status.json, by number; empty where there is none or it is not ours."""
    records = read_json(folder / "status.json", [])
    if not isinstance(records, list):
        return []
    return [record for record in records if isinstance(record, dict) and _is_ours(record)]


def _is_ours(record: Mapping[str, Any]) -> bool:
    """Whether an entry is as `Outcome.record` makes one; another is as none, so that its notebook is run again."""
    words = all(isinstance(record.get(name), str) for name in ("number", "title", "status"))
    seconds = record.get("seconds")
    timed = type(seconds) in (int, float) and 0 <= seconds < 1e9  # and no NaN
    return words and timed and isinstance(record.get("fingerprint"), dict)


def update_status(folder: Path, outcome: Outcome) -> None:
    """Puts one outcome into status.json; entries of notebooks that this call did not touch stay."""
    records = {record["number"]: record for record in read_status(folder)}
    records[outcome.number] = outcome.record()
    write_json(folder / "status.json", [records[number] for number in sorted(records)])


def device() -> dict[str, Any]:
    """The processor and the GPUs of this machine, by the system's own words (torch is not asked)."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    gpus = output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": cores(),
        "gpu": gpus.splitlines() if gpus else [],
    }


def write_summary(options: Options, outcomes: Sequence[Outcome], *, started: str, wall_seconds: float) -> None:
    """summary.json: how this run was made. Times in seconds, memory in MiB, `started` in UTC (ISO 8601)."""
    peaks = [outcome.peak_memory_mb for outcome in outcomes if outcome.peak_memory_mb]
    write_json(
        options.folder / "summary.json",
        {
            "profile": options.profile.name,
            "note": options.profile.note,
            "commit": commit(options.root),
            "versions": versions(),
            "platform": platform.platform(),
            "device": device(),
            "seeds": list(options.seeds),
            "jobs": options.jobs,
            "data_dir": None if options.data_dir is None else str(options.data_dir),
            "offline": options.offline,
            "model": options.model,
            "world_seed": options.world_seed,
            "parameters": dict(options.params),
            "started": started,
            "wall_seconds": round(wall_seconds, 2),
            "peak_memory_mb": max(peaks, default=None),
            "notebooks": dict(Counter("unchanged" if not o.ran else o.status for o in outcomes)),
        },
    )


def write_junit(folder: Path, profile: str, outcomes: Sequence[Outcome], wall_seconds: float) -> None:
    """junit.xml: a test case a notebook of this run; unchanged ones passed, with time 0."""
    count = Counter(outcome.status for outcome in outcomes)
    suite = ElementTree.Element(
        "testsuite",
        name=f"fedkit notebooks ({profile})",
        tests=str(len(outcomes)),
        failures=str(count["failed"] + count["refused"]),
        errors=str(count["interrupted"]),
        skipped=str(count["skipped"]),
        time=f"{wall_seconds:.3f}",
    )
    tags = {"failed": "failure", "refused": "failure", "skipped": "skipped", "interrupted": "error"}
    for outcome in outcomes:
        seconds = outcome.seconds if outcome.ran else 0.0
        name = f"{outcome.number} {outcome.title}"
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"notebooks.{profile}", name=name, time=f"{seconds:.3f}"
        )
        if outcome.status in tags:
            note = ElementTree.SubElement(case, tags[outcome.status], message=_clean(outcome.error))
            note.text = _clean(outcome.details or outcome.error)
        elif not outcome.ran:
            ElementTree.SubElement(case, "system-out").text = "unchanged"
    ElementTree.indent(suite)
    text = ElementTree.tostring(suite, encoding="unicode")
    write_text(folder / "junit.xml", f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')


def _clean(text: str) -> str:
    """Without the colours of a traceback, and without what XML 1.0 cannot hold."""
    return re.sub("[\ufffe\uffff]", "", printable(re.sub(r"\x1b\[[0-9;]*m", "", text)))
