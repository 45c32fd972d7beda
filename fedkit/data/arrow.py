"""Arrow tables made from streams, gathered in blocks, written and memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..common.errors import FedkitError

BLOCK = 1 << 16  # rows gathered, written and hashed at a time
_HELD = 1 << 13  # rows held as Python objects before they become Arrow
_BLOCK_BYTES = 1 << 27  # bytes, on average, that a gathered block may take: far below Arrow's 32-bit offsets


class Sink:
    """Rows in, a table out; only the last few thousand rows are Python objects.

    With a schema the columns are its own; without one they are those seen, and a field that a row lacks is null.
    """

    def __init__(self, where: str, schema: pa.Schema | None = None) -> None:
        self.where, self.schema = where, schema
        self._rows: list[Mapping[str, Any]] = []
        self._blocks: list[pa.Table] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one row; `FedkitError` where a field mixes types."""
        self._rows.append(row)
        if len(self._rows) >= _HELD:
            self._flush()

    def table(self) -> pa.Table:
        """All rows so far, in order; without a schema and without rows, a table with no column."""
        self._flush()
        if not self._blocks:
            return (self.schema or pa.schema([])).empty_table()
        try:
            return pa.concat_tables(self._blocks, promote_options="permissive")
        except pa.ArrowException as error:
            raise self._mixed(error) from error

    def _flush(self) -> None:
        if not self._rows:
            return
        names = self.schema.names if self.schema else list(dict.fromkeys(key for row in self._rows for key in row))
        try:
            types = [self.schema.field(name).type if self.schema else None for name in names]
            columns = [pa.array([row.get(n) for row in self._rows], t) for n, t in zip(names, types, strict=True)]
        except (pa.ArrowException, UnicodeEncodeError, OverflowError) as error:
            raise self._mixed(error) from error
        self._blocks.append(pa.table(dict(zip(names, columns, strict=True))))
        self._rows = []

    def _mixed(self, error: Exception) -> FedkitError:
        what = "holds text that is not Unicode" if isinstance(error, UnicodeEncodeError) else "mixes types in one field"
        return FedkitError(f"{self.where} {what} ({str(error).splitlines()[0]}); mend the field in that file")


def values(column: pa.ChunkedArray) -> Iterator[Any]:
    """The values of a column as Python objects, one chunk at a time."""
    for chunk in column.chunks:
        yield from chunk.to_pylist()


def gather(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """These rows in this order (a copy, in blocks).

    The table is read once, batch after batch, so that memory holds no more than the copy and one block of it twice.
    Blocks of long records have fewer rows, so that no column of one, nested or not, outgrows Arrow's 32-bit offsets.
    """
    step = max(1, min(BLOCK, _BLOCK_BYTES * max(1, table.num_rows) // max(1, table.nbytes)))
    order = np.argsort(rows, kind="stable")  # places in the copy, in the order of the table
    ascending = np.asarray(rows)[order]
    pieces: list[list[pa.RecordBatch]] = [[] for _ in range(0, len(rows), step)]
    places: list[list[np.ndarray]] = [[] for _ in pieces]
    first = 0
    for batch in table.to_batches():
        low, high = np.searchsorted(ascending, [first, first + batch.num_rows])
        block = order[low:high] // step
        for number in np.unique(block):
            own = np.flatnonzero(block == number) + low
            pieces[number].append(batch.take(pa.array(ascending[own] - first)))
            places[number].append(order[own])
        first += batch.num_rows
    blocks = []
    for number in range(len(pieces)):
        held = pa.Table.from_batches(pieces[number], table.schema).combine_chunks()
        blocks.append(held.take(pa.array(np.argsort(np.concatenate(places[number])))))
        pieces[number] = []
    return pa.concat_tables(blocks) if blocks else table.schema.empty_table()


def write_ipc(path: Path, table: pa.Table) -> None:
    """Write uncompressed Arrow IPC, the form that `map_ipc` opens without reading."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def map_ipc(path: Path) -> pa.Table:
    """Open an Arrow IPC file memory-mapped: its columns point into the file.

    `ValueError` for a file that unpacks to more than it is, as a compressed one does: it would be read, not mapped.
    """
    file, room = pa.ipc.open_file(pa.memory_map(str(path))), path.stat().st_size
    batches = []
    for i in range(file.num_record_batches):
        batches.append(file.get_batch(i))
        room -= batches[-1].nbytes
        if room < 0:
            raise ValueError(f"{path.name} unpacks to more than its size")
    return pa.Table.from_batches(batches, file.schema)
