"""What a federated round costs beside its steps: `python bench/overhead.py`.

One round of the simulation (10 clients x 10 steps: training, aggregation, a checkpoint after every client, the
server's step, the history line) against three others that take the same steps on the same records:

- a bare torch loop with the same answer-only loss, given its batches as ready tensors: the strict comparison;
- the same loop with transformers' own loss over every position;
- a fresh SFTTrainer for every client, which tokenizes its records anew, as the reference systems do it.

All ways take turns, and the order turns too; the ratio is taken pair by pair. Imports, model loading and building
fedkit's trainer, once a run, are outside the clock. "Cold" is a round in which every client is tokenized.
"""

from __future__ import annotations

import contextlib
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from _common import Report, Target, conclude, parser
from _ways import Bare, Fedkit, Fresh, answer_only, every_position

LIMIT = 1.10  # issue: a round in fedkit, over a bare torch loop
FEDKIT, COLD = "fedkit", "fedkit, cold token cache"
BARE, FULL, FRESH = "bare loop, answer-only loss", "bare loop, transformers' loss", "fresh SFTTrainer a client"


@contextlib.contextmanager
def collector_as_usual() -> Iterator[None]:
    """Outside fedkit nobody freezes the garbage collector; fedkit's own rounds and the bare loops run frozen."""
    gc.unfreeze()
    try:
        yield
    finally:
        gc.collect()
        gc.freeze()


def compare(batch_size: int, clients: int, steps: int, pairs: int) -> dict[str, Any]:
    """Seconds of each way in every pair, by the clock and of the processor, and how far their adapters lie apart."""
    import datasets

    from fedkit.training.client_base import frozen_gc
    from fedkit.training.simulation import cosine_rate

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory(prefix="fedkit-") as name:
        folder = Path(name)
        ours = Fedkit(folder, batch_size, clients, steps, rounds=max(15, pairs + 1))
        bare, full = Bare(ours.config, answer_only), Bare(ours.config, every_position)
        fresh = Fresh(ours.config, folder / "fresh")
        seconds: dict[str, list[float]] = {way: [] for way in (FEDKIT, COLD, BARE, FULL, FRESH)}
        cpu: dict[str, list[float]] = {way: [] for way in seconds}
        apart: dict[str, float] = {}
        with frozen_gc():
            for pair in range(pairs + 1):  # the first warms up and is left out
                records = ours.records(pair)
                batches, texts = ours.collated(records), fresh.texts(records)
                start, lr = ours.simulation.state.adapter, cosine_rate(ours.config.train, pair)
                result: dict[str, Any] = {}

                def by_fedkit(pair: int = pair, start: Any = start, cold: bool = False) -> Any:
                    ours.simulation.state.adapter = start
                    ours.round(pair, cold=cold)
                    return ours.simulation.state.adapter

                ways: dict[str, Callable[[], Any]] = {
                    FEDKIT: by_fedkit,
                    COLD: lambda again=by_fedkit: again(cold=True),
                    BARE: lambda s=start, b=batches, lr=lr: bare.round(s, b, lr),
                    FULL: lambda s=start, b=batches, lr=lr: full.round(s, b, lr),
                    FRESH: lambda s=start, t=texts, lr=lr: fresh.round(s, t, lr),
                }
                order = list(ways)
                turn = pair % len(order)
                for way in order[turn:] + order[:turn]:
                    with collector_as_usual() if way == FRESH else contextlib.nullcontext():
                        began, busy = time.perf_counter(), time.process_time()
                        result[way] = ways[way]()
                        took, busy = time.perf_counter() - began, time.process_time() - busy
                    if pair:
                        seconds[way].append(took)
                        cpu[way].append(busy)
                for way in (BARE, FULL, FRESH):
                    apart[way] = max(apart.get(way, 0.0), _apart(ours.mean(result[way]), result[FEDKIT]))
        ours.simulation.client.close()
    return {"batch": batch_size, "seconds": seconds, "cpu_seconds": cpu, "largest_difference": apart}


def _apart(a: dict[str, Any], b: dict[str, Any]) -> float:
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def ratio(over: list[float], under: list[float]) -> tuple[float, float, float]:
    """Median, least and largest of the ratios, pair by pair."""
    each = [a / b for a, b in zip(over, under, strict=True)]
    return statistics.median(each), min(each), max(each)


def _shown(three: tuple[float, float, float]) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*three)


def measure(options: Any) -> Report:
    """Every batch size, every way."""
    pairs = [compare(size, options.clients, options.steps, options.pairs) for size in options.batch]
    rows, targets = [], []
    for result in pairs:
        seconds, cpu = result["seconds"], result["cpu_seconds"]
        for way, took in seconds.items():
            other = way not in (FEDKIT, COLD)
            rows.append(
                {
                    "batch": result["batch"],
                    "a round by": way,
                    "seconds": f"{statistics.median(took):.3f}",
                    "over the bare loop": "1" if way == BARE else _shown(ratio(took, seconds[BARE])),
                    "the same in CPU time": "1" if way == BARE else _shown(ratio(cpu[way], cpu[BARE])),
                    "fedkit over it": _shown(ratio(seconds[FEDKIT], took)) if other else None,
                    "adapters differ by": f"{result['largest_difference'][way]:.1e}" if other else None,
                }
            )
        value = round(ratio(seconds[FEDKIT], seconds[BARE])[0], 4)
        targets.append(Target(f"fedkit over the bare loop, batch {result['batch']}", value, "at most", LIMIT))
    return Report(
        rows,
        {"clients": options.clients, "steps": options.steps, "pairs": options.pairs, "threads": 1, "model": "mini"},
        targets,
        ["Ratios: median [least, largest] of the pairs. The clock decides; CPU time minds other programs less."],
        {"pairs": pairs},
    )


def main() -> int:
    """Both batch sizes by default: about six minutes on a quiet core."""
    options = parser(__doc__)
    options.add_argument("--pairs", type=int, default=5)
    options.add_argument("--clients", type=int, default=10)
    options.add_argument("--steps", type=int, default=10)
    options.add_argument("--batch", type=int, nargs="+", default=[16, 8])
    given = options.parse_args()
    return conclude("overhead", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
