"""A small federation of preference pairs, and DPO's settings, for tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from core_tools import LANGUAGES, SHORT

from fedkit.data.federated import FederatedDataset

PAIRED = replace(SHORT, task="dpo", local_steps=3, batch_size=3)


def make_pairs(sizes=(3, 6, 9, 12, 20), name="pairs"):
    """Clients a, b, ... of the given numbers of pairs; every record of the federation is different."""
    rows, partition = [], {}
    for k, size in enumerate(sizes):
        partition[chr(ord("a") + k)] = np.arange(len(rows), len(rows) + size)
        rows += [
            {
                "instruction": f"Count {i} in {k}.",
                "chosen": f"{i} and {k}, and so on",
                "rejected": f"No {i}.",
                "language": LANGUAGES[k % 3],
            }
            for i in range(size)
        ]
    return FederatedDataset.from_partition(pa.Table.from_pylist(rows), partition, name=name)
