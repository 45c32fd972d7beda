"""Processes that end with the process that started them, however that one ends: a killed parent cannot tell them.

`end_with_parent` is for Python processes of our own, `ending_with_parent` for commands. Both take the parent's id from
the parent itself, so that one that died before its child looked is noticed too.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from functools import cache

LOOK = 0.5  # seconds between two looks


def end_with_parent(parent: int) -> None:
    """End this process and all below it once `parent` (its `os.getpid()`, handed on by it) is not the parent any more.

    At once if it is gone already; else within `LOOK` seconds, by a daemon thread. To be called as often as one likes.
    Not the kernel's own signal for it, which also comes when the parent's *thread* ends that started this process.
    """
    if os.getppid() != parent:
        _end()
    _start_watch(os.getpid(), parent)


@cache
def _start_watch(own: int, parent: int) -> None:  # `own`: a forked child inherits the cache and no thread
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    _end()


def _end() -> None:
    import psutil

    for process in psutil.Process().children(recursive=True):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    os._exit(1)


# The kernel's signal stays set when a program becomes another, and the shell looks for its parent after it was set: a
# parent that died in between is not missed. $0: the parent's id.
_UNLESS_ORPHANED = '[ "$PPID" = "$0" ] || exit 1; exec "$@"'


def ending_with_parent(command: list[str]) -> list[str]:
    """The command, killed by the kernel when the thread that starts it ends, and so with the process; Linux.

    To be started by the calling process, whose thread must then wait for it. Without util-linux's setpriv, or the
    signal in it (before 2.33), the command as it is.
    """
    if not _can_signal():
        return command
    return ["setpriv", "--pdeathsig", "KILL", "sh", "-c", _UNLESS_ORPHANED, str(os.getpid()), *command]


@cache
def _can_signal() -> bool:
    import subprocess

    words = ["setpriv", "--pdeathsig", "KILL", "true"]
    return shutil.which(words[0]) is not None and subprocess.run(words, capture_output=True).returncode == 0
