"""Small notebooks made on the fly, and reproduce.py called as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[1]
STANDARD = 'profile = "smoke"\nseeds = [0]\ndata_dir = None\noffline = False\nresults_dir = "results"\n'


def write_notebook(folder, number, *cells, own="", first="# A question", parameters=True, **meta):
    """A notebook with the standard parameters cell (plus `own` lines) and the given code cells; returns its path."""
    notebook = new_notebook()
    fields = {"number": number, "title": f"title {number}", "minutes": {"smoke": 0.05, "mini": 2}}
    notebook.metadata["fedkit"] = fields | meta
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.cells = [new_markdown_cell(first)]
    if parameters:
        notebook.cells.append(new_code_cell(STANDARD + own, metadata={"tags": ["parameters"]}))
    notebook.cells += [new_code_cell(cell) for cell in cells]
    path = Path(folder) / f"{number[:2]}_sample.ipynb"
    if number.endswith("s"):
        path = Path(folder) / "solutions" / f"{number[:2]}_sample_solutions.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def writes(name, text="'done'"):
    """A cell that writes a product and notes in `order.txt` that its notebook has run."""
    return (
        "from pathlib import Path\n"
        f"product = Path(results_dir, {name!r})\n"
        "product.parent.mkdir(parents=True, exist_ok=True)\n"
        f"product.write_text(str({text}))\n"
        "with open(Path(results_dir, 'order.txt'), 'a') as log:\n"
        f"    log.write({name!r} + '\\n')"
    )


def command(tmp_path, *words):
    """The command line of reproduce.py on the notebooks and results of `tmp_path`, smoke profile."""
    folders = ["--notebooks", str(tmp_path / "notebooks"), "--results", str(tmp_path / "results")]
    return [sys.executable, str(ROOT / "reproduce.py"), "--profile", "smoke", *folders, *map(str, words)]


def call(tmp_path, *words, env=None, timeout=240):
    """Runs it; a CompletedProcess with text."""
    env = os.environ | {"PYTHONPATH": str(ROOT)} | (env or {})
    return subprocess.run(
        command(tmp_path, *words), capture_output=True, text=True, env=env, timeout=timeout, check=False
    )


def status(tmp_path):
    """status.json as number -> entry."""
    records = json.loads((tmp_path / "results" / "smoke" / "status.json").read_text())
    return {record["number"]: record for record in records}
