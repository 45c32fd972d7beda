"""What a federated dataset's table may hold, and its hash: both read Arrow's buffers, never a record at a time."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Columns that prompts and losses are made of; other columns are free.
TEXTS = ("instruction", "response", "chosen", "rejected")
TURNS, SPOKEN = "conversation", ("role", "content")
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,100}")  # it becomes part of the names of folders


def name_fault(name: object) -> str:
    """Why a name cannot be part of a file's name; "" where it can."""
    if not isinstance(name, str) or not name.strip():
        return "it is no text, or blank"
    if not _NAME.fullmatch(name):
        return "it holds a slash, a backslash or a control character, or is longer than 100 characters"
    return "it begins with a dot" if name.startswith(".") else ""


def misfit(table: pa.Table) -> tuple[int, str] | None:
    """The first row that cannot be trained on, and what is wrong with it: a null or no text where text is due.

    Whole columns are looked at, not records, so that this costs next to nothing.
    """
    for name in TEXTS:
        if name in table.column_names and (fault := _no_text(table[name])):
            return fault[0], f"the field {name!r} of record {fault[0]} {fault[1]}"
    if TURNS not in table.column_names:
        return None
    column = table[TURNS]
    if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        return 0, f"the field {TURNS!r} holds {column.type}, not a list of turns"
    if column.null_count:
        return _first_null(column), f"the field {TURNS!r} of record {_first_null(column)} is null"
    if not pa.types.is_struct(column.type.value_type) or not set(SPOKEN) <= set(column.type.value_type.names):
        return 0, f"the field {TURNS!r} holds {column.type}, not turns of {' and '.join(SPOKEN)}"
    first = 0
    for chunk in column.chunks:
        turns = chunk.flatten()
        for place, part in [("a turn", turns)] + [(repr(key), pc.struct_field(turns, key)) for key in SPOKEN]:
            fault = (_first_null(part), "is null") if part is turns and part.null_count else None
            fault = fault or (None if part is turns else _no_text(part))
            if fault:
                ends = np.cumsum(pc.list_value_length(chunk).to_numpy())
                row = first + int(np.searchsorted(ends, fault[0], side="right"))
                return row, f"{place} in the field {TURNS!r} of record {row} {fault[1]}"
        first += len(chunk)
    return None


def _no_text(column: pa.Array | pa.ChunkedArray) -> tuple[int, str] | None:
    if pa.types.is_null(column.type) or column.null_count:
        return _first_null(column), "is null"
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return 0, f"is of type {column.type}, not text"
    return None


def _first_null(column: pa.Array | pa.ChunkedArray) -> int:
    return int(pc.index(pc.is_null(column), True).as_py())


def content_hash(table: pa.Table, ids: pa.Array, offsets: np.ndarray) -> str:
    """SHA-256 in hex of clients, their sizes and every value, by column name; the same however it is stored.

    Chunks, the width of integers and offsets, and the order of fields in a struct do not count; the order of columns
    does.
    """
    digest = hashlib.sha256(json.dumps(["fedkit content 2", table.column_names]).encode())
    digest.update(np.ascontiguousarray(offsets, dtype="<i8").tobytes())
    for column in (pa.chunked_array([ids]), *table.columns):
        for part in _parts(column):
            digest.update(part)
    return digest.hexdigest()


def _parts(column: pa.ChunkedArray) -> Iterator[bytes]:
    """Digests of a column: which values there are, how long each is, and what they hold, each over all chunks."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        yield from _parts(column.cast(kind.value_type))
        return
    nulls = column.null_count
    yield f"{_family(kind) if nulls < len(column) else 'null'} {len(column)} {nulls}".encode()
    if nulls == len(column):
        return
    if nulls:
        yield _digest(pc.is_valid(chunk).to_numpy(zero_copy_only=False).tobytes() for chunk in column.chunks)
        column = column.drop_null()
    if pa.types.is_struct(kind):
        for name in sorted(kind.names):
            yield name.encode()
            yield from _parts(
                pa.chunked_array([pc.struct_field(c, name) for c in column.chunks], kind.field(name).type)
            )
    elif _family(kind) == "list":
        yield _digest(_numbers(pc.list_value_length(chunk)) for chunk in column.chunks)
        yield from _parts(pa.chunked_array([chunk.flatten() for chunk in column.chunks], kind.value_type))
    elif _family(kind) == "text":
        yield _digest(_numbers(pc.binary_length(chunk)) for chunk in column.chunks)
        yield _digest(_bytes(chunk) for chunk in column.chunks)
    elif _family(kind) == "int":
        yield _digest(_numbers(chunk) for chunk in column.chunks)
    elif _family(kind) == "float":
        yield _digest(chunk.cast(pa.float64()).to_numpy().astype("<f8").tobytes() for chunk in column.chunks)
    else:  # truth values, times and the like: as words
        words = (json.dumps(value, default=str) + "\n" for chunk in column.chunks for value in chunk.to_pylist())
        yield _digest(word.encode() for word in words)


def _family(kind: pa.DataType) -> str:
    """What a type holds, whatever its width."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return "list"
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return "int"
    return "float" if pa.types.is_floating(kind) else "struct" if pa.types.is_struct(kind) else str(kind)


def _numbers(array: pa.Array) -> bytes:
    return array.to_numpy(zero_copy_only=False).astype("<i8").tobytes()


def _bytes(array: pa.Array) -> memoryview:
    """The text of an array without nulls, one value after another: a slice of its buffer."""
    if not len(array):
        return memoryview(b"")
    wide = "<i8" if pa.types.is_large_string(array.type) else "<i4"
    ends = np.frombuffer(array.buffers()[1], dtype=wide)[array.offset : array.offset + len(array) + 1]
    return memoryview(array.buffers()[2] or b"")[int(ends[0]) : int(ends[-1])]


def _digest(blocks: Iterator[bytes | memoryview]) -> bytes:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.digest()
