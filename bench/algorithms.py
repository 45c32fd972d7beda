"""What each algorithm costs beside FedAvg: `python bench/algorithms.py`.

One whole round of the simulation (training, aggregation, a checkpoint after every client, the server's step, the
history line) by each algorithm, on the same clients and the same batches; local training is one client's, beside
FedAvg of that one. The algorithms take turns and the order turns too; a ratio is taken within a turn. A first turn
warms up and is left out, and it gives SCAFFOLD's clients the states that they then read. A bound is met where the
upper end of the 95 % interval of the ratio (Student's t of its logarithm over the turns) does not exceed it. The
server's step alone is timed beside it, as often as needed to see it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from _common import Report, Target, conclude, parser, ratio, shown

LIMIT, SCAFFOLD_LIMIT = 1.15, 1.30  # issue: seconds a round, over fedavg's
LIMITS = {"scaffold": SCAFFOLD_LIMIT}
ALONE = "local"
DEFAULT = (
    *("local", "fedprox", "scaffold", "fedavgm", "fedadagrad", "fedyogi", "fedadam", "ffa_lora"),
    *("user_level", "published"),
)
# FedAvg under a privacy mechanism; without noise they would have less to do.
PRIVACY = {"user_level": {"name": "user_level", "noise": 1.0}, "published": {"name": "published", "sigma": 0.1}}


class Rounds:
    """A simulation of one algorithm whose rounds can be taken one at a time."""

    def __init__(self, name: str, folder: Path, data: Any, train: Any, loaded: Any) -> None:
        from fedkit.algorithms.registry import make_algorithm
        from fedkit.common import console
        from fedkit.privacy.base import Method
        from fedkit.privacy.registry import make_mechanism
        from fedkit.training.runs import RunConfig
        from fedkit.training.simulation import Simulation

        folder.mkdir()
        privacy = PRIVACY.get(name)
        method = Method(make_algorithm("fedavg" if privacy else name), make_mechanism(privacy))
        config = RunConfig(data.name, "benchmark", method.algorithm.name, loaded.spec, train, privacy=privacy)
        method = method.of_run(config.as_dict(), folder, begun=False)
        self.simulation = Simulation(config, data, method, folder, loaded)
        self.bar = console.progress(disable=True)

    def take(self, number: int) -> None:
        """One round."""
        self.last = self.simulation.one_round(number, self.bar)

    def server_step(self, repeats: int = 20) -> float:
        """Seconds of one server step, the mechanism's part included, on an update of the adapter's size."""
        from fedkit.algorithms.aggregators import RunningMean

        state, method = self.simulation.state, self.simulation.method
        delta = {name: t * 1e-3 for name, t in method.sent(state.adapter).items()}
        began = time.perf_counter()
        for _ in range(repeats):
            sums = RunningMean(delta, 1.0, 1), RunningMean(delta, 1.0, 1)
            method.step(state.adapter, state.server, *sums, clients=10, expected=1, round=0)
        return (time.perf_counter() - began) / repeats


def compare(names: list[str], options: Any, clients: int) -> dict[str, Any]:
    """Seconds of each algorithm in every turn, by the clock and of the processor, with so many clients."""
    import datasets
    from _federation import build

    from fedkit.common.seeds import generator
    from fedkit.profiles import PROFILES
    from fedkit.training.client_base import frozen_gc
    from fedkit.training.models import load_model

    datasets.disable_progress_bars()
    profile = PROFILES["mini"]
    data = build("fed_aya", profile).dataset
    data = data.select(generator(0, "benchmark clients").choice(len(data), clients, replace=False).tolist())
    train = replace(
        profile.dataset("fed_aya").train,
        rounds=max(15, options.turns + 1),
        clients_per_round=clients,
        local_steps=options.steps,
        batch_size=options.batch,
    )
    seconds: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="fedkit-") as folder:
        ways = {name: Rounds(name, Path(folder) / name, data, train, load_model(profile.model)) for name in names}
        with frozen_gc():
            for turn in range(options.turns + 1):
                first = turn % len(names)
                for name in names[first:] + names[:first]:
                    began, busy = time.perf_counter(), time.process_time()
                    ways[name].take(turn)
                    took, busy = time.perf_counter() - began, time.process_time() - busy
                    if turn:
                        seconds[name].append(took)
                        cpu[name].append(busy)
        steps = {name: way.server_step() for name, way in ways.items()}
        last = {name: way.last for name, way in ways.items()}
        for way in ways.values():
            way.simulation.client.close()
    sent = {name: (line["bytes_up"], line["bytes_down"]) for name, line in last.items()}
    return {"seconds": seconds, "cpu_seconds": cpu, "server_step_seconds": steps, "bytes_up_down": sent}


def line(name: str, baseline: str, measured: dict[str, Any]) -> tuple[dict[str, Any], Target | None]:
    """A row of the table, and the promise beside it for all but the baseline."""
    up, down = measured["bytes_up_down"][name]
    times = {kind: ratio(measured[kind][name], measured[kind][baseline]) for kind in ("seconds", "cpu_seconds")}
    clients = f", {measured['clients']} client{'s' if measured['clients'] > 1 else ''}"
    row = {
        "algorithm": name + clients,
        "seconds a round": f"{statistics.median(measured['seconds'][name]):.3f}",
        "over fedavg": "1" if name == baseline else shown(times["seconds"]),
        "the same in CPU time": "1" if name == baseline else shown(times["cpu_seconds"]),
        "server step, ms": f"{1e3 * measured['server_step_seconds'][name]:.2f}",
        "MB up": f"{up / 1e6:.2f}",
        "MB down": f"{down / 1e6:.2f}",
    }
    if name == baseline:
        return row, None
    high = times["seconds"][2]
    bound = LIMITS.get(name, LIMIT)
    what = f"{name} over fedavg, upper end of the 95 % interval"
    return row, Target(what, None if high is None else round(high, 4), "at most", bound)


def measure(options: Any) -> Report:
    """Every algorithm beside FedAvg."""
    from fedkit.algorithms.registry import ALGORITHMS
    from fedkit.common.errors import unknown

    for name in options.algorithms:
        if name not in (*ALGORITHMS, *PRIVACY):
            raise unknown("algorithm or mechanism", name, (*ALGORITHMS, *PRIVACY))
    parts = [
        (["fedavg", *(n for n in dict.fromkeys(options.algorithms) if n not in ("fedavg", ALONE))], options.clients)
    ]
    if ALONE in options.algorithms:
        parts.append((["fedavg", ALONE], 1))
    results = [{"clients": clients, **compare(names, options, clients)} for names, clients in parts]
    lines = [line(name, "fedavg", part) for part in results for name in part["seconds"]]
    settings = {key: getattr(options, key) for key in ("clients", "steps", "batch", "turns")}
    return Report(
        [row for row, _ in lines],
        {**settings, "threads": 1, "model": "mini"},
        [target for _, target in lines if target],
        [
            "Ratios: geometric mean [95 % interval] over the turns. The clock decides; CPU time minds other programs"
            " less."
        ],
        {"parts": results},
    )


def main() -> int:
    """Eleven algorithms, twelve turns."""
    options = parser(__doc__)
    options.add_argument("--turns", type=int, default=12)
    options.add_argument("--clients", type=int, default=10)
    options.add_argument("--steps", type=int, default=10)
    options.add_argument("--batch", type=int, default=8)
    options.add_argument("--algorithms", nargs="+", default=list(DEFAULT))
    given = options.parse_args()
    return conclude("algorithms", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
