"""How far building goes: `python bench/scale.py`.

Every embedded dataset of a profile built once, and 1,000,000 raw arena votes by 50,000 voters, streamed from a Parquet
file into a saved FederatedDataset. The large build runs in a process of its own; its peak resident memory is `VmHWM`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _common import Report, Row, Target, conclude, parser
from memory import peak_mb

from fedkit.common.errors import FedkitError

EACH_SECONDS, PEAK_MB = 10.0, 2_000.0  # issue: an embedded dataset; the million records
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


def measure(options: Any) -> Report:
    """Builds of the profile one after another, then the large one."""
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
    slowest = max((seconds for key, seconds in data.items() if key in DATASETS), default=0.0)
    whole = large["read"] >= 1_000_000
    targets = [
        Target("slowest embedded build", round(slowest, 2), "at most", EACH_SECONDS, "s"),
        Target("peak of 1,000,000 records", round(large["peak_mb"]) if whole else None, "at most", PEAK_MB, "MB"),
    ]
    settings = {"profile": options.profile, "records": options.records, "voters": options.voters}
    return Report(rows, settings, targets, [], data)


def main() -> int:
    """Some minutes: a million votes are checked one by one."""
    options = parser(__doc__)
    options.add_argument("--records", type=int, default=1_000_000)
    options.add_argument("--voters", type=int, default=50_000)
    options.add_argument("--profile", default="mini", choices=("smoke", "mini"))
    options.add_argument("--large", type=Path, help="build from this folder alone and print its numbers")
    given = options.parse_args()
    if given.large:
        print(json.dumps(build_large(given.large)))
        return 0
    return conclude("scale", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
