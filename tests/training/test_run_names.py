"""What a run is named by: the source that trains it, followed along imports, and nothing else."""

from __future__ import annotations

import shutil

import pytest

from fedkit.algorithms.fedavg import FedAvg
from fedkit.algorithms.fedprox import FedProx
from fedkit.common.code import ROOT
from fedkit.privacy.base import Mechanism
from fedkit.privacy.published import PublishedNoise
from fedkit.privacy.user_level import UserLevelDP
from fedkit.training.runs import training_code

RUNS = {
    "plain": (FedAvg, Mechanism, "sft"),
    "proximal": (FedProx, Mechanism, "sft"),
    "pairs": (FedAvg, Mechanism, "dpo"),
    "private": (FedAvg, UserLevelDP, "sft"),
    "noisy": (FedAvg, PublishedNoise, "sft"),
}


@pytest.fixture
def renamed(tmp_path):
    """Which of `RUNS` have another name after edits to a copy of the package."""
    home = tmp_path / "fedkit"
    shutil.copytree(ROOT, home, ignore=lambda _, names: [n for n in names if not n.endswith(".py") and "." in n])

    def names():
        training_code.cache_clear()
        return {name: training_code(*run, root=home) for name, run in RUNS.items()}

    before = names()

    def changed(**edits):
        for path, text in edits.items():
            file = home / path.replace("__", "/").replace("_py", ".py")
            file.parent.mkdir(exist_ok=True)
            file.write_text((file.read_text(encoding="utf-8") if file.exists() else "") + text, encoding="utf-8")
        after = names()
        return sorted(name for name in RUNS if after[name] != before[name])

    yield changed
    training_code.cache_clear()


def test_every_kind_of_run_has_a_name_of_its_own():
    assert len({training_code(*run) for run in RUNS.values()}) == len(RUNS)


def test_a_new_algorithm_renames_no_run(renamed):
    """One file and one line of the registry."""
    line = "\nfrom .newest import Newest\n"
    assert renamed(algorithms__newest_py="class Newest: ...\n", algorithms__registry_py=line) == []


def test_a_new_mechanism_and_a_new_task_rename_no_run(renamed):
    edits = {"privacy__newest_py": "x = 1\n", "privacy__registry_py": "\nfrom . import newest\n"}
    assert renamed(**edits, training__registry_py="\n# a line\n") == []


@pytest.mark.parametrize("path", ["report__tables_py", "profiles__specs_py", "session_py", "evaluation__generation_py"])
def test_what_does_not_train_renames_no_run(renamed, path):
    assert renamed(**{path: "\n# changed\n"}) == []


@pytest.mark.parametrize(
    ("path", "which"),
    [
        ("training__losses_py", sorted(RUNS)),
        ("training__simulation_py", sorted(RUNS)),
        ("privacy__primitives_py", sorted(RUNS)),
        ("data__federated_py", sorted(RUNS)),
        ("training__reference_py", ["pairs"]),
        ("algorithms__fedprox_py", ["proximal"]),
        ("privacy__accounting_py", ["private"]),
        ("privacy__published_py", ["noisy"]),
    ],
)
def test_what_a_run_uses_renames_it(renamed, path, which):
    assert renamed(**{path: "\n# changed\n"}) == which


def test_a_new_file_that_the_client_imports_renames_runs(renamed):
    """No list has to be kept: the import is enough."""
    edits = {"training__brandnew_py": "x = 1\n", "training__sft_py": "\nfrom . import brandnew\n"}
    assert renamed(**edits) == ["noisy", "plain", "private", "proximal"]
    assert "plain" in renamed(training__brandnew_py="x = 2\n")
