"""The notebooks of a folder: their metadata (`nb.metadata["fedkit"]`), order and map, and which a call chose."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.errors import FedkitError

# Metadata fields and their types; a list holds words.
FIELDS: Mapping[str, type] = {
    "number": str,
    "title": str,
    "needs": list,
    "depends_on": list,
    "products": list,
    "minutes": dict,
    "datasets": list,
    "algorithms": list,
}
_REQUIRED = ("number", "title", "minutes")
_NUMBER = re.compile(r"\d\d(s?)")
_NAME = re.compile(r"[0-9]{2}_\w+\.ipynb")  # and no copy, as JupyterLab (31_x-Copy1) and file managers name theirs


@dataclass(frozen=True)
class Notebook:
    """One notebook as stored. `number` is two digits, and an s for solutions ("41", "41s")."""

    path: Path
    number: str
    title: str
    needs: tuple[str, ...]
    depends_on: tuple[str, ...]
    products: tuple[str, ...]  # paths under results/<profile>
    minutes: Mapping[str, float]  # by profile
    datasets: tuple[str, ...]
    algorithms: tuple[str, ...]
    cells: tuple[Mapping[str, Any], ...]

    @property
    def solution(self) -> bool:
        """Whether it is one of notebooks/solutions."""
        return self.number.endswith("s")

    def source(self, cell: Mapping[str, Any]) -> str:
        """The text of a cell; nbformat stores a string or a list of lines."""
        text = cell.get("source", "")
        return text if isinstance(text, str) else "".join(text)

    def tags(self, cell: Mapping[str, Any]) -> tuple[str, ...]:
        """The tags of a cell."""
        return tuple(cell.get("metadata", {}).get("tags", ()))


def _is_cell(cell: Any) -> bool:
    """Whether a cell has what is read of one: its kind, its text as a string or as lines, and tags, if any."""
    if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
        return False
    text, metadata = cell.get("source", ""), cell.get("metadata", {})
    tags = metadata.get("tags", []) if isinstance(metadata, dict) else None
    return _strings(tags) and (isinstance(text, str) or _strings(text))


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def read_notebook(path: Path) -> Notebook:
    """Reads one .ipynb with plain JSON (fast); FedkitError names the file and the field that is wrong."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        cells, meta = raw["cells"], raw["metadata"].get("fedkit")
        if not isinstance(cells, list) or not all(map(_is_cell, cells)):
            raise ValueError("a cell has another form than Jupyter's")
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise FedkitError(f"{path.name}: not a readable notebook ({error}); restore it from version control") from error
    if not isinstance(meta, dict):
        raise FedkitError(f'{path.name}: its metadata has no "fedkit" entry; add number, title and minutes')
    for name in _REQUIRED:
        if name not in meta:
            raise FedkitError(f"{path.name}: metadata fedkit.{name} is missing; add it")
    for name, kind in FIELDS.items():
        value = meta.get(name, kind())
        if not isinstance(value, kind) or (kind is list and not _strings(value)):
            raise FedkitError(f"{path.name}: metadata fedkit.{name} must be a {kind.__name__}, not {value!r}")
    if not all(type(value) in (int, float) and 0 <= value < 1e6 for value in meta["minutes"].values()):
        raise FedkitError(f"{path.name}: metadata fedkit.minutes must hold minutes, not {meta['minutes']!r}")
    if not _NUMBER.fullmatch(meta["number"]) or not path.name.startswith(meta["number"][:2] + "_"):
        raise FedkitError(f"{path.name}: metadata fedkit.number {meta['number']!r} is not the number in its file name")
    lists = {name: tuple(meta.get(name, ())) for name, kind in FIELDS.items() if kind is list}
    return Notebook(
        path=path, number=meta["number"], title=meta["title"], minutes=meta["minutes"], cells=tuple(cells), **lists
    )


