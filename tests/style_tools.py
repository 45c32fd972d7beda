"""The form of a stored notebook (design section 7): what authors keep, beside what `--check` asks."""

from __future__ import annotations

import re
from pathlib import Path

from fedkit.runner.notebooks import Notebook

MAX_LINES = 15
# What the first cell has to name.
FIRST_CELL = ("Question", "You will be able to", "Needs", "Minutes", "Previous", "Next", "Paper")
EXERCISES = 3
# What shows texts of data as HTML without escaping them; `fedkit.as_table` escapes.
_RAW = re.compile(r"\.style\b|\.to_html\(|\bHTML\(|\bJavascript\(|\bSVG\(|_repr_html_")


def style(notebook: Notebook) -> list[str]:
    """Sentences on the form: length of cells, the fields of the first cell, where the parameters stand, exercises."""
    problems = []
    for index, cell in enumerate(notebook.cells, 1):
        lines = notebook.source(cell).strip().count("\n") + 1
        if cell["cell_type"] == "code" and lines > MAX_LINES:
            problems.append(f"cell {index} has {lines} lines, more than {MAX_LINES}; cut it in two")
        if cell["cell_type"] == "code" and _RAW.search(notebook.source(cell)):
            problems.append(f"cell {index} shows HTML that nobody escapes; take fedkit.as_table")
    if not notebook.cells or notebook.cells[0]["cell_type"] != "markdown":
        return [*problems, "its first cell is not text; begin with the question"]
    if notebook.solution:
        return problems
    first = notebook.source(notebook.cells[0])
    absent = [label for label in FIRST_CELL if not re.search(rf"\b{label}\b", first, re.IGNORECASE)]
    if absent:
        problems.append(f"its first cell does not name: {', '.join(absent)}")
    codes = [cell for cell in notebook.cells if cell["cell_type"] == "code"]
    if not codes or "parameters" not in notebook.tags(codes[0]):
        problems.append("its first code cell is not the parameters cell")
    text = "\n".join(notebook.source(cell) for cell in notebook.cells if cell["cell_type"] == "markdown")
    exercises = len(re.findall(r"^(?:#+ *Exercise *\d|\*\*\d\. )", text, re.IGNORECASE | re.MULTILINE))
    if not re.search(r"^#+ .*exercises", text, re.IGNORECASE | re.MULTILINE) or exercises < EXERCISES:
        problems.append(f"it needs a heading Exercises and {EXERCISES} of them (**1. Compute.** or ### Exercise 1)")
    return problems


def has_solutions(notebook: Notebook, folder: Path) -> bool:
    """Whether notebooks/solutions/NN_*_solutions.ipynb exists for it."""
    return any(folder.glob(f"solutions/{notebook.number}_*_solutions.ipynb"))
