"""How unlike clients are, as one number a view: labels, lengths and scores, embeddings, quantity.

Every view comes down to a value and an owner for each record. A number here takes owners as an int64 array
(records,), and does not care how they are called. None of them is comparable between datasets by itself: small clients
look diverse by chance alone. `fedkit.analysis.chance` says how much of a number is due to chance.

`label_divergence`, `variance_between` and `silhouette` take the values of all records and give a `Statistic`, a
function of the owners alone, so that owners can be permuted: `variance_between(lengths)(owner)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..common.errors import FedkitError

Statistic = Callable[[np.ndarray], float]  # owners, int64 (records,) -> the number


def entropy(shares: ArrayLike) -> np.ndarray:
    """Shannon entropy in bits along the last axis, with 0 log 0 = 0. `shares` sum to 1 along it."""
    p = np.asarray(shares, dtype=np.float64)
    return -(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=-1)


def js_divergence(shares: ArrayLike, sizes: ArrayLike | None = None, *, normalise: bool = False) -> float:
    """Generalized Jensen-Shannon divergence of clients' label shares, in bits (Lin 1991, section V).

    H(sum_k w_k p_k) - sum_k w_k H(p_k), with p_k the row of client k and w_k its part of the records. `shares`:
    (clients, labels), rows sum to 1; `sizes`: records (clients,), equal if None. Weighted by size it is the mutual
    information between client and label: what the client tells of a record's label. 0 where all clients are alike;
    at most the entropy of the weights and that of the mixture. `normalise` divides by the latter: the part of the
    labels' entropy that lies between clients, 0 to 1 (0 where there is one label only).

    `FedkitError` where rows are no distributions or the sizes do not fit.
    """
    p = np.atleast_2d(np.asarray(shares, dtype=np.float64))
    n = np.ones(len(p)) if sizes is None else np.asarray(sizes, dtype=np.float64)
    if n.shape != (len(p),) or not n.sum() > 0 or (n < 0).any():
        raise FedkitError(f"sizes have the shape {n.shape} for {len(p)} clients; give a count above 0 for each client")
    if (p < 0).any() or not np.allclose(p.sum(axis=1), 1):
        raise FedkitError("shares are no distributions; give a row a client, of shares that sum to 1")
    weights = n / n.sum()
    whole = float(entropy(weights @ p))
    divergence = max(0.0, whole - float(weights @ entropy(p)))
    return divergence if not normalise else divergence / whole if whole > 0 else 0.0


def pairwise_js_divergence(shares: ArrayLike) -> float:
    """Mean over pairs of clients of the Jensen-Shannon divergence of the two, in bits: 0 to 1 whatever the labels.

    Each pair counts the same, whatever its sizes. `FedkitError` for fewer than two clients.
    """
    from scipy.spatial.distance import pdist

    p = np.atleast_2d(np.asarray(shares, dtype=np.float64))
    if len(p) < 2:
        raise FedkitError("a divergence of pairs needs at least two clients")
    distances = pdist(p, "jensenshannon")  # the square root of the divergence, in nats
    return float(np.mean(np.nan_to_num(distances) ** 2) / np.log(2))  # a rounding error below 0 becomes nan


def gini(sizes: ArrayLike) -> float:
    """Gini coefficient of quantities: 0 where all clients hold as much, (k - 1) / k where one of k holds all.

    Mean absolute difference of two clients over twice the mean. `FedkitError` for negative sizes or a sum of 0.
    """
    x = np.sort(np.asarray(sizes, dtype=np.float64))
    if not x.size or x[0] < 0 or not x.sum() > 0:
        raise FedkitError("a Gini coefficient needs sizes of at least 0 that do not sum to 0")
    rank = np.arange(1, len(x) + 1)
    return float((2 * rank - len(x) - 1) @ x / (len(x) * x.sum()))


def size_gini(owner: np.ndarray) -> float:
    """Gini coefficient of the sizes that owners (records,) make: quantity as a `Statistic`."""
    return gini(np.bincount(owner))


def label_divergence(labels: Sequence[Any], *, normalise: bool = False) -> Statistic:
    """`js_divergence` of labels (one a record) as a function of the owners alone, clients weighted by size."""
    codes: dict[Any, int] = {}
    label = np.fromiter((codes.setdefault(value, len(codes)) for value in labels), dtype=np.int64)
    if not len(label):
        raise FedkitError("a divergence of labels needs at least one record")
    whole = float(entropy(np.bincount(label) / len(label)))

    def divergence(owner: np.ndarray) -> float:
        owner = _checked(owner, label)
        _, pairs = np.unique(owner * len(codes) + label, return_counts=True)  # sparse: clients x labels may be millions
        sizes = np.bincount(owner)
        sizes = sizes[sizes > 0]
        within = (sizes @ np.log2(sizes) - pairs @ np.log2(pairs)) / len(label)  # sum_k w_k H(p_k)
        between = max(0.0, whole - float(within))
        return between if not normalise else between / whole if whole > 0 else 0.0

    return divergence


def variance_between(values: ArrayLike) -> Statistic:
    """The share of the variance of values (records,) that lies between clients, 0 to 1.

    Eta squared, SS_between / SS_total, of the one-way analysis of variance with clients as groups (Fisher 1925); 0
    where the values do not vary. It is biased upwards: of k clients with n records dealt at random it expects
    (k - 1) / (n - 1), so compare it with an iid control, never with 0. Vectors (records, dimensions) count by squared
    Euclidean distance: the sums of squares of all dimensions are added. `FedkitError` where a value is not finite.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim not in (1, 2) or not x.size or not np.isfinite(x).all():
        raise FedkitError("a share of variance needs one finite number a record; leave records without one out")
    x = (x - x.mean(axis=0)).reshape(len(x), -1)
    total = float((x * x).sum())

    def share(owner: np.ndarray) -> float:
        owner = _checked(owner, x)
        if not total > 0:
            return 0.0
        sizes = np.maximum(np.bincount(owner), 1)
        between = sum((np.bincount(owner, weights=column) ** 2 / sizes).sum() for column in x.T)
        return float(between / total)

    return share


def silhouette(vectors: ArrayLike, *, metric: str = "cosine") -> Statistic:
    """Mean silhouette of the records with clients as clusters, -1 to 1 (Rousseeuw 1987; scikit-learn).

    Above 0: a record is nearer to its own client's than to the nearest other client's. With many clients some other
    client is nearly always nearer by chance, so most natural splits lie below 0; compare with an iid control.
    `vectors`: (records, dimensions). Memory and time grow with the square of the records; distances are computed once.
    """
    from sklearn.metrics import pairwise_distances, silhouette_score

    distances = pairwise_distances(np.asarray(vectors), metric=metric)
    np.fill_diagonal(distances, 0.0)

    def score(owner: np.ndarray) -> float:
        owner = _checked(owner, distances)
        if not 2 <= len(np.unique(owner)) < len(owner):
            raise FedkitError("a silhouette needs two clients or more, one of them with two records")
        return float(silhouette_score(distances, owner, metric="precomputed"))

    return score


def _checked(owner: ArrayLike, values: np.ndarray) -> np.ndarray:
    if len(owner := np.asarray(owner)) != len(values):
        raise FedkitError(f"{len(values)} records have {len(owner)} owners; give one owner a record")
    return owner
