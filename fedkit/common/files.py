"""Writing without half-written results: into a temporary neighbour first, then one rename; and JSON both ways."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .errors import FedkitError

_ATTEMPTS = 5  # renames tried when another process saves to the same place


@contextlib.contextmanager
def new_file(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well; else nothing is left.

    `FedkitError` where the folder cannot be written.
    """
    target = Path(path)
    with _clear(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        os.close(handle)
        try:
            yield Path(name)
            os.chmod(name, 0o644)
            os.replace(name, target)
        finally:
            Path(name).unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write a UTF-8 file whole or not at all; `FedkitError` where the folder cannot be written."""
    with new_file(path) as part:
        part.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, data: Any, *, indent: int | None = 2) -> Path:
    """`write_text` of JSON."""
    return write_text(path, json.dumps(data, indent=indent, ensure_ascii=False) + "\n")


def read_json(path: str | Path, default: Any = None) -> Any:
    """The content of a JSON file that fedkit wrote; `default` where it is absent or unreadable."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return default


@contextlib.contextmanager
def new_folder(path: str | Path, ours: Callable[[Path], bool]) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends well; else nothing is left.

    A folder that is there already is replaced only where it is empty or `ours(path)` knows it. `FedkitError` where it
    is not ours or cannot be written.
    """
    target = Path(path)
    with _clear(target):
        if target.is_dir() and any(target.iterdir()) and not ours(target):
            raise FedkitError(f"{target} holds other files; save to a new or an empty folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
        try:
            folder.chmod(0o755)
            yield folder
            _replace(folder, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _replace(folder: Path, target: Path) -> None:
    """Rename `folder` to `target`; a folder in its place is moved aside and then removed (open maps stay valid)."""
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{target} is a file")
    old = folder.with_suffix(".old")
    for attempt in range(_ATTEMPTS):
        try:
            if target.exists():
                os.rename(target, old)
            os.rename(folder, target)
            break
        except OSError:  # another process was quicker
            if attempt == _ATTEMPTS - 1:
                raise
            shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _clear(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise FedkitError(
            f"cannot write {target} ({why}); choose another output folder, or mend its rights or free space"
        ) from error


def project_root() -> Path:
    """The checkout that a notebook or shell stands in: the nearest folder above with `reproduce.py`, else here."""
    here = Path.cwd()
    return next((p for p in (here, *here.parents) if (p / "reproduce.py").is_file()), here)
