"""What the number of clients costs in memory: `python bench/memory.py`.

Four clients train in each round, whether the federation has 38, 1,000 or 100,000; their peak resident memory must be
the same. Each point is a process of its own that maps a federation which another process made and saved before, and
runs the simulation. Peak: `VmHWM` on Linux, which starts anew with a process's program; `ru_maxrss` elsewhere (on
Linux it starts from the memory of the process that forked).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _common import Report, Target, conclude, parser

from fedkit.common.errors import FedkitError

LIMIT_MB = 60.0  # issue: largest minus least peak over the numbers of clients
PER_ROUND = 4


def make(folder: Path, clients: int) -> dict[str, Any]:
    """Make and save a federation (in a process of its own)."""
    from _federation import federation

    data = federation(clients)
    data.save(folder)
    return {"records": data.n_records}


def train(folder: Path, algorithm: str, rounds: int) -> dict[str, Any]:
    """A few rounds on a saved federation, in this process, and the peak memory that they took."""
    from dataclasses import replace

    from fedkit.data.federated import FederatedDataset
    from fedkit.profiles import PROFILES
    from fedkit.training.models import load_model
    from fedkit.training.runs import RunConfig
    from fedkit.training.simulation import run

    profile = PROFILES["mini"]
    settings = replace(
        profile.dataset("fed_aya").train, rounds=rounds, clients_per_round=PER_ROUND, local_steps=2, batch_size=4
    )
    loaded = load_model(profile.model)
    before = peak_mb()
    data = FederatedDataset.load(folder)
    config = RunConfig(data.name, data.fingerprint, algorithm, profile.model, settings)
    with tempfile.TemporaryDirectory(prefix="fedkit-") as runs:
        history = run(config, data, runs, loaded=loaded, progress=False).history
    return {"clients": len(data), "trained": sum(line["reported"] for line in history), "loaded_mb": before} | {
        "peak_mb": peak_mb()
    }


def peak_mb() -> float:
    """Peak resident memory of this process in MB (10^6 bytes)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        from fedkit.common.manifest import peak_memory_mb

        return peak_memory_mb()
    kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return kib * 1024 / 1e6


def child(*words: object) -> dict[str, Any]:
    """Call this file again with these words; what its process prints as JSON."""
    root = str(Path(__file__).resolve().parents[1])
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [root, env.get("PYTHONPATH")]))
    command = [sys.executable, __file__, "--child", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise FedkitError(f"the process for {' '.join(map(str, words))} ended with code {done.returncode} ({last})")
    return json.loads(done.stdout.splitlines()[-1])


def measure(options: Any) -> Report:
    """Every number of clients with every algorithm."""
    points = []
    with tempfile.TemporaryDirectory(prefix="fedkit-") as name:
        for clients in options.clients:
            folder = Path(name) / str(clients)
            child("make", folder, clients)
            size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
            for algorithm in options.algorithms:
                point = {"algorithm": algorithm, **child("train", folder, algorithm, options.rounds)}
                points.append({**point, "files_mb": size})
    points.sort(key=lambda point: options.algorithms.index(point["algorithm"]))
    rows = [
        {
            "algorithm": point["algorithm"],
            "clients": f"{point['clients']:,}",
            "its files, MB": f"{point['files_mb']:.1f}",
            "model loaded, MB": f"{point['loaded_mb']:.0f}",
            "peak, MB": f"{point['peak_mb']:.0f}",
        }
        for point in points
    ]
    targets = []
    for algorithm in options.algorithms:
        peaks = [point["peak_mb"] for point in points if point["algorithm"] == algorithm]
        spread = round(max(peaks) - min(peaks), 1) if len(peaks) > 1 else None
        targets.append(Target(f"largest minus least peak, {algorithm}", spread, "at most", LIMIT_MB, "MB"))
    peaks = [point["peak_mb"] for point in points]
    spread = round(max(peaks) - min(peaks), 1) if len(peaks) > 1 else None
    targets.append(Target("largest minus least peak of all", spread, "at most", LIMIT_MB, "MB"))
    settings = {"clients a round": PER_ROUND, "rounds": options.rounds, "threads": 1, "model": "mini"}
    return Report(rows, settings, targets, data={"points": points})


def main() -> int:
    """About two minutes on a quiet core."""
    if sys.argv[1:2] == ["--child"]:
        what, folder, *rest = sys.argv[2:]
        answer = make(Path(folder), int(rest[0])) if what == "make" else train(Path(folder), rest[0], int(rest[1]))
        print(json.dumps(answer))
        return 0
    options = parser(__doc__)
    options.add_argument("--clients", type=int, nargs="+", default=[38, 1_000, 100_000])
    options.add_argument("--algorithms", nargs="+", default=["fedavg", "scaffold"])
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    return conclude("memory", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
