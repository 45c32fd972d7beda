"""A warm `make reproduce`: an edit in report/ or in a notebook runs notebooks anew, and trains nothing anew."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import nbformat
from nbformat.v4 import new_code_cell
from runner_tools import ROOT, status, write_notebook

PLAN = (
    "import fedkit\n"
    "kit = fedkit.Session({profile}, results_dir={results})\n"
    "data = kit.build('gsm8k').dataset\n"
    "config = kit.plan('fedavg', data, settings=dict(rounds=1, clients_per_round=1, local_steps=1))\n"
)
TRAIN = PLAN.format(profile="profile", results="results_dir") + (
    "run = kit.train(config, data)\n"
    "table = kit.results('10_losses', judge='none', unit='nats')\n"
    "table.add('FedAvg', 'loss', run.history[-1]['loss'])\n"
    "kit.write(table)\n"
    "print(fedkit.__file__)"
)


def edit(path, text="\n# an edit\n"):
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_an_edit_in_report_or_a_notebook_retrains_nothing_and_one_in_training_does(tmp_path):
    """On a copy of the package; the run's adapter keeps its place on disk, its time and its content."""
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "fedkit", copy / "fedkit", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("reproduce.py", "requirements.lock"):
        shutil.copy(ROOT / name, copy / name)
    notebook = write_notebook(copy / "notebooks", "10", TRAIN, products=["tables/10_losses.csv"])
    env = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}

    def python(*words):
        done = subprocess.run([sys.executable, *words], cwd=copy, env=env, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def reproduce():
        said = python("reproduce.py", "--profile", "smoke", "--results", str(tmp_path / "results"))
        runs = {path.parent.name: path.stat() for path in folder.glob("runs/*/adapter.safetensors")}
        return said, {name: (stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in runs.items()}

    folder = tmp_path / "results" / "smoke"
    said, runs = reproduce()
    assert "1 ran" in said and len(runs) == 1
    executed = json.loads((folder / "notebooks" / "10.ipynb").read_text(encoding="utf-8"))
    assert str(copy / "fedkit") in json.dumps(executed["cells"][-1]["outputs"])  # the copy, not this checkout
    table = (folder / "tables" / "10_losses.csv").read_text()
    edit(copy / "fedkit" / "report" / "tables.py")
    said, after = reproduce()
    assert "1 ran" in said and after == runs  # the table may have changed, so the notebook is run again
    stored = nbformat.read(notebook, as_version=4)
    stored.cells.append(new_code_cell("1 + 1"))
    nbformat.write(stored, notebook)
    said, after = reproduce()
    assert "1 ran" in said and after == runs
    assert len(json.loads((folder / "notebooks" / "10.ipynb").read_text(encoding="utf-8"))["cells"]) == 5
    assert (folder / "tables" / "10_losses.csv").read_text() == table and status(tmp_path)["10"]["status"] == "ok"

    planned = PLAN.format(profile="'smoke'", results=repr(str(folder))) + "print(config.hash)"
    edit(copy / "fedkit" / "training" / "losses.py")
    assert python("-c", planned).split() != list(runs)
