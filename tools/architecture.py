"""`python -m tools.architecture [--check]`: draw docs/architecture.md from the code, so that it cannot go stale.

The picture and its table are read off the imports (`fedkit.common.code`); every name in the text is looked up, and a
name that is gone stops the command. Line counts are rounded to hundreds, so that small edits leave the page as it is.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from fedkit.common.code import ROOT as PACKAGE
from fedkit.common.code import imports

ROOT = PACKAGE.parent
PAGE = ROOT / "docs" / "architecture.md"
TEXT = Path(__file__).with_name("architecture.md")
# The floors, from the ground up: a wing imports from floors below its own and from no other.
ORDER: tuple[tuple[str, ...], ...] = (
    ("common",),
    ("mini",),
    ("data", "algorithms"),
    ("privacy",),
    ("training",),
    ("evaluation",),
    ("profiles",),
    ("analysis",),
    ("report",),
    ("session",),
    ("runner",),
    ("fedkit",),
)
DOOR = "fedkit"  # the package's own __init__ and __main__


def files() -> list[Path]:
    """All source files of the package."""
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def wing_of(path: Path) -> str:
    """The wing that a file stands in."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return DOOR if first.startswith("__") else first


def edges() -> list[tuple[Path, Path]]:
    """(file, file that it imports), those for type checkers alone left out."""
    return [(path, place) for path in files() for name in imports(path) if (place := _place(name)) is not None]


def _place(module: str) -> Path | None:
    base = PACKAGE.joinpath(*module.split(".")[1:])
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


def lines_of(wing: str) -> int:
    """Lines of all files of a wing."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files() if wing_of(path) == wing)


def arrows() -> dict[str, set[str]]:
    """Wing -> the wings that it imports from."""
    below: dict[str, set[str]] = {wing: set() for floor in ORDER for wing in floor}
    for source, target in edges():
        if wing_of(source) != wing_of(target):
            below[wing_of(source)].add(wing_of(target))
    return below


def drawn() -> Iterator[tuple[str, str]]:
    """The arrows that run down, less those that follow from others, so that the picture stays readable."""
    below = arrows()
    reached: dict[str, set[str]] = {}
    for wing in (wing for floor in ORDER for wing in floor if wing != DOOR):
        targets = [other for other in below[wing] if other in reached]
        implied = set[str]().union(*(reached[other] for other in targets))
        reached[wing] = implied.union(targets)
        yield from ((wing, other) for other in targets if other not in implied)


def picture() -> str:
    """The wings as a Mermaid diagram, an arrow from a wing to what it builds on."""
    lines = ["```mermaid", "flowchart TD"]
    for floor in ORDER:
        lines += [f'  {wing}["{wing}<br/>{_hundreds(lines_of(wing))} lines"]' for wing in floor if wing != DOOR]
    lines += [f"  {wing} --> {other}" for wing, other in sorted(drawn())]
    return "\n".join([*lines, "```"])


def table() -> str:
    """One line a wing, top floor first: what it is for, its size, what it imports from."""
    lines = ["| wing | what it is for | files | lines | builds on |", "|---|---|---:|---:|---|"]
    below = arrows()
    for wing in [wing for floor in reversed(ORDER) for wing in floor if wing != DOOR]:
        own = [path for path in files() if wing_of(path) == wing]
        home = PACKAGE / wing / "__init__.py"
        words = ast.get_docstring(ast.parse((home if home.is_file() else own[0]).read_text(encoding="utf-8"))) or ""
        first = " ".join(words.split("\n\n")[0].split())
        order = [other for floor in ORDER for other in floor if other in below[wing]]
        lines.append(
            f"| `{wing}` | {first} | {len(own)} | {_hundreds(lines_of(wing))} | {', '.join(order) or 'nothing'} |"
        )
    return "\n".join(lines)


def _hundreds(lines: int) -> str:
    return f"{max(100, round(lines, -2)):,}"


@cache
def _defined(path: Path) -> frozenset[str]:
    """Names of a file: at its top, and `Class.method`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
            names |= {f"{node.name}.{n.name}" for n in ast.walk(node) if isinstance(n, ast.FunctionDef)}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {t.id for t in targets if isinstance(t, ast.Name)}
    return frozenset(names)


def _linked(match: re.Match[str]) -> str:
    """`{data/place.py:Place}` as a link with that name; `{data/place.py}` as a link to the file or folder."""
    file, _, name = match[1].partition(":")
    path = PACKAGE / file
    if not path.exists() or (name and name not in _defined(path)):
        raise SystemExit(f"{TEXT.name} names {match[1]}, which is not in the package; mend the text")
    return f"[`{name or file}`](../fedkit/{file})"


def page() -> str:
    """The whole page: the text with its picture, table and links filled in."""
    text = TEXT.read_text(encoding="utf-8").replace("{picture}", picture()).replace("{table}", table())
    return re.sub(r"\{([a-z_/]+(?:\.py)?(?::[\w.]+)?)\}", _linked, text)


def main(argv: Sequence[str]) -> int:
    """Write the page, or with --check say whether it is what the code is now; exit code 1 where it is not."""
    if "--check" in argv:
        fresh = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page()
        print(f"{PAGE.name} is {'up to date' if fresh else 'stale: run python -m tools.architecture'}")
        return 0 if fresh else 1
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
