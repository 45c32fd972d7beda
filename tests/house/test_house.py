"""The house keeps its plan: wings in one order, no circle, no overgrown file, a front door that is documented and used.

The order is that of `tools/architecture.py`, which draws docs/architecture.md from the same imports.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import types
from pathlib import Path

import pytest

import fedkit
from fedkit.common.code import ROOT as PACKAGE
from tools.architecture import ORDER, edges, lines_of, wing_of

ROOT = PACKAGE.parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("[0-9]*.ipynb"))
LONGEST = 300
DEEP_NAMES = 60  # names that all notebooks together import past the front door
FRONT = (35, 55)
WINGS = tuple(wing for floor in ORDER for wing in floor)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_no_file_is_overgrown(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_every_file_stands_in_a_wing():
    assert {wing_of(path) for path in FILES} == set(WINGS)


def test_imports_run_one_way():
    """A file imports from its own wing and from the floors below, never from above or from a neighbour."""
    floor = {wing: level for level, wings in enumerate(ORDER) for wing in wings}
    wrong = []
    for source, target in edges():
        a, b = wing_of(source), wing_of(target)
        if a != b and floor[b] >= floor[a]:
            wrong.append(f"{source.relative_to(PACKAGE)} ({a}) imports {target.relative_to(PACKAGE)} ({b})")
    assert not wrong, "\n".join(wrong)


def test_there_is_no_circle():
    """Kahn's algorithm takes every file away."""
    below: dict[Path, set[Path]] = {path: set() for path in FILES}
    for source, target in edges():
        below[source].add(target)
    left = dict(below)
    while free := [path for path, targets in left.items() if not targets & left.keys()]:
        for path in free:
            del left[path]
    assert not left, sorted(str(path.relative_to(PACKAGE)) for path in left)


def test_code_does_not_come_through_front_doors():
    """Names behind a lazy door cannot be followed, so neither runs nor answers would be named by their code."""
    lazy = {p.parent for p in FILES if p.name == "__init__.py" and "front_door(" in p.read_text(encoding="utf-8")}
    through = [
        f"{source.relative_to(PACKAGE)} imports from the door of {target.parent.relative_to(ROOT)}"
        for source, target in edges()
        if target.name == "__init__.py" and target.parent in lazy
    ]
    assert not through, "\n".join(through)


def test_only_the_package_itself_is_imported_by_the_package():
    """Neither tools nor tests are needed to use the kit."""
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        tops = {n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and not n.level}
        tops |= {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert not tops & {"tools", "tests", "bench"}, path


def test_the_front_door_is_documented():
    names = fedkit.__all__
    assert FRONT[0] <= len(names) <= FRONT[1]
    for name in names:
        assert f"`{name}`" in fedkit.__doc__, f"{name} is not explained in fedkit's own docstring"
        assert getattr(fedkit, name) is not None
        thing = getattr(fedkit, name)
        assert not callable(thing) or (thing.__doc__ or "").strip(), name


@pytest.mark.parametrize("wing", [w for w in WINGS if (PACKAGE / w).is_dir()])
def test_the_names_of_a_wing_are_there(wing):
    """A public name is never a module's of the same wing: importing that module would put it in the name's place."""
    module = importlib.import_module(f"fedkit.{wing}")
    assert (module.__doc__ or "").strip()
    for name in getattr(module, "__all__", ()):
        thing = getattr(module, name)
        assert thing is not None, name
        assert isinstance(thing, types.ModuleType) or not (PACKAGE / wing / f"{name}.py").is_file(), name


def imported_by_notebooks() -> dict[tuple[str, str], set[str]]:
    """(module, name) -> the notebooks that import it, of everything below fedkit."""
    names: dict[tuple[str, str], set[str]] = {}
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] != "code" or "fedkit" not in source:
                continue
            kept = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))
            for node in ast.walk(ast.parse(kept or "pass")):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fedkit":
                    for alias in node.names:
                        names.setdefault((node.module, alias.name), set()).add(path.name)
                elif isinstance(node, ast.Import):
                    for alias in node.names:
                        if alias.name.startswith("fedkit."):
                            names.setdefault((alias.name, ""), set()).add(path.name)
    return names


def test_notebooks_come_in_by_the_front_door():
    """From `fedkit`, or from the wing whose chapter it is; never from a room of a wing."""
    names = imported_by_notebooks()
    too_deep = {
        f"{module}: {name} in {sorted(where)}" for (module, name), where in names.items() if module.count(".") > 1
    }
    assert not too_deep, "\n".join(sorted(too_deep))
    deep = {(module, name) for module, name in names if module != "fedkit"}
    assert len(deep) <= DEEP_NAMES, f"{len(deep)} names from wings: {sorted(deep)}"
    front = {name for module, name in names if module == "fedkit"}
    assert front <= set(fedkit.__all__)


def test_the_page_on_the_house_is_what_the_code_is():
    from tools.architecture import PAGE, page

    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tools.architecture`"
    assert sum(lines_of(wing) for wing in WINGS) == sum(len(p.read_text(encoding="utf-8").splitlines()) for p in FILES)


def test_no_file_is_left_over():
    """Each is imported, or named by a front door or a registry, or is where Python comes in."""
    imported = {target for _, target in edges()}
    words = {path: path.read_text(encoding="utf-8") for path in FILES}
    left = []
    for path in FILES:
        if path in imported or path.stem.startswith("__"):
            continue
        named = re.compile(rf"""["'.]{path.stem}["':.]""")
        if not any(named.search(text) for other, text in words.items() if other != path):
            left.append(str(path.relative_to(PACKAGE)))
    assert not left, "nobody imports " + ", ".join(left)
