"""A run on disk: one atomic checkpoint file after every client, client states, and the history.

A stop at any point loses at most one client's work. The checkpoint is the only truth: files that it does not speak of
(a client state of a turn that was not committed, a half-written line) are ignored or mended on resume.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..algorithms.aggregators import RunningMean, State
from ..algorithms.base import ServerState
from ..common.errors import FedkitError
from ..common.files import new_file, write_text
from .models import load_state, save_state


@dataclass
class Progress:
    """All that a run needs to go on: the global adapter, the server's state, and the round in progress."""

    adapter: State
    server: ServerState = field(default_factory=dict)
    round: int = 0  # the round in progress
    done: list[dict[str, Any]] = field(default_factory=list)  # its clients so far, with their metrics
    deltas: RunningMean = field(default_factory=RunningMean)
    uploads: RunningMean = field(default_factory=RunningMean)
    last: dict[str, Any] | None = None  # the history line of the round before
    seconds: float = 0.0  # training time so far, over all starts


def save_progress(path: Path, progress: Progress) -> None:
    """Write a checkpoint; the file of before stays whole until the new one is complete."""
    groups = {"adapter": progress.adapter, "deltas": progress.deltas.total, "uploads": progress.uploads.total}
    groups |= {f"server/{slot}": state for slot, state in progress.server.items()}
    tensors = {f"{group}/{name}": t for group, state in groups.items() for name, t in state.items()}
    header = {
        "round": progress.round,
        "done": progress.done,
        "deltas": [progress.deltas.weight, progress.deltas.count],
        "uploads": [progress.uploads.weight, progress.uploads.count],
        "last": progress.last,
        "seconds": progress.seconds,
    }
    with new_file(path) as part:
        save_file({k: v.contiguous() for k, v in _own(tensors).items()}, part, metadata={"fedkit": json.dumps(header)})


def _own(tensors: State) -> State:
    """safetensors refuses tensors that share memory (a first momentum may be the delta itself)."""
    seen: set[int] = set()
    out = {}
    for name, t in tensors.items():
        out[name] = t.clone() if t.data_ptr() in seen else t
        seen.add(t.data_ptr())
    return out


def load_progress(path: Path) -> Progress | None:
    """The checkpoint, or None where there is none; `FedkitError` for a file that cannot be read."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["fedkit"])
            groups: dict[str, State] = {"adapter": {}, "deltas": {}, "uploads": {}}
            for key in file.keys():  # noqa: SIM118 (safe_open is no mapping)
                *group, name = key.split("/", 2 if key.startswith("server/") else 1)
                groups.setdefault("/".join(group), {})[name] = file.get_tensor(key)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FedkitError(f"{path}: unreadable checkpoint ({error}); delete it to start the run again") from error
    return Progress(
        adapter=groups["adapter"],
        server={group.partition("/")[2]: state for group, state in groups.items() if "/" in group},
        round=header["round"],
        done=header["done"],
        deltas=RunningMean(groups["deltas"], *header["deltas"]),
        uploads=RunningMean(groups["uploads"], *header["uploads"]),
        last=header["last"],
        seconds=header["seconds"],
    )


class ClientStates:
    """What clients keep between rounds, on disk, only for clients that took part.

    A state written in round t is read from round t + 1 on, so a turn that was cut off before its commit is repeated
    from the state it started with.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _files(self, index: int) -> list[tuple[int, Path]]:
        files = self.folder.glob(f"{index:07d}.r*.safetensors")
        return sorted((int(p.name.split(".r")[1].split(".")[0]), p) for p in files)

    def load(self, index: int, round: int) -> State:
        """The state of a client as of the start of `round`; empty for one that never took part."""
        older = [p for r, p in self._files(index) if r < round]
        return load_state(older[-1]) if older else {}

    def save(self, index: int, round: int, state: State) -> None:
        """Keep a state written in `round`, and drop those that no resume can ask for."""
        if not state:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        save_state(state, self.folder / f"{index:07d}.r{round}.safetensors")
        for _, path in [(r, p) for r, p in self._files(index) if r < round][:-1]:
            path.unlink()


def remove_strays(folder: Path) -> None:
    """Delete what a kill left half written: parts of `new_file`, and the `.tmp...` that safetensors renames."""
    for pattern in (".tmp*", ".*.tmp"):
        for path in [*folder.glob(pattern), *(folder / "clients").glob(pattern)]:
            path.unlink(missing_ok=True)


def read_history(path: Path) -> list[dict[str, Any]]:
    """The finished rounds, one dict each; a line cut off by a kill is left out."""
    if not path.exists():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines


def mend_history(path: Path, progress: Progress) -> None:
    """Bring the history in step with the checkpoint: exactly the rounds before `progress.round`."""
    lines = [line for line in read_history(path) if line["round"] < progress.round]
    if progress.last is not None and (not lines or lines[-1]["round"] < progress.last["round"]):
        lines.append(progress.last)
    write_text(path, "".join(json.dumps(line) + "\n" for line in lines))


def append_history(path: Path, line: dict[str, Any]) -> None:
    """Add one finished round."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
