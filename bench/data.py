"""How long data takes: `python bench/data.py`.

Reading embedded records, building federated datasets from embedded and from real records, and a federation of
100,000 clients saved, opened (memory-mapped) and sliced. Torch is not imported.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _common import ROOT, Report, Row, Target, conclude, parser

LIMIT_SECONDS = 10.0  # issue: 25,000 embedded records
RECORDS = 25_000


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def counts(dataset: Any) -> str:
    """Clients and records in words."""
    return f"{len(dataset):,} clients, {dataset.n_records:,} records"


def measure(options: Any) -> Report:
    """Each piece of work once; slices many times."""
    from _federation import build, federation

    from fedkit.data.federated import FederatedDataset
    from fedkit.mini.records import embedded_records
    from fedkit.profiles import PROFILES

    rows: list[Row] = []
    data: Row = {}

    def add(key: str, what: str, seconds: float, gives: str) -> None:
        each = f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1e3:.2f} ms"
        rows.append({"work": what, "time": each, "gives": gives})
        data[key] = seconds

    mini = PROFILES["mini"]
    largest = itertools.chain.from_iterable(map(embedded_records, ("arena", "wildchat", "aya")))  # 25,000 in all
    embedded, count = timed(lambda: sum(1 for _ in itertools.islice(largest, options.records)))
    add("embedded_seconds", "read embedded records of Arena, WildChat and Aya", embedded, f"{count:,} records")
    took, built = timed(lambda: build("fed_aya", mini))
    add(
        "fed_aya_seconds",
        "build mini Fed-Aya",
        took,
        f"{len(built.dataset)} clients, {built.dataset.n_records:,} records",
    )
    folder = Path(options.data_dir)
    notes = []
    if (folder / "gsm8k").is_dir():
        took, built = timed(lambda: build("gsm8k", mini, folder))
        add("gsm8k_seconds", "build real GSM8K from JSON lines", took, counts(built.dataset))
    else:
        notes.append("Real GSM8K was not built: --data-dir holds no gsm8k/train.jsonl.")

    clients = f"{options.clients:,} clients"
    took, big = timed(lambda: federation(options.clients))
    add("partition_seconds", f"make and order {clients}", took, f"{big.n_records:,} records")
    took, _ = timed(lambda: big.fingerprint)
    add("fingerprint_seconds", f"fingerprint of {clients}", took, "SHA-256 of all content")
    with tempfile.TemporaryDirectory(prefix="fedkit-") as name:
        place = Path(name) / "big"
        took, _ = timed(lambda: big.save(place))
        size = sum(path.stat().st_size for path in place.iterdir()) / 1e6
        add("save_seconds", f"save {clients} (fingerprint known)", took, f"{size:.1f} MB")
        took, opened = timed(lambda: FederatedDataset.load(place))
        add("load_seconds", f"open {clients}", took, "memory-mapped")
        places = np.random.default_rng(0).integers(len(opened), size=options.slices)
        names = [opened.ids[int(i)].as_py() for i in places]
        took, _ = timed(lambda: [opened.client(name).num_rows for name in names])
        add("slice_seconds", "one client by name, zero-copy", took / len(names), f"mean of {len(names):,}")
        took, _ = timed(lambda: [opened.records(int(i)) for i in places])
        add("records_seconds", "one client's records as dicts", took / len(places), f"mean of {len(places):,}")
    target = Target(
        f"{count:,} embedded records", round(embedded, 2) if count >= RECORDS else None, "at most", LIMIT_SECONDS, "s"
    )
    return Report(rows, {"clients": options.clients, "threads": 1}, [target], notes, data)


def main() -> int:
    """About twenty seconds on a quiet core."""
    options = parser(__doc__)
    options.add_argument("--records", type=int, default=RECORDS)
    options.add_argument("--clients", type=int, default=100_000)
    options.add_argument("--slices", type=int, default=1_000)
    options.add_argument(
        "--data-dir",
        default=str(ROOT.parent / "shared" / "data"),
        help="holds gsm8k/train.jsonl; else that is left out",
    )
    given = options.parse_args()
    return conclude("data", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
