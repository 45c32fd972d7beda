"""A run on disk: one atomic checkpoint after every client, and the lines of what it has committed.

The checkpoint is the only truth. It is written first, and holds the newest line of each journal as well: the client's
of `turns.jsonl` (the round in progress), the round's of `history.jsonl`. So no line is there that was not committed,
what a kill cut off is mended on resume, and a commit costs the same whether a round has ten clients or ten thousand.
A stop at any point loses at most one client's work.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError, safe_open

from ..algorithms.aggregators import RunningMean, State
from ..algorithms.base import ServerState
from ..common.errors import FedkitError
from ..common.files import PRIVATE, SHAREABLE, new_file
from .models import GOES_ON, write_tensors

FORMAT = 2  # of the checkpoint's header
HISTORY, ADAPTER, MANIFEST = "history.jsonl", "adapter.safetensors", "manifest.json"  # what a finished run leaves
Line = dict[str, Any]


@dataclass
class Progress:
    """All that a run needs to go on: the global adapter, the server's state, and the round in progress."""

    adapter: State
    server: ServerState = field(default_factory=dict)
    round: int = 0  # the round in progress
    done: list[Line] = field(default_factory=list)  # its clients so far, with their metrics
    deltas: RunningMean = field(default_factory=RunningMean)
    uploads: RunningMean = field(default_factory=RunningMean)
    seconds: float = 0.0  # training time so far, over all starts
    seal: str = ""  # a checksum of the history so far, line by line


class Checkpoint:
    """The checkpoint of a run and its two journals, in the run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "checkpoint.safetensors"
        self.turns, self.history = folder / "turns.jsonl", folder / HISTORY

    def load(self, start: State) -> Progress:
        """Where the run stands, and its journals brought in step; a fresh start from an adapter where it is new.

        `FedkitError` for a checkpoint that cannot be read, or journals that do not fit it.
        """
        for pattern in (".tmp*", ".*.tmp"):  # half written when a kill came; safetensors' own names and fedkit's
            for stray in self.folder.glob(pattern):
                stray.unlink(missing_ok=True)
        progress, header = read_checkpoint(self.path) if self.path.exists() else (Progress(start), {})
        if _mend(self.history, progress.round, header.get("line")) != progress.seal:
            raise self._damaged(self.history)
        _mend(self.turns, header.get("turns", 0), header.get("turn"), PRIVATE)
        progress.done = list(read_lines(self.turns))
        if len(progress.done) != header.get("turns", 0):
            raise self._damaged(self.turns)
        return progress

    def rounds(self, progress: Progress) -> Iterator[Line]:
        """The lines of the finished rounds, from disk; `FedkitError` at the end unless they are what was committed."""
        seal = ""
        for text, line in _lines(self.history):
            seal = _sealed(seal, text)
            yield line
        if seal != progress.seal:
            raise self._damaged(self.history)

    def commit_turn(self, progress: Progress) -> None:
        """Make the newest client of `progress.done` count."""
        turn, turns = progress.done[-1], len(progress.done)
        self._write(progress, turn=turn, turns=turns)
        with _journal(self.turns, PRIVATE) as file:
            if turns == 1:
                file.truncate(0)  # of the round before
            file.write(_text(turn))

    def commit_round(self, progress: Progress, line: Line) -> None:
        """Make a finished round count: `progress` is that of after it, `line` the round's."""
        progress.seal = _sealed(progress.seal, _text(line))
        self._write(progress, line=line)
        with _journal(self.history) as file:
            file.write(_text(line))

    def remove(self) -> None:
        """Leave only results."""
        for path in (self.path, self.turns):
            with contextlib.suppress(OSError):  # a finished run may lie where nothing can be written
                path.unlink(missing_ok=True)

    def _write(self, progress: Progress, **newest: Any) -> None:
        """Write the checkpoint; the file of before stays whole until the new one is complete."""
        groups = {"adapter": progress.adapter, "deltas": progress.deltas.total, "uploads": progress.uploads.total}
        groups |= {f"server/{slot}": state for slot, state in progress.server.items()}
        tensors = {f"{group}/{name}": t for group, state in groups.items() for name, t in state.items()}
        header = {
            "format": FORMAT,
            "round": progress.round,
            "seconds": progress.seconds,
            "seal": progress.seal,
            **newest,
        }
        for name, mean in (("deltas", progress.deltas), ("uploads", progress.uploads)):
            header[name] = [mean.weight, mean.count, mean.wide]
        with new_file(self.path, PRIVATE, remedy=GOES_ON) as part:
            write_tensors(_own(tensors), part, {"fedkit": json.dumps(header)})

    def _damaged(self, path: Path) -> FedkitError:
        return FedkitError(
            f"{path} is not what the run's checkpoint says: lines are missing or not as they were written; "
            f"{starts_again(self.folder)}"
        )


