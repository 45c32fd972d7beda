"""The notebooks as stored (design section 7), and all of them, with their solutions, run in the smoke profile."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import pytest
from runner_tools import write_notebook
from style_tools import FIRST_CELL, has_solutions, style

from fedkit.profiles import PROFILES
from fedkit.runner.notebooks import find_notebooks, read_notebook
from fedkit.runner.parameters import stored_clean

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
PATHS = sorted([*FOLDER.glob("*.ipynb"), *FOLDER.glob("solutions/*.ipynb")])
COPIED = 10  # lines in a row
each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A data folder of five annotators who write Spanish alone."""
    folder = tmp_path_factory.mktemp("few")
    (folder / "aya_dataset").mkdir()
    lines = [
        {"inputs": f"¿Cuál es el número {i}?", "targets": f"Es el {i}.", "language": "Spanish", "language_code": "spa"}
        | {"annotation_type": "original-annotations", "user_id": f"{i % 5}" * 64}
        for i in range(200)
    ]
    (folder / "aya_dataset" / "train.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "number, last", [("00", "dataset.records(place)"), ("30", "counts[spoken]"), ("22", "records.language")]
)
def test_no_notebook_counts_on_clients_or_languages(number, last, few, tmp_path, capsys):
    """Up to the cell that picks among clients, on a federation smaller than the embedded one and without English."""
    notebook = read_notebook(next(FOLDER.glob(f"{number}_*.ipynb")))
    space: dict = {}
    for cell in (cell for cell in notebook.cells if cell["cell_type"] == "code"):
        exec(notebook.source(cell), space)
        if "parameters" in notebook.tags(cell):
            space |= {"profile": "smoke", "data_dir": str(few), "results_dir": str(tmp_path)}
        if last in notebook.source(cell) and "Session" not in notebook.source(cell):
            break
    else:
        raise AssertionError(f"no cell of {number} has {last}")
    assert capsys.readouterr().out.count("¿Cuál es el número") >= 1


@each
def test_stored_without_outputs_and_with_parameters(path):
    assert stored_clean(read_notebook(path)) == []


@each
def test_form(path):
    assert style(read_notebook(path)) == []


@each
def test_metadata(path):
    notebook = read_notebook(path)
    assert {"smoke", "mini"} <= set(notebook.minutes) <= set(PROFILES)
    assert all(isinstance(value, int | float) and value > 0 for value in notebook.minutes.values())
    for product in notebook.products:
        assert not Path(product).is_absolute() and ".." not in Path(product).parts


@each
def test_opens_in_jupyterlab(path):
    """Valid nbformat, every cell with an id, the kernel python3."""
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert notebook.metadata["kernelspec"]["name"] == "python3"


@each
def test_solutions_exist(path):
    notebook = read_notebook(path)
    assert notebook.solution or has_solutions(notebook, FOLDER)


def test_numbers_dependencies_and_products_of_all():
    """No number twice, no unknown dependency, no circle, no product of two notebooks but the shared claims.csv."""
    if not PATHS:
        pytest.skip("no notebooks in this checkout")
    products = [product for notebook in find_notebooks(FOLDER).values() for product in notebook.products]
    twice = {product for product in products if products.count(product) > 1}
    assert twice <= {"claims.csv"}


def test_previous_and_next_are_the_neighbours():
    """Each first cell links the notebook before it and the one after it, by number."""
    names = [path.name for path in sorted(FOLDER.glob("*.ipynb"))]
    for before, name, after in zip([None, *names], names, [*names[1:], None], strict=False):
        first = "".join(json.loads((FOLDER / name).read_text(encoding="utf-8"))["cells"][0]["source"])
        back, _, onward = first.partition("Previous:")[2].partition("Next:")
        for wanted, text in ((before, back), (after, onward)):
            linked = re.search(r"\]\(([^)]+)\)", text)
            assert wanted is None or linked[1] == wanted, f"{name}: {wanted} is its neighbour"


def test_no_code_is_copied_between_notebooks():
    """No ten lines of code in a row stand in two notebooks. A solution may repeat the checker of its own notebook."""
    seen: dict[tuple[str, ...], str] = {}
    copies = []
    for path in PATHS:
        notebook = read_notebook(path)
        cells = (c for c in notebook.cells if c["cell_type"] == "code" and "parameters" not in notebook.tags(c))
        lines = [line.strip() for cell in cells for line in notebook.source(cell).splitlines() if line.strip()]
        for i in range(len(lines) - COPIED + 1):
            first = seen.setdefault(tuple(lines[i : i + COPIED]), path.name)
            if first[:2] != path.name[:2]:
                copies.append(f"{first} and {path.name}: {lines[i]}")
    assert not copies


def test_the_checks_see_faults(tmp_path):
    """A notebook with every fault is told every fault; one without is told none."""
    bad = read_notebook(
        write_notebook(tmp_path, "10", "\n".join("x = 1" for _ in range(16)), "frame.style", parameters=False)
    )
    told = " ".join(style(bad) + stored_clean(bad))
    for fault in (
        "16 lines",
        "cell 3 shows HTML that nobody escapes",
        "does not name: You will be able to",
        "not the parameters cell",
        "heading Exercises",
        "0 cells",
    ):
        assert fault in told
    first = "# A question\n" + "\n".join(f"- **{label}**: x" for label in FIRST_CELL)
    path = write_notebook(tmp_path, "20", "1 + 1", first=first)
    stored = nbformat.read(path, as_version=4)
    text = "## Exercises\n" + "\n".join(f"### Exercise {i}\n..." for i in (1, 2, 3))
    stored.cells.append(nbformat.v4.new_markdown_cell(text))
    nbformat.write(stored, path)
    good = read_notebook(path)
    assert style(good) == [] and stored_clean(good) == []
    assert not has_solutions(good, tmp_path)
    write_notebook(tmp_path, "20s")
    assert has_solutions(good, tmp_path)


@pytest.mark.notebooks
def test_all_notebooks_and_solutions_run_in_smoke(tmp_path):
    """`reproduce.py --profile smoke --check` on a fresh results folder ends with 0 and a clean JUnit file."""
    if not PATHS:
        pytest.skip("no notebooks in this checkout")
    words = [sys.executable, str(ROOT / "reproduce.py"), "--profile", "smoke", "--check", "--results", str(tmp_path)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    suite = ElementTree.parse(tmp_path / "smoke" / "junit.xml").getroot()
    assert int(suite.get("tests")) == len(PATHS) and suite.get("failures") == suite.get("skipped") == "0"
    assert {record["status"] for record in json.loads((tmp_path / "smoke" / "status.json").read_text())} == {"ok"}
    assert (tmp_path / "smoke" / "index.html").is_file()
