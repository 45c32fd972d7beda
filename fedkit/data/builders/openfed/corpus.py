"""One corpus dealt at random to clients (OpenFedLLM section 4.1, the first of its two types of partition)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ....common.errors import FedkitError
from ....profiles import Profile
from ...arrow import Sink
from ...partitioners import iid
from ...sources import Located, locate, raw_records
from ..built import Built, Cut, assemble
from ..checks import reasons, require_usable
from ..drops import DropReport
from ..schemas import ANSWERED

LANGUAGE = "en"  # of all these sets, but for strays that no field marks


@dataclass(frozen=True)
class Corpus:
    """A training set, called like any builder: how a raw record becomes a row, and the published numbers.

    `row(record, fields)` gives a row of `schema`, or the reason (one of `rules`, or of `checks.reasons`) why there is
    none. `once` names a column of which each value is kept only the first time. `clients` and `samples` are the
    paper's, None where it has no such run; `place` says where they stand.
    """

    name: str
    row: Callable[[Any, Mapping[str, type]], dict[str, str] | str]
    place: str
    clients: int | None = None
    samples: int | None = None
    schema: pa.Schema = ANSWERED
    rules: tuple[str, ...] = ()
    once: str | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The raw sources that it, and its test set, may read."""
        return (self.name, f"{self.name}_test")

    @property
    def repeated(self) -> str:
        """The reason that drops a second record with the same `once`."""
        return f"repeated {self.once!r}"

    def reasons(self, fields: Mapping[str, type]) -> tuple[str, ...]:
        """Every reason for which a record may be dropped, in order."""
        return (*reasons(fields, *self.rules), *([self.repeated] if self.once else []))

    def read(self, located: Located, drops: DropReport, limit: int | None = None) -> pa.Table:
        """The usable records as a table of the schema; `FedkitError` where there is none."""
        fields = located.source.fields
        sink, kept = Sink(located.where, self.schema), 0
        seen: set[bytes] = set()
        for raw in drops.reading(raw_records(located, limit=limit if located.kind == "embedded" else None)):
            row = self.row(raw, fields)
            if not isinstance(row, str) and self.once:
                mark = hashlib.blake2b(row[self.once].encode(), digest_size=16).digest()
                row = self.repeated if mark in seen else row
                seen.add(mark)
            if isinstance(row, str):
                drops.add(row)
                continue
            sink.add(row)
            kept += 1
        require_usable(located, drops, kept, fields)
        return sink.table()

    def deal(self, located: Located, profile: Profile, cut: Cut, raw_limit: int | None = None) -> Built:
        """Read the records from where they are, and deal them to `cut.n_clients` clients."""
        if cut.n_clients is None:
            raise FedkitError(f"profile {profile.name} gives {self.name} no n_clients; pass n_clients")
        drops = DropReport(self.reasons(located.source.fields))
        table = self.read(located, drops, raw_limit)
        base = iid(table.num_rows, cut.n_clients, seed=cut.seed, minimum=cut.minimum)
        paper = {"clients": self.clients, "samples": self.samples, "place": self.place}
        return assemble(self.name, table, base, cut=cut, drops=drops, located=located, paper=paper, owned=False)

    def __call__(
        self,
        profile: Profile,
        cut: Cut,
        *,
        data_dir: str | Path | None = None,
        offline: bool = False,
        raw_limit: int | None = None,
    ) -> Built:
        """The records dealt at random to `n_clients` clients of at most `max_records_per_client` each.

        The paper draws its samples first (20,000 of Alpaca-GPT4) and deals them then; to deal all and cap each client
        at its part (1,000) gives samples of the same distribution, and the drop report shows what was left out.
        """
        located = locate(self.name, data_dir=data_dir, offline=offline, embedded=profile.embedded)
        return self.deal(located, profile, cut, raw_limit)
