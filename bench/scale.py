"""How far building and training go: `python bench/scale.py`.

Every embedded dataset of a profile built once, and 1,000,000 raw arena votes by 50,000 voters, streamed from a Parquet
file into a saved FederatedDataset. The large build runs in a process of its own; its peak resident memory is `VmHWM`.

Then what the simulation writes and reads for one client's turn beside training it, where 100, 10,000 or 1,000,000
clients took part before: its state on disk, its size, and its commit as the last of so many in its round. Medians of
the processor's time (the draw of a round's clients is in `draws.py`).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _common import Report, Row, Target, conclude, parser
from memory import peak_mb

from fedkit.common.errors import FedkitError

EACH_SECONDS, PEAK_MB = 10.0, 2_000.0  # issue: an embedded dataset; the million records
GROWTH = 2.0  # a turn's bookkeeping in the largest federation, over that in the smallest
TURNS = 15  # of which the median is taken
BLOCK = 15_000  # embedded votes, and rows of the file written at a time


def write_votes(folder: Path, records: int, voters: int) -> float:
    """A Parquet file of arena votes in the upstream schema, and its size in MB.

    A block of embedded votes over and over, each time under other voters: a few cast many votes, most a few.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from fedkit.mini.records import embedded_records

    block = pa.Table.from_pylist(list(embedded_records("arena", min(BLOCK, records))))
    rng = np.random.default_rng(0)
    weights = rng.lognormal(sigma=1.2, size=voters)
    path = folder / "chatbot_arena_conversations" / "train.parquet"
    path.parent.mkdir(parents=True)
    with pq.ParquetWriter(path, block.schema) as file:
        for start in range(0, records, len(block)):
            part = block.slice(0, min(len(block), records - start))
            who = rng.choice(voters, size=part.num_rows, p=weights / weights.sum())
            names = pa.array([f"arena_user_{i}" for i in who])
            file.write_table(part.set_column(part.schema.get_field_index("judge"), "judge", names))
    return path.stat().st_size / 1e6


def build_large(folder: Path) -> dict[str, Any]:
    """Build Fed-ChatbotIT from the file and save it, in this process."""
    from _federation import build

    from fedkit.profiles import PROFILES

    before, began = peak_mb(), time.perf_counter()
    built = build("fed_chatbot_it", PROFILES["mini"], folder)
    took = time.perf_counter() - began
    built.dataset.save(folder / "saved")
    counts = {"read": built.drops.read, "kept": built.drops.kept, "clients": len(built.dataset)}
    return counts | {"build": took, "all": time.perf_counter() - began, "before_mb": before, "peak_mb": peak_mb()}


def turns(clients: int, folder: Path) -> dict[str, float]:
    """Median processor milliseconds of the parts of a turn where so many clients took part before."""
    import torch
    from _federation import federation

    from fedkit.training.checkpoint import Checkpoint, Progress
    from fedkit.training.client_states import ClientStates

    state = {f"layer.{k}": torch.zeros(16, 64) for k in range(14)}
    states, checkpoint, progress = ClientStates(folder / "clients", clients), Checkpoint(folder), Progress(state)
    states.folder.mkdir(parents=True)
    for k in range(clients):  # a state of each lies there; only those that are read hold something
        os.close(os.open(states.folder / f"{k:07d}.r0.safetensors", os.O_CREAT | os.O_WRONLY))
    data = federation(clients)
    turn = {"client": "client-0000001", "place": 1, "state": "0" * 16, "loss": 1 / 3, "update_norm": 2 / 3, "steps": 10}
    progress.done = [turn] * clients

    def state_of_a_turn(round: int) -> None:
        states.load(1)
        kept = {**turn, "state": states.save(1, round, state)}
        states.settle({"round": round, "dropped": None, "clients": [kept]})

    def commit(round: int) -> None:
        progress.done.append(turn)
        checkpoint.commit_turn(progress)

    parts: dict[str, Callable[[int], Any]] = {
        "state read and written": state_of_a_turn,
        "commit": commit,
        "size": lambda round: data.sizes[round],
    }
    return {name: 1e3 * statistics.median(_seconds(part, k + 1) for k in range(TURNS)) for name, part in parts.items()}


def _seconds(part: Callable[[int], Any], round: int) -> float:
    began = time.process_time()
    part(round)
    return time.process_time() - began


def measure(options: Any) -> Report:
    """Builds of the profile one after another, then the large one, then turns of clients."""
    from _federation import build

    from fedkit.data.datasets.registry import DATASETS
    from fedkit.profiles import PROFILES

    profile, rows, data = PROFILES[options.profile], [], {}
    for name in DATASETS:
        began = time.perf_counter()
        built = build(name, profile)
        data[name] = time.perf_counter() - began
        gives = f"{len(built.dataset):,} clients, {built.dataset.n_records:,} records"
        rows.append({"build": name, "raw": f"{built.drops.read:,}", "time": f"{data[name]:.2f} s", "gives": gives})
    with tempfile.TemporaryDirectory(prefix="fedkit-") as name:
        folder = Path(name)
        size = write_votes(folder, options.records, options.voters)
        command = [sys.executable, __file__, "--large", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise FedkitError(f"the large build failed: {done.stderr.strip().splitlines()[-1:]}")
        large = json.loads(done.stdout)
    data["large"] = large
    row: Row = {"build": "arena votes, Parquet", "raw": f"{large['read']:,}", "time": f"{large['all']:.1f} s"}
    gives = f"{large['clients']:,} clients, {large['kept']:,} records saved; peak {large['peak_mb']:.0f} MB"
    rows.append(row | {"gives": f"{gives} (before: {large['before_mb']:.0f}), file {size:.0f} MB"})
    for clients in options.clients:
        with tempfile.TemporaryDirectory(prefix="fedkit-") as name:
            data[f"{clients} clients"] = times = turns(clients, Path(name))
        each = ", ".join(f"{part} {ms:.2g} ms" for part, ms in times.items())
        rows.append({"build": "a client's turn", "raw": f"{clients:,} clients before", "time": "", "gives": each})
    few, many = (data[f"{n} clients"] for n in (min(options.clients), max(options.clients)))
    once = ("state read and written", "commit", "size")
    growth = sum(many[part] for part in once) / sum(few[part] for part in once)
    slowest = max((seconds for key, seconds in data.items() if key in DATASETS), default=0.0)
    whole = large["read"] >= 1_000_000
    targets = [
        Target("slowest embedded build", round(slowest, 2), "at most", EACH_SECONDS, "s"),
        Target("peak of 1,000,000 records", round(large["peak_mb"]) if whole else None, "at most", PEAK_MB, "MB"),
        Target("a turn's bookkeeping, most over fewest clients", round(growth, 2), "at most", GROWTH),
    ]
    settings = {"profile": options.profile, "records": options.records, "voters": options.voters}
    return Report(rows, settings, targets, [], data)


def main() -> int:
    """Some minutes: a million votes are checked one by one."""
    options = parser(__doc__)
    options.add_argument("--records", type=int, default=1_000_000)
    options.add_argument("--voters", type=int, default=50_000)
    options.add_argument("--profile", default="mini", choices=("smoke", "mini"))
    options.add_argument("--clients", type=int, nargs="+", default=[100, 10_000, 1_000_000])
    options.add_argument("--large", type=Path, help="build from this folder alone and print its numbers")
    given = options.parse_args()
    if given.large:
        print(json.dumps(build_large(given.large)))
        return 0
    return conclude("scale", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
