"""What would run and why: new, changed, forced or unchanged; read-only, the same for --plan and for a run.

What a notebook's result depends on is kept as hashes: if none changed and its products exist, it is not run again.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..common.files import visible
from .notebooks import Notebook, choose, find_notebooks, needed
from .options import Options
from .parameters import parameters
from .records import read_status

DEFAULT_MINUTES = 1.0  # for a notebook that names none for the profile
# In words, for --plan: which part changed.
PARTS: Mapping[str, str] = {
    "notebook": "the notebook",
    "parameters": "parameters",
    "fedkit": "fedkit's source",
    "lock": "requirements.lock or Python",
    "profile": "the profile's numbers",
    "data": "files of --data-dir",
    "before": "a notebook that it depends on",
}


def _hash(*texts: str | bytes) -> str:
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode() if isinstance(text, str) else text
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def package_hash(package: Path | None = None) -> str:
    """Hash of every file of the fedkit package (names and bytes), caches left out."""
    package = package or Path(__file__).resolve().parents[1]
    files = sorted(p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts and p.suffix != ".pyc")
    return _hash(*(part for p in files for part in (p.relative_to(package).as_posix(), p.read_bytes())))


def lock_hash(root: Path) -> str:
    """Hash of requirements.lock and of the Python minor version."""
    lock = root / "requirements.lock"
    return _hash(lock.read_bytes() if lock.is_file() else b"", "{}.{}".format(*sys.version_info[:2]))


def notebook_hash(notebook: Notebook) -> str:
    """Hash of the cells' kinds, tags and text and of what the metadata promises; outputs and minutes do not count."""
    cells = [[cell["cell_type"], notebook.source(cell), list(notebook.tags(cell))] for cell in notebook.cells]
    return _hash(json.dumps([cells, notebook.products, notebook.depends_on, notebook.datasets, notebook.title]))


def data_hash(data_dir: Path | None, datasets: tuple[str, ...]) -> str:
    """Hash of names, sizes and times of the files under --data-dir that the notebook may read.

    Those are the files of the raw sources that its datasets declare, and of the benchmarks'; of a name that is no
    dataset the whole folder.
    """
    if data_dir is None or not datasets:
        return _hash("none")
    from ..data.datasets.registry import DATASETS
    from ..data.place import Place
    from ..evaluation.benchmarks.registry import all_sources

    place = Place(data_dir)
    files = {path for source in all_sources(*datasets) for path in place.files(source)}
    if not set(datasets) <= set(DATASETS):
        files |= {path for path in visible(data_dir, "**/*") if path.is_file()}
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(files)]
    return _hash(json.dumps([str(data_dir), stats]))


def _require_data(data_dir: Path | None, datasets: Sequence[str]) -> None:
    """`FedkitError` where --data-dir holds nothing that the notebooks could read; for datasets that are known."""
    if data_dir is None or not datasets:
        return
    from ..data.datasets.registry import DATASETS
    from ..data.place import Place
    from ..evaluation.benchmarks.registry import all_sources

    if set(datasets) <= set(DATASETS):
        Place(data_dir).require_any(all_sources(*datasets))


class Fingerprints:
    """Fingerprints of one call; what all notebooks share is hashed once."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._shared = {
            "fedkit": package_hash(),
            "lock": lock_hash(options.root),
            "profile": _hash(repr(replace(options.profile, note=""))),
        }
        self._data: dict[tuple[str, ...], str] = {}

    def of(
        self, notebook: Notebook, parameters: Mapping[str, Any], before: Mapping[str, Mapping[str, str]]
    ) -> dict[str, str]:
        """Part -> hash. `before`: fingerprints of the notebooks that this one depends on.

        The results folder is left out, so that a clone that was moved runs nothing again.
        """
        values = {name: value for name, value in parameters.items() if name != "results_dir"}
        if notebook.datasets not in self._data:
            self._data[notebook.datasets] = data_hash(self._options.data_dir, notebook.datasets)
        return {
            "notebook": notebook_hash(notebook),
            "parameters": _hash(json.dumps(values, sort_keys=True)),
            **self._shared,
            "data": self._data[notebook.datasets],
            "before": _hash(json.dumps({number: before[number] for number in notebook.depends_on}, sort_keys=True)),
        }


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


def missing_products(notebook: Notebook, folder: Path) -> list[str]:
    """The products named in the metadata that are not (or empty) under results/<profile>."""
    places = {name: folder / name for name in notebook.products}
    return [n for n, path in places.items() if not (path.is_dir() or (path.is_file() and path.stat().st_size > 0))]


def _state(
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
    _require_data(options.data_dir, [name for number in numbers for name in notebooks[number].datasets])
    records = {record["number"]: record for record in read_status(options.folder)}
    fingerprints = Fingerprints(options)
    known: dict[str, dict[str, str]] = {}
    steps: list[Step] = []
    for number in numbers:
        notebook, record = notebooks[number], records.get(number)
        known[number] = fingerprints.of(notebook, values[number], known)
        state, why = _state(notebook, known[number], record, options.folder)
        if number not in chosen:
            if state == "unchanged":
                continue
            why = f"needed by {', '.join(n for n in chosen if number in needed(notebooks, [n]))}; {why}"
        elif state == "unchanged" and options.force:
            state, why = "forced", "--force"
        measured = record and record.get("status") == "ok" and record.get("seconds")
        stated = notebook.minutes.get(options.profile.name)
        seconds = float(measured or 60.0 * float(DEFAULT_MINUTES if stated is None else stated))
        timed = stated is not None or (record or {}).get("status") == "ok"
        steps.append(Step(notebook, values[number], known[number], state, why, seconds, timed))
    return steps


def time_left(steps: Sequence[Step], jobs: int, elapsed: Mapping[str, float], pace: float = 1.0) -> float:
    """Seconds until all `steps` are done with `jobs` at a time: no less than the longest, no less than the sum / jobs.

    `elapsed`: seconds that a running step has had. `pace`: measured over expected time of those that are done.
    """
    left = [max(step.seconds * pace - elapsed.get(step.number, 0.0), 1.0) for step in steps]
    return max([sum(left) / jobs, *left]) if left else 0.0
