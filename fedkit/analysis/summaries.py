"""What each client holds, in tables: how much (FedLLM-Bench section 3.3 (5), Figure 5), which labels, which means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..common.errors import FedkitError, unknown
from .measures import gini

if TYPE_CHECKING:
    import pandas as pd

    from ..data.federated import FederatedDataset
    from .client_texts import Texts


def describe_sizes(sizes: ArrayLike) -> dict[str, float]:
    """Sizes in numbers: clients, records, mean, sd (over the clients at hand), smallest, median, largest; the part of
    all records that the largest tenth of the clients holds (one client at least); Gini coefficient."""
    n = np.sort(np.asarray(sizes, dtype=np.int64))
    if not n.size:
        raise FedkitError("there are no clients; give the size of one at least")
    tenth = max(1, len(n) // 10)
    return {
        "clients": len(n),
        "records": int(n.sum()),
        "mean": float(n.mean()),
        "sd": float(n.std()),
        "smallest": int(n[0]),
        "median": float(np.median(n)),
        "largest": int(n[-1]),
        "held by the largest tenth": float(n[-tenth:].sum() / n.sum()),
        "Gini": gini(n),
    }


def lorenz(sizes: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Lorenz curve: (part of the clients, smallest first; part of all records that they hold), each (clients + 1,).

    The Gini coefficient is 1 minus twice the area below it.
    """
    n = np.sort(np.asarray(sizes, dtype=np.float64))
    gini(n)  # refuses what has no curve
    return np.linspace(0, 1, len(n) + 1), np.concatenate([[0.0], np.cumsum(n) / n.sum()])


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
    shares = label_shares(dataset, label).to_numpy()
    whole = dataset.sizes @ shares / dataset.n_records
    return float(0.5 * np.abs(shares - whole).sum(axis=1).mean())


def describe_split(dataset: FederatedDataset, label: str) -> dict[str, float]:
    """A split in six numbers: clients; records of the smallest, median and largest one; labels a client (mean); the
    distance that `label_skew` measures."""
    sizes = describe_sizes(dataset.sizes)
    return {
        "clients": sizes["clients"],
        **{f"{which} client": sizes[which] for which in ("smallest", "median", "largest")},
        "labels a client": float((label_shares(dataset, label) > 0).sum(axis=1).mean()),
        "label distance": label_skew(dataset, label),
    }


def client_means(values: ArrayLike, owner: ArrayLike, clients: int) -> np.ndarray:
    """Each client's mean, float64 (clients,); NaN for one without a record. `values` (records,); NaN are left out."""
    x, who = np.asarray(values, dtype=np.float64), np.asarray(owner)
    if x.shape != who.shape:
        raise FedkitError(f"{len(x)} values have {len(who)} owners; give one owner a record")
    known = ~np.isnan(x)
    sums = np.bincount(who[known], weights=x[known], minlength=clients)
    counts = np.bincount(who[known], minlength=clients)
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def mean_and_sd(values: ArrayLike, owner: ArrayLike, clients: int) -> tuple[float, float]:
    """Mean and standard deviation over clients of a client's mean: Table 1's "(Client)" rows, each client alike.

    The deviation is that of the very clients at hand (divided by their number). `FedkitError` where none has a value.
    """
    means = client_means(values, owner, clients)
    if np.isnan(means).all():
        raise FedkitError("no client has a value; look at what computed them")
    return float(np.nanmean(means)), float(np.nanstd(means))


def by_client(values: np.ndarray, texts: Texts) -> pd.DataFrame:
    """One row a client, in their order: client, records, undefined (NaN in `values`), mean and sd of the others.

    `values`: float (records,). `sd` is the sample deviation, NaN below two values; `mean` is NaN where none is left.
    """
    import pandas as pd

    if len(values) != len(texts):
        raise FedkitError(f"{len(values)} values for {len(texts)} records of {texts.name}; give one a record")
    groups = pd.Series(values).groupby(texts.owner)
    table = groups.agg(["count", "mean", "std"]).reindex(range(len(texts.clients)))
    known = table["count"].fillna(0).to_numpy(dtype=np.int64)
    counts = {"client": texts.clients, "records": texts.sizes, "undefined": texts.sizes - known}
    return pd.DataFrame({**counts, "mean": table["mean"], "sd": table["std"]})
