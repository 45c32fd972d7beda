"""How unlike the clients of a split are: in how much they hold, and in which labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..common.errors import unknown

if TYPE_CHECKING:
    import pandas as pd

    from ..data.federated import FederatedDataset


def label_shares(dataset: FederatedDataset, label: str) -> pd.DataFrame:
    """The share of each label in each client: one row a client, one column a label, rows sum to 1.

    `label`: a column of the dataset, such as `language`. `FedkitError` for one that it has not.
    """
    import pandas as pd

    if label not in dataset.table.column_names:
        raise unknown(f"column of {dataset.name}", label, dataset.table.column_names)
    owner = np.repeat(np.arange(len(dataset)), dataset.sizes)
    counts = pd.crosstab(owner, dataset.table[label].to_numpy())
    shares = counts.div(counts.sum(axis=1), axis=0)
    return shares.set_axis(pd.Index(dataset.clients, name="client")).rename_axis(columns=label)


def label_skew(dataset: FederatedDataset, label: str) -> float:
    """Mean over clients of the distance between a client's label shares and those of all records together.

    The total variation distance, (1/2) sum over labels of |p_client - p_all|: 0 where every client is like the whole,
    towards 1 where each has labels that hardly anyone else has.
    """
    shares = label_shares(dataset, label)
    whole = dataset.sizes @ shares.to_numpy() / dataset.n_records
    return float(0.5 * np.abs(shares.to_numpy() - whole).sum(axis=1).mean())


def describe(dataset: FederatedDataset, label: str) -> dict[str, float]:
    """A split in six numbers: clients; records of the smallest, median and largest one; labels a client (mean); the
    distance that `label_skew` measures."""
    sizes = dataset.sizes
    return {
        "clients": len(dataset),
        "smallest client": int(sizes.min()),
        "median client": float(np.median(sizes)),
        "largest client": int(sizes.max()),
        "labels a client": float((label_shares(dataset, label) > 0).sum(axis=1).mean()),
        "label distance": label_skew(dataset, label),
    }
