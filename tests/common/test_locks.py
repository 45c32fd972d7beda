"""Who waits for a lock is told whom for; file systems without locks are a sentence; a killed holder holds nothing."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fedkit.common import locks
from fedkit.common.errors import FedkitError
from fedkit.common.locks import held

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from fedkit.common.locks import held
with held(sys.argv[1], "x"):
    print("held", flush=True)
    {then}
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `tmp_path/lock`, until it has done `then` or is killed."""
    started = []

    def start(then):
        words = [sys.executable, "-c", HOLD.format(then=then), str(tmp_path / "lock")]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_who_waits_is_told_whom_for_and_since_when(tmp_path, holder, monkeypatch, capfd):
    monkeypatch.setattr(locks, "PATIENCE", 0.2)
    process = holder("time.sleep(0.8)")
    since = json.loads((tmp_path / "lock.json").read_text())["since"]
    with held(tmp_path / "lock", "the run abc"):
        assert json.loads((tmp_path / "lock.json").read_text())["pid"] == os.getpid()
    (line,) = capfd.readouterr().err.splitlines()
    who = f"process {process.pid} on {socket.gethostname()} since {since}: {sys.executable} -c"
    assert line.startswith(f"waiting for the run abc, which another process holds ({who}")
    assert not (tmp_path / "lock.json").exists()


def test_a_free_lock_is_taken_without_a_word(tmp_path, capfd):
    for _ in range(2):
        with held(tmp_path / "new" / "lock", "x"):
            pass
    assert capfd.readouterr().err == "" and [p.name for p in (tmp_path / "new").iterdir()] == ["lock"]


def test_a_killed_holder_holds_nothing(tmp_path, holder, capfd):
    process = holder("time.sleep(60)")
    with pytest.raises(FedkitError, match=f"another run .process {process.pid} on .* since .*is writing to results"):
        with held(tmp_path / "lock", "results", wait=False):
            pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with held(tmp_path / "lock", "results", wait=False):
        assert json.loads((tmp_path / "lock.json").read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("content", [b"", b"\xff", b"[1]", b'{"pid": null}'])
def test_a_note_that_is_none_still_refuses(tmp_path, holder, content):
    holder("time.sleep(60)")
    (tmp_path / "lock.json").write_bytes(content)
    with pytest.raises(FedkitError, match="another run .process unknown"):
        with held(tmp_path / "lock", "results", wait=False):
            pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_a_sentence(tmp_path, monkeypatch, number):
    import fcntl

    def flock(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(FedkitError, match="cannot lock files .*; give a --results folder on a local disk"):
        with held(tmp_path / "lock", "x"):
            pass


def test_what_fails_inside_is_not_called_a_lock_that_fails(tmp_path):
    with pytest.raises(OSError, match="inside"), held(tmp_path / "lock", "x"):
        raise OSError("inside")
    with held(tmp_path / "lock", "x", wait=False):
        pass
