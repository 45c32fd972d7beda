"""Cores that may be used: by affinity and by CPU quota; and what FEDKIT_JOBS may say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedkit.common import machine
from fedkit.common.errors import FedkitError
from fedkit.common.machine import cores, jobs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Sixteen cores, and control groups as files: a function of /proc/self/cgroup's text and {file: text}."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    monkeypatch.delattr(os, "process_cpu_count", raising=False)

    def write(own, files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "mounted" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return cores(tmp_path / "own", tmp_path / "mounted")

    return write


@pytest.mark.parametrize(
    "own, files, expected",
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, 16),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),  # a container: docker run --cpus 2
        ("0::/\n", {"cpu.max": "350000 100000\n"}, 3),  # whole cores
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),  # at least one
        ("0::/a/b\n", {"cpu.max": "max 100000", "a/cpu.max": "400000 100000", "a/b/cpu.max": "800000 100000"}, 4),
        (
            "4:cpu,cpuacct:/d\n0::/\n",
            {"cpu,cpuacct/d/cpu.cfs_quota_us": "600000", "cpu,cpuacct/d/cpu.cfs_period_us": "100000"},
            6,
        ),
        ("4:cpu,cpuacct:/host/only\n", {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 16),
        ("3:cpuset:/\n", {"cpuset/cpu.cfs_quota_us": "100000", "cpuset/cpu.cfs_period_us": "100000"}, 16),
        ("0::/\n", {"cpu.max": "nonsense"}, 16),
        ("", {}, 16),
    ],
)
def test_a_quota_is_worth_so_many_whole_cores(groups, own, files, expected):
    assert groups(own, files) == expected


def test_no_control_groups_at_all(tmp_path):
    assert cores(tmp_path / "none", tmp_path / "none") >= 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no processes")
def test_a_pinned_process_has_as_many_cores_as_it_is_pinned_to():
    """`taskset -c N`, and both who ask: the runner and `train_all`."""
    one = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, [{one}])\n"
        "from fedkit.common.machine import cores, jobs; from fedkit.runner import process\n"
        "print(cores(), jobs(), process.cores())"
    )
    env = {k: v for k, v in os.environ.items() if k != machine.JOBS} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.stdout == "1 1 1\n", done.stderr


def test_jobs_are_those_asked_for_or_the_environments_or_one_a_core(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 7)
    for unset in ("", " "):
        monkeypatch.setenv(machine.JOBS, unset)
        assert jobs() == 7 and jobs(None, 1) == 1 and jobs(3) == 3
    monkeypatch.setenv(machine.JOBS, "2")
    assert jobs() == 2 and jobs(None, 1) == 2 and jobs(5) == 5


@pytest.mark.parametrize("words", ["abc", "0", "-1", "1.5", "²"])
def test_jobs_that_are_no_number_are_told(monkeypatch, words):
    monkeypatch.setenv(machine.JOBS, words)
    with pytest.raises(FedkitError, match="FEDKIT_JOBS is .*; set it to a whole number of at least 1, or unset it"):
        jobs()


@pytest.mark.parametrize("given", [0, -1, True, 1.5])
def test_jobs_that_are_handed_in(given):
    with pytest.raises(FedkitError, match="jobs is .*; it must be a whole number of at least 1"):
        jobs(given)
