"""From iid to natural: the same records dealt to as many clients, and what each number says of every deal.

A Dirichlet split knows labels only. What it cannot make, however small its alpha, is what people add to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.errors import FedkitError, unknown
from ..data.arrow import values as column_values
from ..data.partitioners import dirichlet, iid
from .measures import Statistic

if TYPE_CHECKING:
    import pandas as pd

    from ..data.federated import FederatedDataset

ALPHAS = (100.0, 10.0, 1.0, 0.3, 0.1)
IID, NATURAL = "iid", "natural"


def split_owners(
    dataset: FederatedDataset, split: str | float, *, labels: Sequence[Any] | None = None, seed: int = 0
) -> np.ndarray:
    """The owner of each row of the dataset's table under a split, int64 (records,).

    `split`: "iid", "natural" or the alpha of a Dirichlet split of `labels` (one a row; the column `language` if None).
    As many clients as the dataset has, each with a record at least. `FedkitError` for another split or no labels.
    """
    natural = np.repeat(np.arange(len(dataset)), dataset.sizes)
    if split == NATURAL:
        return natural
    if split == IID:
        partition = iid(dataset.n_records, len(dataset), seed=seed)
    elif isinstance(split, str):
        raise unknown("split", split, (IID, NATURAL, "a number (alpha)"))
    else:
        partition = dirichlet(_labels(dataset, labels), len(dataset), split, seed=seed)
    owner = np.empty_like(natural)
    for place, rows in enumerate(partition.values()):
        owner[rows] = place
    return owner


def split_measures(
    dataset: FederatedDataset,
    measures: Mapping[str, Statistic],
    *,
    alphas: Sequence[float] = ALPHAS,
    labels: Sequence[Any] | None = None,
    draws: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """Each measure at each stop from iid to natural: columns split, draw, measure, value.

    Random splits are drawn `draws` times; there is one natural one.
    """
    import pandas as pd

    lines = []
    for split in split_stops(alphas):
        for draw in range(1 if split == NATURAL else draws):
            who = split_owners(dataset, split, labels=labels, seed=seed + draw)
            lines += [(split_name(split), draw, name, measure(who)) for name, measure in measures.items()]
    return pd.DataFrame(lines, columns=["split", "draw", "measure", "value"])


def split_stops(alphas: Sequence[float] = ALPHAS) -> list[str | float]:
    """The stops from iid to natural: "iid", the alphas from large to small, "natural"."""
    return [IID, *sorted(map(float, alphas), reverse=True), NATURAL]


def split_name(split: str | float) -> str:
    """A stop as text: its name, or its alpha."""
    return split if isinstance(split, str) else f"{split:g}"


def _labels(dataset: FederatedDataset, labels: Sequence[Any] | None) -> Sequence[Any]:
    if labels is None:
        if "language" not in dataset.table.column_names:
            raise FedkitError(f"{dataset.name} has no column language; give labels, one a record, to split by")
        return list(column_values(dataset.table["language"]))
    if len(labels) != dataset.n_records:
        raise FedkitError(f"{len(labels)} labels for {dataset.n_records} records of {dataset.name}; give one a record")
    return labels