def _files(folder: Path) -> list[Path]:
    """The numbered .ipynb files of a folder and of its solutions, copies too."""
    return sorted([*folder.glob("[0-9][0-9]_*.ipynb"), *folder.glob("solutions/[0-9][0-9]_*.ipynb")])


def passed_over(folder: Path) -> list[str]:
    """Names of numbered files that are not taken for notebooks of the kit: copies of one (`31_fedavg-Copy1.ipynb`)."""
    return [path.name for path in _files(folder) if not _NAME.fullmatch(path.name)]


def find_notebooks(folder: Path) -> dict[str, Notebook]:
    """All notebooks of `folder` and `folder/solutions`, by number; dependencies are known and have no circle.

    Copies are left out (`passed_over`).
    """
    if not folder.is_dir():
        raise FedkitError(f"{folder}: no such folder of notebooks; run from a full checkout or give --notebooks")
    notebooks: dict[str, Notebook] = {}
    for path in (path for path in _files(folder) if _NAME.fullmatch(path.name)):
        notebook = read_notebook(path)
        if notebook.number in notebooks:
            raise FedkitError(
                f"{path.name} and {notebooks[notebook.number].path.name} have one number, {notebook.number};"
                " rename the one that is yours so that it does not begin with two digits"
            )
        notebooks[notebook.number] = notebook
    for notebook in notebooks.values():
        for number in notebook.depends_on:
            if number not in notebooks:
                raise FedkitError(f"{notebook.path.name}: depends_on {number}, which is no notebook of {folder.name}/")
    return {number: notebooks[number] for number in _ordered(notebooks)}


def _ordered(notebooks: Mapping[str, Notebook]) -> list[str]:
    """Numbers, each after those it depends on, else ascending."""
    done: dict[str, None] = {}

    def visit(number: str, trail: tuple[str, ...]) -> None:
        if number in trail:
            raise FedkitError(f"notebooks depend on each other in a circle: {' -> '.join((*trail, number))}")
        for before in sorted(notebooks[number].depends_on):
            visit(before, (*trail, number))
        done.setdefault(number)

    for number in sorted(notebooks):
        visit(number, ())
    return list(done)


def choose(notebooks: Mapping[str, Notebook], only: Sequence[str], *, solutions: bool) -> list[str]:
    """The numbers a call asks for, in run order: `only` (with their solutions if asked), or all."""
    if not notebooks:
        raise FedkitError("there are no notebooks to run; run from a full checkout or give --notebooks")
    unknown = [number for number in only if number not in notebooks]
    if unknown:
        raise FedkitError(f"unknown notebook {', '.join(unknown)}; known: {', '.join(notebooks)}")
    wanted = set(only) or {number for number, notebook in notebooks.items() if not notebook.solution}
    if solutions:
        wanted |= {f"{number}s" for number in wanted if f"{number}s" in notebooks}
    return [number for number in notebooks if number in wanted]


def needed(notebooks: Mapping[str, Notebook], chosen: Sequence[str]) -> list[str]:
    """The chosen and all that they depend on, in run order."""
    wanted: set[str] = set()
    queue = list(chosen)
    while queue:
        number = queue.pop()
        if number not in wanted:
            wanted.add(number)
            queue.extend(notebooks[number].depends_on)
    return [number for number in notebooks if number in wanted]


def notebook_map(folder: str | Path | None = None) -> list[dict[str, str]]:
    """A map: number, title, minutes in `mini`, datasets and algorithms of each notebook (solutions left out)."""
    from ..common.files import project_root

    home = Path(folder) if folder else project_root() / "notebooks"
    return [
        {
            "notebook": n.number,
            "title": n.title,
            "minutes": f"{n.minutes.get('mini', float('nan')):g}",
            "datasets": ", ".join(n.datasets),
            "algorithms": ", ".join(n.algorithms),
        }
        for n in map(read_notebook, (path for path in _files(home) if _NAME.fullmatch(path.name)))
        if not n.solution
    ]
