"""Replies kept on disk, one JSON line each, so that a stopped run asks nothing twice."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...common.errors import FedkitError


def cache_key(origin: str, model: str, messages: Sequence[Mapping[str, str]], options: Mapping[str, Any]) -> str:
    """SHA-256 of server, model, whole prompt (question, answer and reference are in it) and sampling."""
    text = json.dumps([origin, model, list(messages), dict(options)], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class JudgeCache:
    """Replies by key. `path` None keeps them in memory alone.

    A reply is appended by one write, so a process that is killed loses at most what it was writing: a line that was
    cut is passed over (`torn` counts them) and asked again. Several processes may append to one file.
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
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            with open(path, "rb") as file:
                line = b"\n"
                for line in file:
                    self._take(line)
            if not line.endswith(b"\n"):  # what follows must not be joined to what was cut
                os.write(self._file, b"\n")
        except OSError as error:
            raise FedkitError(f"the judge's cache {path} cannot be used ({error.strerror}); choose another") from None

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            key, reply = record["key"], record["reply"]
        except (ValueError, KeyError, TypeError):
            self.torn += bool(line.strip())
            return
        if isinstance(key, str) and isinstance(reply, str):
            self._kept.setdefault(key, record)  # the first reply counts: a second never changes a score
        else:
            self.torn += 1

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
                line = json.dumps(kept).encode() + b"\n"
                try:
                    if os.write(self._file, line) != len(line):
                        raise OSError(28, "no space left on the disk")
                except OSError as error:
                    raise FedkitError(
                        f"the judge's cache {self.path} cannot be written ({error.strerror}); free space and run again"
                    ) from None
            self._kept[key] = kept

    def close(self) -> None:
        """Close the file; the replies stay readable."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def __del__(self) -> None:
        self.close()
