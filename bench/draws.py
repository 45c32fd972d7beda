"""What secret draws and noise cost: `python bench/draws.py`.

A round's clients among 100, 10,000 and 1,000,000, by coins and by number, from the run's key; beside the coins tossed
one after another from a seed, as before. And the noise on an adapter: from the key, beside torch's generator, which
keeps 32 bits of a seed. The ways take turns; the time is the processor's.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _common import Report, Row, Target, conclude, parser, ratio, shown

LIMIT_MS = 50.0  # a round's draw among a million


def one_by_one(clients: int, rate: float, seed: int, round: int) -> list[int]:
    """The coins as they were tossed before: floats of a seeded generator, compared in a Python loop."""
    from fedkit.common.seeds import generator

    coins = generator(seed, "clients/poisson", round=round).random(clients)
    return [i for i, coin in enumerate(coins) if coin < rate]


def in_turns(ways: dict[str, Callable[[int], Any]], turns: int) -> dict[str, list[float]]:
    """Processor milliseconds of each way in every turn, after one that warms up; `ways` are given the turn."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            began = time.process_time()
            way(turn)
            if turn:
                took[name].append(1e3 * (time.process_time() - began))
    return took


def measure(options: Any) -> Report:
    """Draws by the number of clients, then noise by the number of entries."""
    import torch

    from fedkit.privacy import derived_key, fixed_sample, gaussian, poisson_sample

    key, rows, data = derived_key({"seed": 0}), [], {}

    def add(what: str, first: str, took: dict[str, list[float]]) -> None:
        data[what] = took
        for name, times in took.items():
            row: Row = {"what": what, "way": name, "CPU ms": f"{statistics.median(times):.3g}"}
            rows.append(row | {f"over {first}": "1" if name == first else shown(ratio(times, took[first]))})

    for n in options.clients:
        k = min(options.sampled, n)
        ways: dict[str, Callable[[int], Any]] = {
            "before": lambda t, n=n, k=k: one_by_one(n, k / n, 0, t),
            "by coins": lambda t, n=n, k=k: poisson_sample(n, k / n, key, t),
            "by number": lambda t, n=n, k=k: fixed_sample(n, k, key, t),
        }
        add(f"a draw of {k} of {n:,}", "before", in_turns(ways, options.turns))
    for n in options.entries:
        state = {"w": torch.zeros(n)}
        ways = {
            "before": lambda t, n=n: torch.randn(n, generator=torch.Generator().manual_seed(t)),
            "from the key": lambda t, state=state: gaussian(state, 1.0, key, "benchmark", round=t),
        }
        add(f"noise on {n:,} entries", "before", in_turns(ways, options.turns))
    largest = max(options.clients)
    draw = statistics.median(data[f"a draw of {min(options.sampled, largest)} of {largest:,}"]["by coins"])
    whole = largest >= 1_000_000
    target = Target("a draw among 1,000,000 by coins", round(draw, 1) if whole else None, "at most", LIMIT_MS, "ms")
    return Report(rows, {"turns": options.turns, "threads": 1}, [target], [f"numpy {np.__version__}"], data)


def main() -> int:
    """A quarter of a minute."""
    options = parser(__doc__)
    options.add_argument("--clients", type=int, nargs="+", default=[100, 10_000, 1_000_000])
    options.add_argument("--sampled", type=int, default=100)
    options.add_argument("--entries", type=int, nargs="+", default=[156_000, 5_000_000])
    options.add_argument("--turns", type=int, default=20)
    given = options.parse_args()
    return conclude("draws", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
