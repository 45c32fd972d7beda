"""What building a dataset returns, and its last steps: what was dropped, the cap, the control split, the counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from ...common.errors import FedkitError, unknown
from ...common.seeds import generator
from ..arrow import values
from ..federated import FederatedDataset
from ..partitioners import Partition, by_language, dirichlet, iid, quantity_skew

if TYPE_CHECKING:
    from ..place import Located

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


@dataclass
class Built:
    """A federated dataset with the story of its making.

    `paper` holds the published counts (`clients`, `samples`; None where there is none) and their `place`.
    """

    dataset: FederatedDataset
    drops: DropReport
    located: Located
    paper: dict[str, Any]

    def counts(self) -> pd.DataFrame:
        """Clients and samples, ours beside the published; columns what, ours, paper (NaN where none)."""
        ours = {"clients": len(self.dataset), "samples": self.dataset.n_records}
        lines = [(what, count, self.paper.get(what)) for what, count in ours.items()]
        return pd.DataFrame(lines, columns=["what", "ours", "paper"]).astype({"paper": "float64"})


@dataclass(frozen=True)
class Cut:
    """How records become clients: what a profile says of a dataset, and what a caller changes of it."""

    minimum: int = 1  # records that a client needs to stay
    n_clients: int | None = None  # of dealt records; None where the clients are the dataset's own
    max_records_per_client: int | None = None
    raw_records: int | None = None  # size of the embedded raw corpus; None: all of it
    partition: str | None = None  # None: the dataset's own split; else a control over the very same records
    alpha: float = 0.5  # of the controls that draw from a Dirichlet distribution
    seed: int = 0  # draws splits and caps; the raw records do not depend on it


def _languages(table: pa.Table) -> list[str]:
    return list(values(table["language"]))


def _labels(table: pa.Table) -> list[str]:
    """What a Dirichlet split draws over: the domain where records have one, else the language."""
    return list(values(table["domain" if "domain" in table.column_names else "language"]))


# Control splits of a table into n clients; what is learnt on the natural split and not on these is due to the split.
CONTROLS: Mapping[str, Callable[[pa.Table, int, Cut], Partition]] = MappingProxyType(
    {
        "iid": lambda table, n, cut: iid(table.num_rows, n, seed=cut.seed),
        "dirichlet": lambda table, n, cut: dirichlet(_labels(table), n, cut.alpha, seed=cut.seed),
        "quantity_skew": lambda table, n, cut: quantity_skew(table.num_rows, n, cut.alpha, seed=cut.seed),
        "by_language": lambda table, n, cut: by_language(_languages(table)),
    }
)


def assemble(
    name: str,
    table: pa.Table,
    base: Partition,
    *,
    cut: Cut,
    drops: DropReport,
    located: Located,
    paper: dict[str, Any],
    owned: bool,
) -> Built:
    """Cap the clients of the dataset's own split, split anew where the cut names a control, and settle the counts.

    `owned`: the clients of `base` are people, and the drop report counts those that are left.
    """
    if owned and cut.n_clients is not None and cut.partition is None:
        raise FedkitError(
            f"{name} has its own {len(base)} clients; n_clients goes with a control split such as partition='iid'"
        )
    base = _capped(base, cut, drops)
    kept = np.sort(np.concatenate(list(base.values())))
    drops.keep(len(kept), base if owned else ())
    parts = base
    if cut.partition is not None:
        if cut.partition not in CONTROLS:
            raise unknown("partition", cut.partition, CONTROLS)
        own = table.take(pa.array(kept))
        split = CONTROLS[cut.partition](own, cut.n_clients or len(base), cut)
        parts = {client: kept[rows] for client, rows in split.items()}
    columns = [column for column in table.column_names if column != "client_id"]
    info = {
        "source": located.describe(),
        "licence": located.source.licence,
        "split": cut.partition or "its own",
        "seed": cut.seed,
        "read": drops.read,
        "kept": drops.kept,
        "dropped": {reason: records for reason, records, _ in drops.rows},
        "read_as": dict(drops.notes),
    }
    dataset = FederatedDataset.from_partition(table.select(columns), parts, name=name, info=info)
    return Built(dataset, drops, located, paper)


def _capped(base: Partition, cut: Cut, drops: DropReport) -> Partition:
    """At most `max_records_per_client` rows a client, drawn without replacement, in their old order."""
    cap = cut.max_records_per_client
    if cap is None:
        return base
    if cap < 1:
        raise FedkitError(f"max_records_per_client is {cap}; it must be at least 1")
    capped = {}
    for client, rows in base.items():
        if len(rows) > cap:
            rng = generator(cut.seed, "builders/cap", client=client)
            drops.add(f"over the cap of {cap} a client", len(rows) - cap)
            rows = np.sort(rng.choice(rows, size=cap, replace=False))
        capped[client] = rows
    return capped
