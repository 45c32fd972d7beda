"""The parameters cell of a notebook, and values for it: papermill only warns of an unknown name, we refuse it.

The cell is read with `ast`, in no time; a test holds the names and defaults to `papermill.inspect_notebook`'s.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.errors import FedkitError
from .notebooks import Notebook
from .options import Options

# What every notebook takes, and where the command line sets it.
STANDARD: Mapping[str, str] = {
    "profile": "--profile",
    "seeds": "--seeds",
    "data_dir": "--data-dir",
    "offline": "--offline",
    "results_dir": "--results",
}
# What a notebook may take: another base or world, and a judge where answers are rated.
BASE: Mapping[str, str] = {"base_model": "--model", "world_seed": "--world-seed"}
JUDGE: Mapping[str, str] = {"judge_model": "--judge-model", "judge_url": "--judge-url"}
_KINDS = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "tuple": tuple, "dict": dict}
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class Declared:
    """One line of a parameters cell. `kinds`: the types it takes; empty: any (a default None or an expression)."""

    name: str
    default: Any
    kinds: tuple[type, ...]
    text: str  # the default as written


def declared(notebook: Notebook) -> dict[str, Declared]:
    """The assignments of the one cell tagged `parameters`; FedkitError where there is none, or it cannot be read."""
    cells = [cell for cell in notebook.cells if "parameters" in notebook.tags(cell)]
    if len(cells) != 1:
        raise FedkitError(f"{notebook.path.name}: {len(cells)} cells are tagged parameters; tag exactly one")
    try:
        body = ast.parse(notebook.source(cells[0])).body
    except (
        SyntaxError,
        ValueError,
        RecursionError,
        MemoryError,
    ) as error:  # also a null character, a tower of brackets
        raise FedkitError(f"{notebook.path.name}: its parameters cell is not Python ({error})") from error
    lines: dict[str, Declared] = {}
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            lines[node.target.id] = _declare(node.target.id, node.value, node.annotation)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    lines[target.id] = _declare(target.id, node.value, None)
    missing = [name for name in STANDARD if name not in lines]
    if missing:
        raise FedkitError(f"{notebook.path.name}: its parameters cell does not set {', '.join(missing)}; add it")
    return lines


def _declare(name: str, value: ast.expr, annotation: ast.expr | None) -> Declared:
    text = ast.unparse(value)
    try:
        default = ast.literal_eval(value)
    except ValueError:
        default = None
    if annotation is not None:
        named = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
        kinds = tuple(kind for word, kind in _KINDS.items() if word in named)
        if isinstance(annotation, ast.Subscript):  # list[int]: the type is the outer word
            kinds = tuple(kind for kind in kinds if kind in (list, tuple, dict)) or kinds
    else:
        kinds = () if default is None else (type(default),)
    return Declared(name, default, kinds, text)


def convert(item: Declared, text: str) -> Any:
    """The value of `-p NAME TEXT`: a Python literal of the declared type, or the text itself for a string."""
    try:
        value = ast.literal_eval(text)
        json.dumps(value, sort_keys=True)  # what JSON cannot hold (a set, bytes) is no parameter either
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        value = _TRUTH.get(text.lower(), text)
    if item.kinds == (str,):
        return text
    if not item.kinds:
        return value
    if type(value) in item.kinds or (value is None and item.default is None):
        return value
    if type(value) is int and float in item.kinds:
        return float(value)
    if type(value) in (list, tuple) and {list, tuple} & set(item.kinds):
        return list(value)  # papermill writes both as a list
    if str in item.kinds:
        return text
    wanted = " or ".join(kind.__name__ for kind in item.kinds)
    raise FedkitError(f"-p {item.name} {text}: wants {wanted}, as in its default {item.text}")


def parameters(chosen: Sequence[Notebook], options: Options) -> dict[str, dict[str, Any]]:
    """The values that each chosen notebook is run with, by its number. FedkitError for a bad name or type."""
    cells = {notebook.number: declared(notebook) for notebook in chosen}
    own = sorted({name for cell in cells.values() for name in cell if name not in STANDARD})
    for name, _ in options.params:
        if option := {**STANDARD, **BASE}.get(name):
            raise FedkitError(f"-p {name}: every notebook gets it from {option}; use that")
        if name not in own:
            raise FedkitError(
                f"unknown parameter {name!r} in {', '.join(cells)}; these have {', '.join(own) or 'none of their own'}"
            )
    standard = {
        "profile": options.profile.name,
        "seeds": list(options.seeds),
        "data_dir": None if options.data_dir is None else str(options.data_dir),
        "offline": options.offline,
        "results_dir": str(options.folder),
    }
    judge = {name: value for name in JUDGE if (value := getattr(options, name)) is not None}
    if judge and not any("judge_model" in cell for cell in cells.values()):
        raise FedkitError(f"--judge-model: none of {', '.join(cells)} asks a judge; leave it out")
    base = {"base_model": options.model, "world_seed": options.world_seed or None}
    base = {name: value for name, value in base.items() if value is not None}
    for number, cell in cells.items():
        if lacking := [name for name in base if name not in cell]:
            raise FedkitError(
                f"{BASE[lacking[0]]}: notebook {number} does not take it; add `{lacking[0]}` to its parameters"
                " cell and hand it to its Session, or choose others with --only"
            )
    return {
        number: standard
        | base
        | {name: value for name, value in judge.items() if name in cell}
        | {name: convert(cell[name], text) for name, text in options.params if name in cell}
        for number, cell in cells.items()
    }


def stored_clean(notebook: Notebook) -> list[str]:
    """Sentences on what is wrong with a source as stored: outputs, execution counts, the parameters cell."""
    problems = []
    for name in ("outputs", "execution_count"):
        cells = [str(i) for i, cell in enumerate(notebook.cells, 1) if cell["cell_type"] == "code" and cell.get(name)]
        if cells:
            problems.append(f"is stored with {name.replace('_', ' ')} (cell {', '.join(cells)}); clear all outputs")
    try:
        declared(notebook)
    except FedkitError as error:
        problems.append(str(error))
    return problems
