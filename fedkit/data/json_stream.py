"""A JSON document read one record at a time, so that memory does not grow with the file.

Two shapes of document are records: a list `[record, ...]` and FedLLM-Bench's release `{client: [record, ...], ...}`
(data/Fed-Aya and its siblings). The text is read in blocks; a value is parsed as soon as the block holds all of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

BLOCK = 1 << 18  # characters asked for at a time
LONGEST = 1 << 26  # characters that one record may take before the document is called malformed
_TAIL = 3  # characters of a cut number that a parser may leave: 1e- is read as 1
_NEAR_END = 16  # a parse error this close to the end of a block may come from the cut alone

_DECODER = json.JSONDecoder()


class JsonFault(ValueError):
    """The document is not what was expected, at a line (from 1)."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Scanner:
    """The unread text of a file: skips white space, expects a mark, or parses the next value."""

    def __init__(self, text: TextIO) -> None:
        self.text, self.buffer, self.at, self.ended = text, "", 0, False
        self.lines = 1  # of text that has left the buffer

    def line(self, at: int | None = None) -> int:
        return self.lines + self.buffer.count("\n", 0, self.at if at is None else at)

    def more(self) -> bool:
        """Another block, at least as long as what is unread (so few retries for a long value); False at the end."""
        if self.ended:
            return False
        self.lines = self.line()
        self.buffer, self.at = self.buffer[self.at :], 0
        block = self.text.read(max(BLOCK, len(self.buffer)))
        self.ended = not block
        self.buffer += block
        return bool(block)

    def peek(self) -> str:
        """The next character that is not white space; '' at the end."""
        while True:
            while self.at < len(self.buffer):
                if self.buffer[self.at] not in " \t\r\n":
                    return self.buffer[self.at]
                self.at += 1
            if not self.more():
                return ""

    def expect(self, marks: str, place: str) -> str:
        found = self.peek()
        if not found or found not in marks:
            wanted = " or ".join(f"'{mark}'" for mark in marks)
            raise JsonFault(f"expected {wanted} {place}, found {repr(found) if found else 'the end'}", self.line())
        self.at += 1
        return found

    def value(self) -> Any:
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.buffer, self.at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos >= len(self.buffer) - _NEAR_END
                if not cut or len(self.buffer) - self.at > LONGEST or not self.more():
                    # The buffer may have moved since; the start of the value is right to within the value.
                    raise JsonFault(error.msg, self.line(error.pos if not cut else None)) from None
                continue
            except ValueError as error:  # a number of more digits than Python turns into an integer
                raise JsonFault(str(error), self.line()) from None
            except RecursionError:
                raise JsonFault("nested too deeply", self.line()) from None
            length = end - self.at  # reading more moves the buffer
            if end > len(self.buffer) - _TAIL and self.more():  # a number may go on in the next block
                continue
            self.at += length
            return value


def records(text: TextIO) -> Iterator[Any]:
    """The records of a JSON document; those of `{client: [record, ...]}` get the field `client_id`.

    Raises `JsonFault` with the line where the document is neither of the two shapes.
    """
    scan = _Scanner(text)
    opening = scan.expect("[{", "at the start of the document")
    if opening == "[":
        yield from _items(scan)
    elif scan.peek() == "}":
        scan.expect("}", "")
    else:
        yield from _by_client(scan)
    if scan.peek():
        raise JsonFault("text after the end of the document (one record a line? then name it .jsonl)", scan.line())


def _items(scan: _Scanner) -> Iterator[Any]:
    """The values up to the list's closing bracket; its opening one has been read."""
    if scan.peek() == "]":
        scan.expect("]", "")
        return
    while True:
        yield scan.value()
        if scan.expect(",]", "after a record") == "]":
            return


def _by_client(scan: _Scanner) -> Iterator[Any]:
    while True:
        if scan.peek() != '"':
            raise JsonFault("expected a client's name in quotes", scan.line())
        client = scan.value()
        scan.expect(":", "after a client's name")
        scan.expect("[", f"to open the records of client {client!r} (a single record? then name the file .jsonl)")
        for record in _items(scan):
            yield {**record, "client_id": client} if isinstance(record, dict) else record
        if scan.expect(",}", "after a client's records") == "}":
            return
