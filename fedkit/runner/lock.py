"""One run at a time on one results folder, and no run on a folder that cannot be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..common.errors import FedkitError
from ..common.files import read_json, write_json


def check_writable(folder: Path) -> None:
    """Makes results/<profile> and writes a trial file there; FedkitError names what stands in the way."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".trial.", dir=folder):
            pass
    except OSError as error:
        raise FedkitError(
            f"the results folder {folder} cannot be written ({error.strerror}); free it or give another with --results"
        ) from error


@contextmanager
def results_lock(folder: Path) -> Iterator[None]:
    """Holds `folder`/.lock. FedkitError names the process that holds it already. A killed holder leaves no lock."""
    from filelock import FileLock, Timeout

    check_writable(folder)
    holder = folder / ".lock.json"
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        pid = read_json(holder, {}).get("pid", "unknown")
        raise FedkitError(
            f"another run (process {pid}) is writing to {folder}; wait for it, stop it, or give another --results"
        ) from error
    try:
        write_json(holder, {"pid": os.getpid()})
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
