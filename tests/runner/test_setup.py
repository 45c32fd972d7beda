"""The set-up files are in step with each other: pyproject, lock, conda, make, CI, licence."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# What the project's owner fixed: all of it is in the lock, the user's part of it in pyproject's base.
FIXED = {
    *("accelerate", "benepar", "bitsandbytes", "datasets", "filelock", "jupyterlab", "nbconvert", "openai"),
    *("papermill", "peft", "psutil", "pydantic", "sacrebleu", "scikit-learn", "scipy", "seaborn"),
    *("torch", "tqdm", "transformers", "trl"),
}
DEVELOPMENT = {"hypothesis", "pytest", "pytest-xdist", "ruff"}


def requirements(lines):
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def lock_lines():
    text = (ROOT / "requirements.lock").read_text()
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_lock_pins_everything_to_public_versions():
    for line in lock_lines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*( ; .+)?", line), line
    assert len(requirements(lock_lines())) == len(lock_lines())  # none twice
    assert "torch==2.13.0" in lock_lines()


def test_lock_holds_every_requirement_within_its_range():
    lock = requirements(lock_lines())
    extras = PROJECT["optional-dependencies"]
    wanted = requirements(PROJECT["dependencies"]) | requirements(extras["dev"]) | requirements(extras["flower"])
    assert set(lock) >= set(wanted) and FIXED | DEVELOPMENT <= set(lock)
    assert FIXED <= set(requirements(PROJECT["dependencies"]))
    for name, requirement in wanted.items():
        (pin,) = lock[name].specifier
        assert requirement.specifier.contains(pin.version), f"{requirement} does not allow {lock[name]}"
        assert lock[name].marker is None, f"{name} must be installed everywhere"


def test_lock_is_what_runs_here():
    """The environment of this run has the pinned versions (torch may carry a local label such as +cpu)."""
    from importlib.metadata import PackageNotFoundError, version

    differing = []
    for name, requirement in requirements(lock_lines()).items():
        if requirement.marker is None or requirement.marker.evaluate():
            (pin,) = requirement.specifier
            try:
                here = version(name).split("+")[0]
            except PackageNotFoundError:
                here = "absent"
            if here != pin.version:
                differing.append(f"{name} {here}, locked {pin.version}")
    if differing and not (ROOT / ".venv").is_dir():
        pytest.skip(f"not run in the locked environment: {'; '.join(differing[:3])}")
    assert not differing


def test_pyproject_says_what_the_package_is():
    assert PROJECT["name"] == "fedkit" and PROJECT["license"] == "Apache-2.0"
    assert set(PROJECT["optional-dependencies"]) >= {"dev", "eval", "flower", "gpu"}
    for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        for requirement in requirements(lines).values():
            assert any(one.operator == ">=" for one in requirement.specifier), f"{requirement} has no lower bound"


def test_every_file_of_the_package_is_packed():
    """package-data's patterns reach each file that is not Python."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["fedkit"]
    package = ROOT / "fedkit"
    packed = {path for pattern in patterns for path in package.glob(pattern)}
    rest = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and path not in packed
    ]
    assert rest == []


def test_conda_environment_is_in_step():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert conda == [f"python{PROJECT['requires-python']}", "pip"]
    # This package with its own ranges, held to the lock: nothing is written twice, so nothing can drift.
    assert pip == ["-c requirements.lock", "-e .[dev,flower]"]
    assert environment["name"] == PROJECT["name"]


@pytest.mark.parametrize("target", ["reproduce", "test", "lab", "bench", "lint"])
def test_each_target_builds_the_environment_first(target, tmp_path):
    """`make -n` in a fresh copy: the venv, the lock, the package, then the work."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}  # of `make test`
    done = subprocess.run(["make", "-n", target], cwd=tmp_path, env=clean, capture_output=True, text=True, check=True)
    steps = [
        "-m venv .venv",
        "install --disable-pip-version-check --quiet --no-compile -r requirements.lock",
        "--no-deps",
        "touch",
    ]
    places = [done.stdout.index(step) for step in steps]
    assert places == sorted(places)
    work = {"reproduce": "reproduce.py --profile mini", "test": "python -m pytest", "lab": "jupyter lab notebooks"}
    last = work | {"bench": "bench/", "lint": "ruff format --check"}
    assert done.stdout.index(last[target]) > places[-1]


def test_a_python_that_is_too_old_is_named(tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(["make", "lint", "PYTHON=false"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "fedkit needs Python 3.11 or newer, and 'false' is not" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_ci_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash" and "set -euo pipefail" in lines and lines[-1] == "make test"


def test_licence_citation_and_ignored_files():
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence and "Version 2.0, January 2004" in licence and "APPENDIX" in licence
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["license"] == PROJECT["license"] and citation["version"] == PROJECT["version"]
    assert {one["title"].split(":")[0] for one in citation["references"]} == {"FedLLM-Bench", "OpenFedLLM"}
    assert {".venv/", "results/", "__pycache__/"} <= set((ROOT / ".gitignore").read_text().split())
    assert PROJECT["version"] in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md"])
def test_links_of_the_front_pages_lead_somewhere(name):
    """Their relative links; the README leads to the page on trust."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / name).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert name != "README.md" or "SECURITY.md" in links
