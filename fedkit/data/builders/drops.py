"""What a builder left out, and why: nothing is dropped without being counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import pandas as pd

Record = TypeVar("Record")


class DropReport:
    """Records read, kept, and dropped by reason; with each reason the clients (annotators) that it removed.

    A record is dropped for the first rule that it breaks. A client is removed by the last rule, in the order of
    `reasons`, that took a record of its, provided none of its records is kept.

    `notes` counts records by what was unusual in reading them (an older schema, say), dropped in the end or not.
    """

    def __init__(self, reasons: Sequence[str] = ()) -> None:
        self.read = 0
        self.kept = 0
        self.notes: dict[str, int] = {}
        self._records: dict[str, int] = dict.fromkeys(reasons, 0)
        self._last: dict[str, str] = {}  # client -> the last reason that took a record of it
        self._survivors: set[str] = set()

    def reading(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records, counted as they pass."""
        for record in records:
            self.read += 1
            yield record

    def add(self, reason: str, records: int = 1, client: str | None = None) -> None:
        """Count `records` dropped for `reason`; `client` is whose they were, where that is known."""
        self._records[reason] = self._records.get(reason, 0) + records
        if client is not None:
            order = list(self._records)
            before = self._last.get(client)
            if before is None or order.index(reason) > order.index(before):
                self._last[client] = reason

    def note(self, what: str) -> None:
        """Count a record that was read in another way than usual."""
        self.notes[what] = self.notes.get(what, 0) + 1

    def keep(self, records: int, clients: Iterable[str] = ()) -> None:
        """Settle what was kept, and whose; raises `RuntimeError` unless kept and dropped make up what was read."""
        self.kept, self._survivors = records, set(clients)
        if self.kept + self.dropped != self.read:
            raise RuntimeError(f"{self.read} records read, but {self.kept} kept and {self.dropped} dropped")

    @property
    def dropped(self) -> int:
        """Records dropped, for any reason."""
        return sum(self._records.values())

    @property
    def rows(self) -> list[tuple[str, int, int]]:
        """(reason, records, clients) of every reason that dropped something, in the order of the rules."""
        gone = [reason for client, reason in self._last.items() if client not in self._survivors]
        return [(reason, records, gone.count(reason)) for reason, records in self._records.items() if records]

    def frame(self) -> pd.DataFrame:
        """Columns reason, records, clients: first what was read, then each rule, last what was kept.

        Records add up: read = rules + kept. So do clients, where the builder knows whose each record was.
        """
        removed = sum(clients for _, _, clients in self.rows)
        kept = len(self._survivors)
        lines = [("read", self.read, removed + kept), *self.rows, ("kept", self.kept, kept)]
        return pd.DataFrame(lines, columns=["reason", "records", "clients"])

    def sentence(self) -> str:
        """The reasons in one line: `12 other language, 3 empty 'targets'`."""
        return ", ".join(f"{records} {reason}" for reason, records, _ in self.rows) or "none"
