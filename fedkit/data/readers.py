"""Files of raw records, one reader a format: jsonl, json, csv, parquet; the first three also gzipped.

Every reader streams. A file that cannot be read to its end is a `FedkitError` with its path and line (or row), never
a shorter list; what the records hold is the datasets' business.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from ..common.errors import FedkitError
from . import json_stream

_PARQUET_ROWS = 1024  # rows turned into Python objects at a time
_BROKEN = (OSError, EOFError, zlib.error, UnicodeDecodeError)  # gzip.BadGzipFile is an OSError


def read_file(path: Path) -> Iterator[Any]:
    """The records of one file, in order; `FedkitError` for an unknown format or an unreadable file."""
    name = path.name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix not in READERS or (suffix == ".parquet" and name.endswith(".gz")):
        raise FedkitError(f"{path} is of no format that fedkit reads; use one of {', '.join(READERS)} (.gz for text)")
    return READERS[suffix](path)


@contextlib.contextmanager
def _text(path: Path, where: Callable[[], int]) -> Iterator[TextIO]:
    """The file as text; what breaks while it is read becomes a `FedkitError` naming `where()`, the line."""
    packed = path.name.lower().endswith(".gz")
    try:
        opened = gzip.open(path, "rt", encoding="utf-8-sig", newline="") if packed else None
        # newline="" keeps line ends inside quoted CSV fields; "\r\n" is white space to the JSON readers.
        with opened or open(path, encoding="utf-8-sig", newline="") as file:
            yield file
    except _BROKEN as error:
        raise _unreadable(path, f"line {where()}", error) from error


def _unreadable(path: Path, place: str, error: Exception | str) -> FedkitError:
    what = str(error).splitlines()[0] if str(error) else type(error).__name__
    return FedkitError(f"{path} cannot be read at {place} ({what}); mend the file or fetch it anew")


def read_jsonl(path: Path) -> Iterator[Any]:
    """One JSON value a line; empty lines are skipped."""
    line = 0
    with _text(path, lambda: line + 1) as file:
        for text in file:
            line += 1
            if not text.strip():
                continue
            try:
                record = json.loads(text)
            except (ValueError, RecursionError) as error:  # ValueError: also a number of more than 4,300 digits
                what = "nested too deeply" if isinstance(error, RecursionError) else getattr(error, "msg", str(error))
                raise _unreadable(path, f"line {line}", what) from None
            yield record


def read_json(path: Path) -> Iterator[Any]:
    """A list of records, or `{client: [records]}`; see `json_stream`."""
    counted = _LineCount()
    with _text(path, lambda: counted.lines + 1) as file:
        counted.file = file
        try:
            yield from json_stream.records(counted)  # type: ignore[arg-type]
        except json_stream.JsonFault as error:
            raise _unreadable(path, f"line {error.line}", error) from None


class _LineCount:
    """A text file's `read`, counting the lines it gave, to say near which line a broken archive ends."""

    file: TextIO
    lines = 0

    def read(self, size: int) -> str:
        text = self.file.read(size)
        self.lines += text.count("\n")
        return text


def read_csv(path: Path, names: Sequence[str] | None = None, delimiter: str = ",") -> Iterator[dict[str, str | None]]:
    """Rows by the header's names (or by `names`, where a file has none), all text; a field that a row lacks is None."""
    csv.field_size_limit(2**31 - 1)  # the default refuses a long conversation
    rows: Any = None
    with _text(path, lambda: (rows.reader.line_num if rows else 0) + 1) as file:
        rows = csv.DictReader(file, names, delimiter=delimiter, strict=True)
        try:
            for row in rows:
                if None in row:
                    raise csv.Error("more fields than the header names; is a comma or a quote not escaped?")
                yield row
        except csv.Error as error:
            raise _unreadable(path, f"line {rows.reader.line_num}", error) from None


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a parquet file, a small batch at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                for record in batch.to_pylist():
                    row += 1
                    yield record
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, f"row {row + 1}", error) from error


READERS: Mapping[str, Callable[[Path], Iterator[Any]]] = {
    ".jsonl": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".parquet": read_parquet,
}
