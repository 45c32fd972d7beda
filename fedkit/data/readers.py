"""Files of raw records, one reader a format: jsonl, json, csv, parquet; the first three also gzipped.

Every reader streams, within the limits of `streams`. A file that cannot be read to its end is a `FedkitError` with its
path and line (or row), never a shorter list; what the records hold is the datasets' business. JSON is taken apart here
rather than by ijson, which names no line, turns half a surrogate pair into "?" (so a broken text would pass), and
refuses NaN and whole numbers beyond 64 bits, all of which the lines of a .jsonl file may hold; it is a quarter faster
(ijson 3.6, 106 MB: 1.0 s against 1.3 s), its backend in plain Python ten times slower.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from ..common.errors import FedkitError
from .streams import FREE, RATIO, RECORD, Lines, refuse_pointer, text, unreadable, whole

BLOCK = 1 << 18  # characters of JSON asked for at a time
_TAIL = 3  # characters of a cut number that a parser may leave: 1e- is read as 1
_NEAR_END = 16  # a parse error this close to the end of a block may come from the cut alone
_DECODER = json.JSONDecoder()
_PARQUET_ROWS = 256  # rows turned into Python objects at a time


def read_file(path: Path, nested: Sequence[str] = ()) -> Iterator[Any]:
    """The records of one file, in order; `FedkitError` for an unknown format or an unreadable file.

    `nested`: fields that a CSV file holds as JSON text, which is parsed.
    """
    name = path.name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix not in READERS or (suffix == ".parquet" and name.endswith(".gz")):
        raise FedkitError(f"{path} is of no format that fedkit reads; use one of {', '.join(READERS)} (.gz for text)")
    rows = READERS[suffix](path)
    return (unfolded(row, nested) for row in rows) if nested and suffix == ".csv" else rows


def unfolded(row: Mapping[str, Any], nested: Sequence[str]) -> dict[str, Any]:
    """A CSV row with the JSON lists and objects in the cells `nested` parsed; a cell that is no JSON stays text."""
    return {name: _json_cell(cell) if name in nested else cell for name, cell in row.items()}


def _json_cell(cell: Any) -> Any:
    if not isinstance(cell, str) or not cell.lstrip().startswith(("[", "{")):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def read_jsonl(path: Path) -> Iterator[Any]:
    """One JSON value a line; empty lines are skipped."""
    line = 0
    with text(path, lambda: line + 1) as file:
        lines = Lines(file)
        for content in lines:
            line += 1
            lines.record()
            if not content.strip():
                continue
            try:
                record = json.loads(content)
            except (ValueError, RecursionError) as error:  # ValueError: also a number of more than 4,300 digits
                what = "nested too deeply" if isinstance(error, RecursionError) else getattr(error, "msg", str(error))
                raise unreadable(path, f"line {line}", what) from None
            yield record


def read_json(path: Path) -> Iterator[Any]:
    """The records of a list `[record, ...]`, or of FedLLM-Bench's `{client: [record, ...]}`: with field `client_id`.

    Or of an object of objects, `{key: record, ...}`, with field `key` (DROP's and FiQA's publishers). The text is read
    in blocks, so that memory does not grow with the file; a value is parsed as soon as the block holds all of it.
    """
    scan: JsonScanner | None = None
    with text(path, lambda: scan.line(len(scan.buffer)) if scan else 1) as file:
        scan = JsonScanner(file, path)
        yield from scan.records()


class JsonScanner:
    """The unread text of a JSON file: skips white space, expects a mark, or parses the next value."""

    def __init__(self, text: TextIO, path: Path) -> None:
        self.text, self.path = text, path
        self.buffer, self.at, self.ended = "", 0, False
        self.lines = 1  # of text that has left the buffer

    def records(self) -> Iterator[Any]:
        """All records; `FedkitError` with the line where the document is of neither shape."""
        if self._expect("[{", "at the start of the document") == "[":
            yield from self._items()
        elif self._peek() == "}":
            self._expect("}", "")
        else:
            yield from self._by_client()
        if self._peek():
            raise self._fault("text after the end of the document (one record a line? then name it .jsonl)")

    def _items(self) -> Iterator[Any]:
        """The values up to the list's closing bracket; its opening one has been read."""
        if self._peek() == "]":
            self._expect("]", "")
            return
        while True:
            yield self._value()
            if self._expect(",]", "after a record") == "]":
                return

    def _by_client(self) -> Iterator[Any]:
        while True:
            if self._peek() != '"':
                raise self._fault("expected a client's name in quotes")
            client = self._value()
            self._expect(":", "after a client's name")
            if self._peek() == "{":
                yield {"key": client, **self._value()}
            else:
                hint = "(a single record? then name the file .jsonl)"
                self._expect("[", f"to open the records of client {client!r} {hint}")
                for record in self._items():
                    yield {**record, "client_id": client} if isinstance(record, dict) else record
            if self._expect(",}", "after a client's records") == "}":
                return

    def line(self, at: int | None = None) -> int:
        """The line (from 1) of a place in the buffer; None: of the place that has been read to."""
        return self.lines + self.buffer.count("\n", 0, self.at if at is None else at)

    def _fault(self, what: str, at: int | None = None) -> FedkitError:
        return unreadable(self.path, f"line {self.line(at)}", what)

    def _more(self) -> bool:
        """Another block, at least as long as what is unread (so few retries for a long value); False at the end."""
        if self.ended:
            return False
        self.lines = self.line()
        self.buffer, self.at = self.buffer[self.at :], 0
        block = self.text.read(max(BLOCK, len(self.buffer)))
        self.ended = not block
        self.buffer += block
        return bool(block)

    def _peek(self) -> str:
        """The next character that is not white space; '' at the end."""
        while True:
            while self.at < len(self.buffer):
                if self.buffer[self.at] not in " \t\r\n":
                    return self.buffer[self.at]
                self.at += 1
            if not self._more():
                return ""

    def _expect(self, marks: str, place: str) -> str:
        mark = self._peek()
        if not mark or mark not in marks:
            wanted = " or ".join(f"'{each}'" for each in marks)
            raise self._fault(f"expected {wanted} {place}, found {repr(mark) if mark else 'the end'}")
        self.at += 1
        return mark

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.buffer, self.at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos >= len(self.buffer) - _NEAR_END
                if not cut or len(self.buffer) - self.at > RECORD or not self._more():
                    # The buffer may have moved since; the start of the value is right to within the value.
                    raise self._fault(error.msg, error.pos if not cut else None) from None
                continue
            except ValueError as error:  # a number of more digits than Python turns into an integer
                raise self._fault(str(error)) from None
            except RecursionError:
                raise self._fault("nested too deeply") from None
            length = end - self.at  # reading more moves the buffer
            if end > len(self.buffer) - _TAIL and self._more():  # a number may go on in the next block
                continue
            self.at += length
            return value


