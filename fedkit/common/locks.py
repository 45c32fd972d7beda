"""Locks between processes, in which whoever waits is told whom it waits for, and since when that one has held it."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import console
from .errors import FedkitError
from .files import read_json, write_json

PATIENCE = 1.0  # seconds of waiting in silence
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)  # what file systems without locks answer


@contextlib.contextmanager
def held(path: str | Path, what: str, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path`, which guards `what` ("the run ..."); its folder is made. A killed holder leaves none.

    While it is held, `<path>.json` says by whom. Where another process holds it, that is said after a second and
    waited for; or, without `wait`, refused at once. `FedkitError` also for a folder that cannot be written or locked.
    """
    from filelock import FileLock, Timeout

    path = Path(path)
    holder = path.with_name(f"{path.name}.json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=PATIENCE if wait else 0)
        except Timeout:
            if not wait:
                raise FedkitError(
                    f"another run ({described(holder)}) is writing to {what}; wait for it, stop it, or give another"
                    " --results"
                ) from None
            console.say(f"waiting for {what}, which another process holds ({described(holder)})")
            lock.acquire(poll_interval=0.2)
    except OSError as error:
        raise _refused(path, error) from error
    try:
        write_json(holder, _myself())
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def described(holder: Path) -> str:
    """Who wrote a holder's note: `process 12 on host since 2026-11-30 09:00:00 UTC: python reproduce.py`."""
    note = read_json(holder)
    note = note if isinstance(note, dict) else {}
    pid, host, command, since = (note.get(key) for key in ("pid", "host", "command", "since"))
    if not pid:
        return "process unknown"
    return f"process {pid} on {host} since {since}: {command}"


def _myself() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": " ".join(shlex.join(sys.orig_argv).split())[:200],
        "since": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
    }


def _refused(path: Path, error: OSError) -> FedkitError:
    why = error.strerror or str(error)
    if error.errno in _NO_LOCKS:
        return FedkitError(
            f"{path}: its file system cannot lock files ({why}), as some network file systems cannot; give a --results"
            " folder on a local disk, or have it mounted with locks"
        )
    return FedkitError(f"{path.parent}: cannot be written ({why}); give another --results folder")
