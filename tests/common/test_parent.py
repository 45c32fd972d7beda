"""A killed parent takes its children with it: Python processes, commands, and those that start too late to be told."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import psutil
import pytest

from fedkit.common.parent import end_with_parent, ending_with_parent

SLEEPER = "import os, sys, time; from fedkit.common.parent import end_with_parent; {call}; print('up', flush=True)"
SLEEPER += "; time.sleep(300)"
# It starts `{start}` as `child`, prints the ids of all below it once `child` is up, and waits to be killed.
PARENT = """
    import os, subprocess, sys, time, psutil
    from fedkit.common.parent import ending_with_parent
    own = [str(os.getpid())]
    child = subprocess.Popen({start}, stdout=subprocess.PIPE)
    child.stdout.readline()
    print(*[p.pid for p in psutil.Process().children(recursive=True)], flush=True)
    time.sleep(300)
"""


def killed(start: str) -> list[psutil.Process]:
    """The processes below a parent, after the parent was killed."""
    command = [sys.executable, "-c", textwrap.dedent(PARENT).format(start=start)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        below = [psutil.Process(int(word)) for word in parent.stdout.readline().split()]
        parent.kill()
    assert below
    return below


def test_a_python_process_and_all_below_it_end():
    call = "end_with_parent(int(sys.argv[1])); import subprocess; subprocess.Popen(['sleep', '300'])"
    below = killed(f"[sys.executable, '-c', {SLEEPER.format(call=call)!r}, *own]")
    assert len(below) == 2 and psutil.wait_procs(below, timeout=20)[1] == []


def test_a_command_ends():
    if ending_with_parent(["true"]) == ["true"]:
        pytest.skip("setpriv of util-linux 2.33 or newer is not installed")
    below = killed("ending_with_parent(['sh', '-c', 'echo up; exec sleep 300'])")
    assert psutil.wait_procs(below, timeout=5)[1] == []


def test_a_parent_that_died_before_its_child_looked_is_noticed():
    """The id is not that of the parent any more: nothing runs, and the process ends at once."""
    source = SLEEPER.format(call="end_with_parent(int(sys.argv[1]))")
    done = subprocess.run([sys.executable, "-c", source, "1"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == ""
    command = ending_with_parent(["echo", "run"])
    if command != ["echo", "run"]:
        other = ["1" if word == str(os.getpid()) else word for word in command]
        assert subprocess.run(other, capture_output=True).stdout == b""
        assert subprocess.run(command, capture_output=True).stdout == b"run\n"


def test_a_living_parent_is_no_reason_to_end():
    end_with_parent(os.getppid())
    end_with_parent(os.getppid())
