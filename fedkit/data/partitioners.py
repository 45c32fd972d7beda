"""Rows into clients. A partition maps a client's id to its row indices (int64, ascending), ordered by id.

Plain NumPy, seeded by argument. `iid`, `dirichlet` and `quantity_skew` give every row to exactly one client; `natural`
leaves out the rows of clients below its minimum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..common.errors import FedkitError
from ..common.seeds import generator

Partition = dict[str, np.ndarray]


def natural(ids: Iterable[Any], minimum: int = 1) -> Partition:
    """One client for each id that owns at least `minimum` rows (FedLLM-Bench section 3.2: by annotator or user).

    `ids`: one a row, taken as text. `FedkitError` where no client is left.
    """
    codes: dict[str, int] = {}
    owner = np.fromiter((codes.setdefault(str(i), len(codes)) for i in ids), dtype=np.int64)
    sizes = np.bincount(owner, minlength=len(codes))
    if not len(sizes) or sizes.max() < minimum:
        raise FedkitError(
            f"no client has the {minimum} records that the minimum asks for (the largest of {len(codes)} has"
            f" {sizes.max() if len(sizes) else 0}); lower minimum or give more records"
        )
    parts = _split(owner, list(codes))
    return {client: rows for client, rows in parts.items() if len(rows) >= minimum}


def by_language(languages: Iterable[str]) -> Partition:
    """One client for each language: the extreme of label skew, and the pooled data of each language's speakers."""
    return natural(languages)


def iid(n_rows: int, n_clients: int, *, seed: int, minimum: int = 1) -> Partition:
    """Rows dealt at random; sizes differ by at most one (OpenFedLLM section 4.1)."""
    _enough(n_rows, n_clients, minimum)
    owner = np.empty(n_rows, dtype=np.int64)
    owner[generator(seed, "partition/iid").permutation(n_rows)] = np.arange(n_rows) % n_clients
    return _split(owner, _names(n_clients))


def dirichlet(labels: Sequence[Any], n_clients: int, alpha: float, *, seed: int, minimum: int = 1) -> Partition:
    """Label skew (Hsu et al. 2019; Li et al. 2022): each label's rows are shared out by a draw of Dir(alpha).

    Large alpha: every client has the shares of the whole; small alpha: a label sits with few clients. A client that
    the draw leaves below `minimum` takes random rows from the largest, so that `minimum` holds for any alpha.
    """
    _positive(alpha)
    codes: dict[Any, int] = {}
    label = np.fromiter((codes.setdefault(value, len(codes)) for value in labels), dtype=np.int64)
    _enough(len(label), n_clients, minimum)
    rng = generator(seed, "partition/dirichlet")
    owner = np.empty(len(label), dtype=np.int64)
    for value in sorted(codes, key=str):
        rows = rng.permutation(np.flatnonzero(label == codes[value]))
        owner[rows] = np.repeat(np.arange(n_clients), _counts(len(rows), n_clients, alpha, rng))
    return _split(_top_up(owner, n_clients, minimum, rng), _names(n_clients))


def quantity_skew(n_rows: int, n_clients: int, alpha: float, *, seed: int, minimum: int = 1) -> Partition:
    """Quantity skew (Li et al. 2022): random rows, sizes `minimum` plus a share of the rest drawn from Dir(alpha)."""
    _positive(alpha)
    _enough(n_rows, n_clients, minimum)
    rng = generator(seed, "partition/quantity_skew")
    sizes = minimum + _counts(n_rows - minimum * n_clients, n_clients, alpha, rng)
    owner = np.empty(n_rows, dtype=np.int64)
    owner[rng.permutation(n_rows)] = np.repeat(np.arange(n_clients), sizes)
    return _split(owner, _names(n_clients))


def _names(n_clients: int) -> list[str]:
    """Names whose order as text is their order as numbers."""
    width = len(str(n_clients - 1))
    return [f"client_{i:0{width}d}" for i in range(n_clients)]


def _split(owner: np.ndarray, names: Sequence[str]) -> Partition:
    """Row indices by owner; `owner` (rows,) holds positions in `names`. Clients without rows do not appear."""
    rows = np.argsort(owner, kind="stable")
    ends = np.cumsum(np.bincount(owner, minlength=len(names)))
    starts = np.concatenate([[0], ends[:-1]])
    return {
        names[i]: rows[starts[i] : ends[i]]
        for i in sorted(range(len(names)), key=names.__getitem__)
        if ends[i] > starts[i]
    }


def _counts(total: int, n_clients: int, alpha: float, rng: np.random.Generator) -> np.ndarray:
    """`total` in whole numbers by shares drawn from Dir(alpha), (n_clients,)."""
    shares = rng.dirichlet(np.full(n_clients, alpha))
    if not np.isfinite(shares).all():  # every gamma draw underflowed: in the limit, one client has all
        shares = np.eye(n_clients)[rng.integers(n_clients)]
    ends = np.rint(np.cumsum(shares) * total).astype(np.int64)
    ends[-1] = total
    return np.diff(ends, prepend=0)


def _top_up(owner: np.ndarray, n_clients: int, minimum: int, rng: np.random.Generator) -> np.ndarray:
    """Move random rows from clients above `minimum`, largest first, to those below it."""
    sizes = np.bincount(owner, minlength=n_clients)
    wanting = np.flatnonzero(sizes < minimum)
    needed = int((minimum - sizes[wanting]).sum())
    spare: list[np.ndarray] = []
    for client in np.argsort(-sizes, kind="stable"):
        if needed <= sum(map(len, spare)):
            break
        own = np.flatnonzero(owner == client)
        spare.append(rng.permutation(own)[: max(0, sizes[client] - minimum)])
    if needed:
        owner[np.concatenate(spare)[:needed]] = np.repeat(wanting, minimum - sizes[wanting])
    return owner


def _enough(n_rows: int, n_clients: int, minimum: int) -> None:
    if n_clients < 1 or minimum < 1:
        raise FedkitError(f"n_clients is {n_clients} and minimum {minimum}; both must be at least 1")
    if n_rows < n_clients * minimum:
        raise FedkitError(
            f"{n_rows} records do not make {n_clients} clients of at least {minimum};"
            " ask for fewer clients or give more records"
        )


def _positive(alpha: float) -> None:
    if not 0 < alpha < float("inf"):
        raise FedkitError(f"alpha is {alpha}; a Dirichlet split needs a finite alpha above 0")