def starts_again(folder: Path) -> str:
    """The remedy where what a run needs to go on is lost: it gives what an unbroken run gives."""
    return f"delete {folder / 'checkpoint.safetensors'} to train this run anew from its first round"


def anothers(path: Path, error: OSError) -> FedkitError:
    """What is said where a private file of a run in progress is another user's."""
    return FedkitError(
        f"{path} cannot be read ({error.strerror}): it is private to whoever started the run; let them finish it, or"
        " give another --results folder"
    )


def read_checkpoint(path: Path) -> tuple[Progress, Line]:
    """A checkpoint less its journals, and its header; `FedkitError` for a file that cannot be read."""
    try:
        path.open("rb").close()  # safetensors calls every file that it cannot open a missing one
        with safe_open(path, framework="pt") as file:
            header: Line = json.loads(file.metadata()["fedkit"])
            groups: dict[str, State] = {"adapter": {}, "deltas": {}, "uploads": {}}
            for key in file.keys():  # noqa: SIM118 (safe_open is no mapping)
                *group, name = key.split("/", 2 if key.startswith("server/") else 1)
                groups.setdefault("/".join(group), {})[name] = file.get_tensor(key)
        if header.get("format") != FORMAT:
            raise ValueError(f"of format {header.get('format', 1)}, not {FORMAT}: by another version of fedkit")
        return Progress(
            adapter=groups["adapter"],
            server={group.partition("/")[2]: state for group, state in groups.items() if "/" in group},
            round=header["round"],
            deltas=RunningMean(groups["deltas"], *header["deltas"]),
            uploads=RunningMean(groups["uploads"], *header["uploads"]),
            seconds=header["seconds"],
            seal=header["seal"],
        ), header
    except PermissionError as error:
        raise anothers(path, error) from error
    except (OSError, SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise FedkitError(f"{path}: unreadable checkpoint ({error}); {starts_again(path.parent)}") from error


def read_lines(path: Path) -> Iterator[Line]:
    """The JSON objects of a journal, one a line, up to the first that is none; nothing where there is no file.

    `FedkitError` where it cannot be read.
    """
    return (line for _, line in _lines(path))


def _lines(path: Path) -> Iterator[tuple[bytes, Line]]:
    """The same, with the bytes that each is written in."""
    try:
        with path.open("rb") as file:
            for text in file:
                try:
                    line = json.loads(text.decode())
                except (ValueError, RecursionError):
                    return
                if not isinstance(line, dict):
                    return
                yield text, line
    except FileNotFoundError:
        return
    except OSError as error:
        raise FedkitError(f"{path} cannot be read ({error.strerror}); mend its rights") from error


def _mend(path: Path, count: int, last: Line | None, mode: int = SHAREABLE) -> str:
    """Bring a journal in step with the checkpoint: its first `count` lines, the last of which is `last` where given.

    Gives the checksum of its lines; what is missing before the last is for the caller to see.
    """
    seal, size, end = "", 0, b""
    for text, _ in itertools.islice(_lines(path), count if last is None else count - 1):
        seal, size, end = _sealed(seal, text), size + len(text), b"" if text.endswith(b"\n") else b"\n"
    if last is not None:
        seal, end = _sealed(seal, _text(last)), end + _text(last)
    if end or path.exists():
        with _journal(path, mode) as file:
            file.truncate(size)
            file.write(end)
    return seal


@contextlib.contextmanager
def _journal(path: Path, mode: int = SHAREABLE) -> Iterator[BinaryIO]:
    """A journal to add to; `FedkitError` where it cannot be written."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode), "ab") as file:
            yield file
    except OSError as error:
        raise FedkitError(f"cannot write {path} ({error.strerror}); {GOES_ON}") from error


def _sealed(before: str, text: bytes) -> str:
    """A running checksum, after one line more."""
    return hashlib.sha256(before.encode() + text.rstrip(b"\n")).hexdigest()


def _text(line: Line) -> bytes:
    return json.dumps(line).encode() + b"\n"


def _own(tensors: State) -> State:
    """safetensors refuses tensors that share memory (a first momentum may be the delta itself)."""
    seen: set[int] = set()
    out = {}
    for name, t in tensors.items():
        out[name] = t.clone() if t.data_ptr() in seen else t
        seen.add(t.data_ptr())
    return out
