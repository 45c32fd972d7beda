"""What was computed of a text, kept on disk by what computed it, so that a long run can stop and go on."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from ..common.errors import FedkitError


class TextCache:
    """Bytes by text in one SQLite file. `maker` names what computed them: another one has values of its own.

    Each `put` is written whole or not at all; several processes may share a file. `FedkitError` where the file cannot
    be opened or is no such cache.
    """

    def __init__(self, path: str | Path, maker: str) -> None:
        self._maker = maker
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=60)
            self._base.execute("CREATE TABLE IF NOT EXISTS texts (key TEXT PRIMARY KEY, value BLOB)")
        except (OSError, sqlite3.Error) as error:
            raise FedkitError(f"{path}: no usable cache ({error}); delete it") from error

    def get(self, text: str) -> bytes | None:
        """What is kept of a text; None where there is nothing yet."""
        row = self._base.execute("SELECT value FROM texts WHERE key = ?", (self._key(text),)).fetchone()
        return row[0] if row else None

    def put(self, texts: Sequence[str], values: Sequence[bytes]) -> None:
        """Keep one value a text."""
        with self._base:  # one transaction
            rows = [(self._key(text), value) for text, value in zip(texts, values, strict=True)]
            self._base.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?)", rows)

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{self._maker}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()
