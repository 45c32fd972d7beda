"""A federation of many clients with tiny records, to see what the number of clients costs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from fedkit.data.federated import FederatedDataset

RECORDS = 4  # a client


def federation(clients: int) -> FederatedDataset:
    """`clients` clients of `RECORDS` short English records each, all different."""
    rows = np.arange(clients * RECORDS)
    table = pa.table(
        {
            "instruction": [f"Name the number {row}." for row in rows],
            "response": [f"The number is {row}." for row in rows],
            "language": pa.array(["en"] * len(rows)),
        }
    )
    parts = {f"client-{k:07d}": rows[k * RECORDS : (k + 1) * RECORDS] for k in range(clients)}
    return FederatedDataset.from_partition(table, parts, name=f"numbers_{clients}")
