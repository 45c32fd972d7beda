"""Federations to measure on: one of a profile, and one of many clients with tiny records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from fedkit.data.datasets.registry import get_dataset
from fedkit.data.federated import FederatedDataset
from fedkit.data.place import Place

if TYPE_CHECKING:
    from fedkit.data.datasets.built import Built
    from fedkit.profiles.specs import Profile

RECORDS = 4  # a client


def build(name: str, profile: Profile, data_dir: Path | None = None) -> Built:
    """A dataset as a profile cuts it, its Ref questions not left out, so that no time goes to them."""
    place = Place(data_dir, embedded=profile.embedded)
    return get_dataset(name).build(place, profile.dataset(name).cut)


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
