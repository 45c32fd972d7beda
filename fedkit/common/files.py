"""Writing without half-written results: into a temporary neighbour first, then one rename; and JSON both ways.

What is kept to be believed later is sealed: its checksum stands beside it, and what does not fit is not read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .errors import FedkitError

_ATTEMPTS = 5  # renames tried when another process saves to the same place
SHAREABLE, PRIVATE = 0o666, 0o600  # modes of new files: what the umask leaves of the first; the owner's alone
ELSEWHERE = "choose another output folder, or mend its rights or free space"
_SEAL, _END = b'{"sha256": "%s", "data": ', b"}\n"  # around the very bytes that the checksum is of


@contextlib.contextmanager
def new_file(path: str | Path, mode: int = SHAREABLE, *, remedy: str = ELSEWHERE) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well; else nothing is left.

    mode: `SHAREABLE`, or `PRIVATE` for what nobody else may read. `FedkitError` with the remedy where the folder cannot
    be written.
    """
    target = Path(path)
    with _clear(target, remedy):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = _neighbour(target)
        handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        mode = os.fstat(handle).st_mode & 0o777  # what the umask left
        os.close(handle)
        try:
            yield part
            os.chmod(part, mode)  # safetensors puts a private file of its own in the place of this one
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)


def write_text(path: str | Path, text: str, *, mode: int = SHAREABLE, remedy: str = ELSEWHERE) -> Path:
    """Write a UTF-8 file whole or not at all; `FedkitError` with the remedy where the folder cannot be written.

    Halves of characters, as names of files may have them, become escapes; JSON reads them back as they were.
    """
    with new_file(path, mode, remedy=remedy) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
    return Path(path)


def write_json(path: str | Path, data: Any, *, indent: int | None = 2) -> Path:
    """`write_text` of JSON."""
    return write_text(path, json.dumps(data, indent=indent, ensure_ascii=False) + "\n")


def read_json(path: str | Path, default: Any = None) -> Any:
    """The content of a JSON file that fedkit wrote; `default` where it is absent or unreadable."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return default


def write_sealed(path: str | Path, data: Any, *, mode: int = SHAREABLE) -> Path:
    """Plain data as JSON, `{"sha256": checksum, "data": data}`, for `read_sealed`."""
    body = json.dumps(data, ensure_ascii=True)
    return write_text(path, _sealed(body.encode()).decode(), mode=mode)


def read_sealed(path: str | Path, remedy: str = "delete it") -> Any:
    """The data of a file of `write_sealed`; None where there is no such file.

    `FedkitError` for one that is not as it was written: cut, edited or of another form. It ends with the remedy.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FedkitError(f"{path} cannot be read ({error.strerror}); {remedy}") from None
    body = content[len(_SEAL % (b"0" * 64)) : -len(_END)]
    if content != _sealed(body):
        raise FedkitError(f"{path} is not as it was written (its checksum does not fit); {remedy}")
    return json.loads(body)


def _sealed(body: bytes) -> bytes:
    return _SEAL % hashlib.sha256(body).hexdigest().encode() + body + _END


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
        folder = _neighbour(target)
        folder.mkdir()
        try:
            yield folder
            _replace(folder, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _neighbour(target: Path) -> Path:
    """A name beside `target` that nobody has."""
    return target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")


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
def _clear(target: Path, remedy: str = ELSEWHERE) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise FedkitError(f"cannot write {target} ({why}); {remedy}") from error


def user_path(path: str | Path) -> Path:
    """A path as a user gives it, absolute, `~` being a home; `FedkitError` where there is no such home, or no path."""
    if not str(path):  # an empty variable of the shell, most often
        raise FedkitError("an empty word is given where a path belongs; give one, or leave the option out")
    try:
        return Path(path).expanduser().resolve()
    except (RuntimeError, OSError, ValueError) as error:  # an unknown user, a circle of links, a null byte
        raise FedkitError(f"{str(path)!r} is no path on this machine ({error}); write it out from / on") from error


def visible(folder: Path, pattern: str) -> list[Path]:
    """What a pattern matches in a folder, sorted, without names that begin with a dot, at any depth.

    File managers and archives leave such names beside real ones (`._table.csv` of macOS); partial files have them too.
    """
    return sorted(p for p in folder.glob(pattern) if not any(x.startswith(".") for x in p.relative_to(folder).parts))


def project_root() -> Path:
    """The checkout that a notebook or shell stands in: the nearest folder above with `reproduce.py`, else here."""
    here = Path.cwd()
    return next((p for p in (here, *here.parents) if (p / "reproduce.py").is_file()), here)
