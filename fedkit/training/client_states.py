"""What clients keep between rounds, on disk, only for clients that took part; and the index of which round each is of.

The history is the index: it says of every client that counted whether it kept a state, with the file's checksum. So a
state that was lost is known, nobody searches the folder in a client's turn, and the state of a turn that was not
committed, or of a round that was not taken, is not believed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save

from ..algorithms.aggregators import State
from ..common.errors import FedkitError
from ..common.files import PRIVATE, new_file
from .checkpoint import Line, anothers, starts_again
from .models import GOES_ON


class ClientStates:
    """The states of `clients` clients by place, in `folder`: one file each, of the last round that it took part in."""

    def __init__(self, folder: Path, clients: int) -> None:
        self.folder = folder
        self.rounds = np.full(clients, -1, dtype=np.int32)  # the round of each client's state, -1: none
        self.sums = np.zeros(clients, dtype=np.uint64)  # the head of its file's SHA-256

    def load(self, place: int) -> State:
        """The state of a client; empty for one that has none. `FedkitError` where it is lost."""
        round = int(self.rounds[place])
        if round < 0:
            return {}
        path = self._path(place, round)
        try:
            content = path.read_bytes()
            if _sum(content) != int(self.sums[place]):
                raise ValueError("not as it was written")
            return load(content)
        except PermissionError as error:
            raise anothers(path, error) from error
        except (OSError, ValueError, SafetensorError) as error:
            raise self._lost(path, getattr(error, "strerror", None) or str(error)) from error

    def save(self, place: int, round: int, state: State) -> str | None:
        """Write a client's state of the round in progress; what the client's line has to say of it: None for none.

        It counts once `settle` is told of the round.
        """
        if not state:
            return None
        content = save({name: t.contiguous() for name, t in state.items()})
        with new_file(self._path(place, round), PRIVATE, remedy=GOES_ON) as part:
            part.write_bytes(content)
        return f"{_sum(content):016x}"

    def settle(self, line: Line) -> None:
        """A round is committed: its states take the place of those before, or are dropped where it was not taken."""
        for place, round, turn in _kept(line["round"], line["clients"]):
            before = int(self.rounds[place])
            if line["dropped"] is None:
                self._note(place, round, turn)
                if before >= 0:
                    self._path(place, before).unlink(missing_ok=True)
            else:
                self._path(place, round).unlink(missing_ok=True)

    def recall(self, lines: Iterable[Line], round: int, turns: Iterable[Line]) -> None:
        """Take up a run again: the index from its history, and in the folder no file that nobody speaks of.

        `turns`: the clients of the `round` in progress that are committed. `FedkitError` where a state is lost.
        """
        for line in lines:
            if line["dropped"] is None:
                for kept in _kept(line["round"], line["clients"]):
                    self._note(*kept)
        needed = {self._path(int(i), int(self.rounds[i])).name for i in np.flatnonzero(self.rounds >= 0)}
        needed |= {self._path(place, of).name for place, of, _ in _kept(round, turns)}
        there = set(self._names())
        for name in there - needed:
            (self.folder / name).unlink(missing_ok=True)
        for name in sorted(needed - there):
            raise self._lost(self.folder / name, "it is not there")

    def _note(self, place: int, round: int, turn: Line) -> None:
        self.rounds[place], self.sums[place] = round, int(turn["state"], 16)

    def _names(self) -> Iterator[str]:
        if self.folder.is_dir():
            with os.scandir(self.folder) as entries:
                yield from (entry.name for entry in entries)

    def _path(self, place: int, round: int) -> Path:
        return self.folder / f"{place:07d}.r{round}.safetensors"

    def _lost(self, path: Path, why: str) -> FedkitError:
        return FedkitError(
            f"{path}: this client's state of the run is lost ({why}), and without it the run would end otherwise; "
            f"{starts_again(self.folder.parent)}"
        )


def _kept(round: int, turns: Iterable[Line]) -> Iterator[tuple[int, int, Line]]:
    """Place, round and line of each client's turn that kept a state."""
    return ((turn["place"], round, turn) for turn in turns if turn["state"] is not None)


def _sum(content: bytes) -> int:
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big")
