"""Replies kept on disk, one JSON line each, so that a stopped run asks nothing twice."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...common.errors import FedkitError
from ...common.files import PRIVATE


def cache_key(origin: str, model: str, messages: Sequence[Mapping[str, str]], options: Mapping[str, Any]) -> str:
    """SHA-256 of server, model, whole prompt (question, answer and reference are in it) and sampling."""
    text = json.dumps([origin, model, list(messages), dict(options)], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _check(record: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits of a record, whatever the order of its fields."""
    return hashlib.sha256(json.dumps(record, sort_keys=True, ensure_ascii=True).encode()).hexdigest()[:16]


class JudgeCache:
    """Replies by key. `path` None keeps them in memory alone.

    A reply is appended by one write and with a checksum, so a process that is killed loses at most what it was writing:
    a line that was cut or changed is passed over (`torn` counts them) and asked again. Several processes may append to
    one file, which nobody else may read: it holds people's questions and the words of a server.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.torn = 0
        self._kept: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._file: int | None = None
        if self.path is not None:
            self._read(self.path)

    def _read(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, PRIVATE)
            with contextlib.suppress(PermissionError):  # of another user, who let us write
                os.fchmod(self._file, PRIVATE)
            with open(path, "rb") as file:
                for line in file:
                    self._take(line)
        except OSError as error:
            raise FedkitError(f"the judge's cache {path} cannot be used ({error.strerror}); choose another") from None

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            key, whole = record["key"], record.pop("check") == _check(record)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            key, whole = "", False
        if whole:
            self._kept.setdefault(key, record)  # the first reply counts: a second never changes a score
        else:
            self.torn += bool(line.strip())

    def __len__(self) -> int:
        return len(self._kept)

    def copy_into(self, other: JudgeCache) -> None:
        """Put every kept record into another cache."""
        for key, record in self._kept.items():
            other.put(key, record)

    def get(self, key: str) -> dict[str, Any] | None:
        """The kept record, with at least `reply`."""
        return self._kept.get(key)

    def put(self, key: str, record: Mapping[str, Any]) -> None:
        """Keep a record under its key, unless one is there; `FedkitError` where the disk refuses."""
        kept = {"key": key, **record}
        with self._lock:
            if key in self._kept:
                return
            if self._file is not None:
                try:
                    self._append(self._file, json.dumps({**kept, "check": _check(kept)}).encode() + b"\n")
                except OSError as error:
                    raise FedkitError(
                        f"the judge's cache {self.path} cannot be written ({error.strerror}); free space and run again"
                    ) from None
            self._kept[key] = kept

    @staticmethod
    def _append(file: int, line: bytes) -> None:
        """Write a line whole, and never behind what a full disk or a kill has cut, be it another process's."""
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(file, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Close the file; the replies stay readable."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def __del__(self) -> None:
        self.close()
