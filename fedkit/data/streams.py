"""Files of a data folder opened with limits, for nobody vouches for them: plain or gzipped text, a line at a time.

One record is at most `RECORD` characters. A gzip file unpacks to at most `RATIO` times its size, or to `FREE` bytes
where that is more: text packs ten to twenty times, an archive made to fill a machine's memory a thousand times.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TextIO

from ..common.errors import FedkitError

RECORD = 1 << 24  # characters of one line, JSON record or CSV row
DOCUMENT = 1 << 26  # bytes of a document that is read whole
RATIO, FREE = 100, 1 << 26
POINTER = b"version https://git-lfs.github.com/spec/"
BROKEN = (OSError, EOFError, zlib.error, UnicodeDecodeError)  # gzip.BadGzipFile is an OSError


class _Limited(io.RawIOBase):
    """The bytes of an open gzip file, up to a limit; `OSError` beyond it."""

    def __init__(self, source: IO[bytes], limit: int) -> None:
        self._source, self._left = source, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        block = self._source.read(len(buffer))
        self._left -= len(block)
        if self._left < 0:
            raise OSError(
                f"it unpacks to more than {RATIO} times its size, as archives do that are made to fill a memory;"
                " unpack it by hand if you trust it"
            )
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._source.close()
        super().close()


def unreadable(path: Path, place: str, error: Exception | str) -> FedkitError:
    """The error for a file that cannot be read to its end; `place`: where in it."""
    what = str(error).splitlines()[0] if str(error) else type(error).__name__
    return FedkitError(f"{path} cannot be read at {place} ({what}); mend the file or fetch it anew")


def refuse_pointer(path: Path) -> None:
    """`FedkitError` where a clone without its large files has a Git-LFS pointer in the place of the data."""
    with contextlib.suppress(OSError), open(path, "rb") as file:  # what cannot be opened is told by who reads it
        if file.read(len(POINTER)) == POINTER:
            raise FedkitError(
                f"{path} is a Git-LFS pointer and not the data; run `git lfs pull` in the clone that it is from"
            )


def _bytes(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked where it is gzipped."""
    refuse_pointer(path)
    if not path.name.lower().endswith(".gz"):
        return open(path, "rb")
    return io.BufferedReader(_Limited(gzip.open(path, "rb"), max(FREE, RATIO * path.stat().st_size)))


@contextlib.contextmanager
def text(path: Path, where: Callable[[], int], encoding: str = "utf-8-sig") -> Iterator[TextIO]:
    """The file as text; what breaks while it is read becomes a `FedkitError` naming `where()`, the line."""
    try:
        # newline="" keeps line ends inside quoted CSV fields; "\r\n" is white space to the JSON readers.
        with io.TextIOWrapper(_bytes(path), encoding=encoding, newline="") as file:
            yield file
    except BROKEN as error:
        raise unreadable(path, f"line {where()}", error) from error


class Lines:
    """The lines of an open text, in order; `OSError` where those since the last `record()` are longer than `RECORD`."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._taken = file, 0

    def record(self) -> None:
        """A record is complete: the next one begins with the next line."""
        self._taken = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(RECORD + 1)
        self._taken += len(line)
        if self._taken > RECORD:
            raise OSError(f"a record of more than {RECORD:,} characters")
        if not line:
            raise StopIteration
        return line


def whole(path: Path, *encodings: str) -> tuple[str, str]:
    """A document of at most `DOCUMENT` bytes, and the first of the encodings (without any: UTF-8) that all of it is in.

    `FedkitError` where it is longer, cannot be read, or is in none of them.
    """
    try:
        with _bytes(path) as file:
            data = file.read(DOCUMENT + 1)
    except BROKEN as error:
        raise unreadable(path, "its beginning", error) from error
    if len(data) > DOCUMENT:
        raise unreadable(path, f"byte {DOCUMENT:,}", "a longer document than fedkit reads whole")
    for encoding in encodings[:-1]:
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode(encoding), encoding
    last = encodings[-1] if encodings else "utf-8-sig"
    try:
        return data.decode(last), last
    except UnicodeDecodeError as error:
        raise unreadable(path, f"byte {error.start}", error) from error
