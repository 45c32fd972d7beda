"""The code that a result depends on, names by following imports from the modules that make it.

Runs and kept answers are named by it, so that neither an edit nor a new file can pass an old result for a new one, and
an edit elsewhere (a table, a figure) makes nothing anew. Imports for type checkers alone are not followed. Nor is a
module named `registry`: it looks an entry up by name, and whoever asks names the module of the entry that is used.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # the folder of the package
REGISTRY = "registry"
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # the fields of a statement that hold statements
DATA = frozenset((".json", ".yaml"))  # read by the code of their folder


def code_hash(*modules: str, packages: Sequence[str] = (), root: Path = ROOT) -> str:
    """Sixteen hexadecimal digits of all source that `modules` (`fedkit.training.simulation`) reach by imports.

    With the JSON and YAML files that lie beside a module reached, unless it is another module that names them there;
    and with the versions of `packages`.
    """
    digest = hashlib.sha256()
    for path in sorted(source_files(*modules, root=root)):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    for name in packages:
        try:
            digest.update(f"{name} {version(name)}\n".encode())
        except PackageNotFoundError:
            digest.update(f"{name} none\n".encode())
    return digest.hexdigest()[:16]


def source_files(*modules: str, root: Path = ROOT) -> set[Path]:
    """The files whose content `code_hash` takes; `ValueError` for a module that is not there."""
    reached: set[Path] = set()
    todo = list(modules)
    while todo:
        name = todo.pop()
        path = _file(name, root)
        if path is None:
            raise ValueError(f"no module {name} in {root}")
        if path in reached or path.stem == REGISTRY:
            continue
        reached.add(path)
        todo += imports(path, root)
    folders = {path.parent for path in reached if path.parent != root}
    return reached | {f for folder in folders for f in _data(folder) if _read_by(f, folder, reached)}


def _read_by(data: Path, folder: Path, reached: set[Path]) -> bool:
    """Whether a data file of a folder is read by modules reached: those that name it, or any where none does."""
    readers = {path for path in folder.glob("*.py") if data.name in path.read_text(encoding="utf-8")}
    return not readers or bool(readers & reached)


def imports(path: Path, root: Path = ROOT) -> list[str]:
    """The modules of the package that a file imports when it runs, in functions too, each once."""
    own = [root.name, *path.relative_to(root).with_suffix("").parts]
    package = own[:-1]
    reached: dict[str, None] = {}
    for node in _nodes(_parsed(path, path.stat().st_mtime_ns)):
        if isinstance(node, ast.Import):
            names = [(alias.name, None) for alias in node.names]
        else:
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [(module, alias.name) for alias in node.names]
        for module, name in names:
            if module.split(".")[0] == root.name:
                reached |= dict.fromkeys(_origin(module, name, root))
    reached.pop(".".join(package) if own[-1] == "__init__" else ".".join(own), None)
    return list(reached)


def _origin(module: str, name: str | None, root: Path) -> Iterator[str]:
    """Where a name that is imported from a module is defined: a submodule, or what a package hands on."""
    if name and _file(f"{module}.{name}", root):
        yield f"{module}.{name}"
        return
    path = _file(module, root)
    if path is None:
        return
    if name and path.name == "__init__.py":
        parts = module.split(".")
        for node in _nodes(_parsed(path, path.stat().st_mtime_ns)):
            if isinstance(node, ast.ImportFrom) and node.level:
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        base = parts[: len(parts) - node.level + 1]
                        target = ".".join([*base, *([node.module] if node.module else [])])
                        yield from _origin(target, alias.name, root)
                        return
    yield module


def _file(module: str, root: Path) -> Path | None:
    """The source of a module of the package, or None."""
    place = root.joinpath(*module.split(".")[1:])
    for path in (place / "__init__.py", place.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _nodes(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """All imports below a node but those for type checkers alone."""
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        else:  # statements alone: an expression holds no import
            todo += [each for block in _BLOCKS for each in getattr(node, block, ())]


@cache
def _parsed(path: Path, changed: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _data(folder: Path) -> Iterator[Path]:
    """Data files in a folder and in its subfolders that are no packages."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != "__pycache__" and not any(path.glob("*.py")):
            yield from _data(path)
        elif path.suffix in DATA:
            yield path
