"""A federated dataset: one Arrow table ordered by client, and an index. A client is a zero-copy slice.

On disk a folder of three files and a note: `table.arrow` (uncompressed Arrow IPC, so that it is memory-mapped),
`clients.arrow` (ids), `offsets.npy` and `dataset.json` (name, counts, fingerprint). Opening one reads the note and
maps the rest, whatever the number of clients.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..common.errors import FedkitError
from ..common.files import new_file, new_folder
from .arrow import Sink, gather, map_ipc, values, write_ipc
from .content import content_hash, misfit, name_fault

_NOTE, _TABLE, _CLIENTS, _OFFSETS = "dataset.json", "table.arrow", "clients.arrow", "offsets.npy"
_FORMAT = "fedkit federated dataset 2"


@dataclass(frozen=True, eq=False)
class FederatedDataset:
    """Records of many clients. Rows `offsets[i]:offsets[i + 1]` of `table` belong to client i; ids ascend.

    `offsets`: int64, (clients + 1,). `info`: JSON-able notes on how it was made. Make one by `from_partition`, `load`
    or a builder. `FedkitError` for a name that cannot name a file, for parts that do not fit together, and for a record
    that cannot be trained on (`content.misfit`), with its client and field.
    """

    name: str
    table: pa.Table
    ids: pa.Array  # string, (clients,), ascending
    offsets: np.ndarray
    info: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if why := name_fault(self.name):
            raise FedkitError(f"{self.name!r} cannot name a dataset: {why}; give letters, digits, blanks, '-' and '_'")
        count = len(self.ids)
        fits = count and len(self.offsets) == count + 1 and self.offsets[0] == 0
        fits = fits and int(self.offsets[-1]) == self.table.num_rows and bool((np.diff(self.offsets) > 0).all())
        ascend = (
            fits and not self.ids.null_count and (count == 1 or pc.all(pc.less(self.ids[:-1], self.ids[1:])).as_py())
        )
        if not ascend:
            raise FedkitError(
                f"the clients of {self.name} do not fit its {self.table.num_rows} records: ids must ascend, and so must"
                " offsets, from 0 to the number of records; make it by FederatedDataset.from_partition"
            )
        if fault := misfit(self.table):
            row, what = fault
            client = self.ids[int(np.searchsorted(self.offsets, row, side="right")) - 1].as_py()
            raise FedkitError(f"{self.name}, client {client!r}: {what}; mend or leave out the record")

    @classmethod
    def from_partition(
        cls,
        table: pa.Table,
        partition: Mapping[str, np.ndarray],
        *,
        name: str,
        info: Mapping[str, Any] | None = None,
    ) -> FederatedDataset:
        """Order the rows of `table` by the clients of a partition (`fedkit.data.partitioners`).

        Rows that no client owns are left out. `FedkitError` where a client is empty, a row is out of range, or a row
        has two owners.
        """
        clients = sorted(partition)
        sizes = np.array([len(partition[client]) for client in clients], dtype=np.int64)
        if not len(sizes) or not sizes.min():
            empty = f"client {clients[int(sizes.argmin())]!r} owns no row" if len(sizes) else "it has no client"
            raise FedkitError(f"the partition of {name} is not usable: {empty}; give every client a record")
        rows = np.concatenate([np.asarray(partition[client], dtype=np.int64) for client in clients])
        if rows.min() < 0 or rows.max() >= table.num_rows:
            raise FedkitError(f"the partition of {name} names rows outside its {table.num_rows}; split this very table")
        if np.bincount(rows, minlength=table.num_rows).max() > 1:
            raise FedkitError(f"the partition of {name} gives a row to two clients; make its clients disjoint")
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return cls(name, gather(table, rows), pa.array(clients, pa.string()), offsets, dict(info or {}))

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"FederatedDataset({self.name!r}, {len(self)} clients, {self.n_records} records)"

    @property
    def n_records(self) -> int:
        """Records of all clients."""
        return int(self.offsets[-1])

    @cached_property
    def clients(self) -> tuple[str, ...]:
        """The ids, ascending. (As Python text; made on first use.)"""
        return tuple(self.ids.to_pylist())

    @cached_property
    def sizes(self) -> np.ndarray:
        """Records of each client, int64 (clients,); read-only."""
        sizes = np.diff(self.offsets)
        sizes.flags.writeable = False
        return sizes

    def position(self, key: str | int) -> int:
        """The place of a client, given its id or its place; `FedkitError` for one that is not there."""
        if isinstance(key, str):
            low, high = 0, len(self)
            while low < high:  # binary search, so that no dict of all clients is needed
                middle = (low + high) // 2
                if self.ids[middle].as_py() < key:
                    low = middle + 1
                else:
                    high = middle
            known = low < len(self) and self.ids[low].as_py() == key
        else:
            low = int(key)
            known = 0 <= low < len(self)
        if not known:
            raise FedkitError(
                f"{self.name} has no client {key!r}; its {len(self)} clients run from {self.ids[0].as_py()!r} to"
                f" {self.ids[-1].as_py()!r} (0 to {len(self) - 1} by place)"
            )
        return low

    def client(self, key: str | int) -> pa.Table:
        """The records of a client, by id or by place: a slice of the table that copies nothing."""
        at = self.position(key)
        return self.table.slice(int(self.offsets[at]), int(self.offsets[at + 1] - self.offsets[at]))

    def records(self, key: str | int) -> list[dict[str, Any]]:
        """The records of a client as dicts of Python values."""
        return self.client(key).to_pylist()

    def select(self, clients: Iterable[str | int]) -> FederatedDataset:
        """A dataset of these clients alone (their records are copied)."""
        places = sorted({self.position(key) for key in clients})
        if not places:
            raise FedkitError(f"no client of {self.name} was selected; name at least one")
        rows = np.concatenate([np.arange(self.offsets[i], self.offsets[i + 1]) for i in places])
        offsets = np.concatenate([[0], np.cumsum(self.sizes[places])]).astype(np.int64)
        info = {**self.info, "selected": f"{len(places)} of {len(self)} clients"}
        return FederatedDataset(self.name, gather(self.table, rows), self.ids.take(pa.array(places)), offsets, info)

    def summary(self) -> pd.DataFrame:
        """One row a client: client, records; where the columns exist languages (most frequent first), instruction_chars
        and response_chars, or chosen_chars and rejected_chars (means, in characters), turns (mean, of a conversation).
        """
        frame = pd.DataFrame({"client": self.ids.to_pylist(), "records": self.sizes})
        if "language" in self.table.column_names:
            frame["languages"] = self._languages()
        for column in ("instruction", "response", "chosen", "rejected"):
            if column in self.table.column_names:
                frame[f"{column}_chars"] = self._mean(pc.utf8_length(self.table[column]))
        if "conversation" in self.table.column_names:
            frame["turns"] = self._mean(pc.list_value_length(self.table["conversation"]))
        return frame

    def _mean(self, counts: pa.ChunkedArray) -> np.ndarray:
        """The mean of a count of each record, by client; null counts 0."""
        numbers = pc.fill_null(counts, 0).to_numpy().astype(np.int64)
        return np.add.reduceat(numbers, self.offsets[:-1]) / self.sizes

    def _languages(self) -> list[str]:
        owner = np.repeat(np.arange(len(self)), self.sizes)
        pairs = pd.DataFrame({"owner": owner, "language": self.table["language"].to_pandas()})
        counts = pairs.value_counts(["owner", "language"]).reset_index()  # name and count decide, not row order
        counts = counts.sort_values(["owner", "count", "language"], ascending=[True, False, True])
        joined = counts.groupby("owner")["language"].agg(", ".join)
        return joined.reindex(range(len(self)), fill_value="").tolist()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content, in hex: column names, clients and every record; not of name, notes or storage.

        Nor does the order of fields inside a nested value count (the turns of a conversation). Always computed: what a
        folder's note says is not believed.
        """
        return content_hash(self.table, self.ids, self.offsets)

    def save(self, folder: str | Path) -> Path:
        """Write the dataset to a folder, whole or not at all; one that is there already is replaced.

        `FedkitError` where the folder cannot be written or holds something else.
        """
        target = Path(folder)
        note = {"format": _FORMAT, "name": self.name, "clients": len(self), "records": self.n_records}
        note |= {"fingerprint": self.fingerprint, "info": self.info}
        with new_folder(target, ours=lambda path: (path / _NOTE).is_file() or (path / _TABLE).is_file()) as part:
            write_ipc(part / _TABLE, self.table)
            write_ipc(part / _CLIENTS, pa.table({"client": self.ids}))
            np.save(part / _OFFSETS, self.offsets)
            (part / _NOTE).write_text(json.dumps(note, indent=1, ensure_ascii=False), encoding="utf-8")
        return target

    @classmethod
    def load(cls, folder: str | Path) -> FederatedDataset:
        """Open a saved dataset, memory-mapped: records are read from disk when they are asked for.

        `FedkitError` where the folder holds none, or one whose parts do not fit.
        """
        source = Path(folder)
        try:
            note = json.loads((source / _NOTE).read_text(encoding="utf-8"))
            table, ids = map_ipc(source / _TABLE), map_ipc(source / _CLIENTS)["client"].combine_chunks()
            offsets = np.load(source / _OFFSETS, mmap_mode="r")
            fits = note["format"] == _FORMAT and len(ids) == note["clients"] == len(offsets) - 1
            fits = fits and int(offsets[-1]) == note["records"] == table.num_rows
            name, info = note["name"], dict(note["info"])
            table.validate()
        except (OSError, ValueError, KeyError, TypeError, EOFError, pa.ArrowException) as error:
            what = error.strerror if isinstance(error, OSError) and error.strerror else str(error).split("\n")[0]
            raise FedkitError(
                f"{source} holds no readable federated dataset ({what}); build and save it anew"
            ) from error
        if not fits:
            raise FedkitError(f"{source} holds parts that do not fit together; build and save the dataset anew")
        try:
            return cls(name, table, ids, offsets, info)
        except FedkitError as error:
            raise FedkitError(f"{source}: {error}") from error

    def lies_in(self, folder: str | Path) -> bool:
        """Whether a folder holds this very dataset, by the content of its files."""
        try:
            return FederatedDataset.load(folder).fingerprint == self.fingerprint
        except FedkitError:
            return False

    def export_json(self, path: str | Path) -> Path:
        """Write `{client: [record, ...]}`, the form of FedLLM-Bench's release; `import_json` reads it back equal."""
        with new_file(path) as part, open(part, "w", encoding="utf-8") as file:
            file.write("{")
            for i, client in enumerate(self.clients):
                records = json.dumps(self.records(i), ensure_ascii=False, default=str)
                file.write(f"{',' if i else ''}\n{json.dumps(client, ensure_ascii=False)}: {records}")
            file.write("\n}\n")
        return Path(path)

    @classmethod
    def import_json(cls, path: str | Path, *, name: str | None = None) -> FederatedDataset:
        """A dataset from a `{client: [record, ...]}` file (FedLLM-Bench's release, `export_json`), read in a stream."""
        from .partitioners import natural
        from .readers import read_json

        source = Path(path)
        sink = Sink(str(source))
        for record in read_json(source):
            if not isinstance(record, dict) or "client_id" not in record:
                raise FedkitError(f"{source} holds records outside any client; give it as {{client: [record, ...]}}")
            sink.add(record)
        table = sink.table()
        if not table.num_rows:
            raise FedkitError(f"{source} holds no record; give it as {{client: [record, ...]}}")
        parts = natural(values(table["client_id"]))
        return cls.from_partition(table.drop(["client_id"]), parts, name=name or source.name.split(".")[0])