def read_csv(
    path: Path, names: Sequence[str] | None = None, delimiter: str = ",", encoding: str = "utf-8-sig"
) -> Iterator[dict[str, str | None]]:
    """Rows by the header's names (or by `names`, where a file has none), all text; a field that a row lacks is None."""
    csv.field_size_limit(RECORD)  # the default refuses a long conversation
    rows: Any = None
    with text(path, lambda: (rows.reader.line_num if rows else 0) + 1, encoding) as file:
        lines = Lines(file)
        rows = csv.DictReader(lines, names, delimiter=delimiter, strict=True)
        try:
            for row in rows:
                lines.record()
                if None in row:
                    raise csv.Error("more fields than the header names; is a comma or a quote not escaped?")
                yield row
        except csv.Error as error:
            raise unreadable(path, f"line {rows.reader.line_num}", error) from None


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a parquet file, a small batch at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    refuse_pointer(path)
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            limit, taken = parquet_room(path, file), 0
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                # A dictionary of few long values may unpack to more than the file says.
                parts = (c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in batch.columns)
                taken += sum(part.nbytes for part in parts)
                if taken > limit:
                    raise OSError(f"it unpacks to more than {RATIO} times its size")
                for record in batch.to_pylist():
                    row += 1
                    yield record
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, f"row {row + 1}", error) from error


def parquet_room(path: Path, file: Any) -> int:
    """Bytes that an open parquet file may unpack to; `OSError` where it says itself that it unpacks to more."""
    groups = (file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
    limit = max(FREE, RATIO * path.stat().st_size)
    if sum(groups) > limit:
        raise OSError(f"it unpacks to more than {RATIO} times its size")
    return limit


def read_document(path: Path) -> Any:
    """One JSON value that is read whole; `FedkitError` where it is none."""
    try:
        return json.loads(whole(path)[0])
    except (ValueError, RecursionError) as error:
        raise unreadable(path, f"line {getattr(error, 'lineno', 1)}", str(error) or "nested too deeply") from None


READERS: Mapping[str, Callable[[Path], Iterator[Any]]] = {
    ".jsonl": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".parquet": read_parquet,
}
