"""Views of a dataset as rows of one table: each a number, its iid control and a p-value; kept on disk by notebooks.

A notebook computes its views and writes them under `<results>/views/`; whoever wants the whole table collects them:

    view = label_view(dataset, "root verb", verbs, texts.owner)   # or number_view, vector_view, quantity_view
    write_views(kit.folder, [view])
    collect(kit.folder, datasets)                                  # one line a dataset and view
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..common.errors import FedkitError
from ..common.files import new_file
from ..common.seeds import generator
from .diversity import label_divergence, separation, variance_between
from .permutation import PERMUTATIONS, Result, permutation_test, quantity_test

if TYPE_CHECKING:
    import pandas as pd

    from ..data.federated import FederatedDataset

COLUMNS = (
    "dataset",
    "view",
    "measure",
    "value",
    "control",
    "control_low",
    "control_high",
    "p",
    "permutations",
    "records",
    "clients",
    "left_out",
)
DIVERGENCE = "Jensen-Shannon divergence (bits)"
BETWEEN = "share of variance between clients"
SILHOUETTE = "silhouette of clients"
GINI = "Gini coefficient"


@dataclass(frozen=True)
class View:
    """One number of one dataset. `records` and `clients` are those that the number is over; `left_out` the records
    that had no value (no verb found, no score) or were not drawn."""

    dataset: str
    fingerprint: str
    view: str
    measure: str
    result: Result
    records: int
    clients: int
    left_out: int

    def row(self) -> dict[str, Any]:
        """The view as a line of the table, columns `COLUMNS`."""
        r = self.result
        numbers = (r.value, r.control_mean, r.control_low, r.control_high, r.p, r.permutations)
        counts = (self.records, self.clients, self.left_out)
        return dict(zip(COLUMNS, (self.dataset, self.view, self.measure, *numbers, *counts), strict=True))


def label_view(
    dataset: FederatedDataset,
    view: str,
    labels: Sequence[Any],
    owner: ArrayLike,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> View:
    """Categories (languages, verbs): the Jensen-Shannon divergence between clients. None is no label and left out."""
    has = np.array([label is not None for label in labels], dtype=bool)
    owners = _kept(view, owner, has)
    statistic = label_divergence([label for label in labels if label is not None])
    result = permutation_test(statistic, owners, permutations, seed)
    return _view(dataset, view, DIVERGENCE, result, owners)


def number_view(
    dataset: FederatedDataset,
    view: str,
    values: ArrayLike,
    owner: ArrayLike,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> View:
    """Numbers (lengths, IFD): the share of their variance between clients. NaN is no number and left out."""
    x = np.asarray(values, dtype=np.float64)
    owners = _kept(view, owner, ~np.isnan(x))
    result = permutation_test(variance_between(x[~np.isnan(x)]), owners, permutations, seed)
    return _view(dataset, view, BETWEEN, result, owners)


def vector_view(
    dataset: FederatedDataset,
    view: str,
    vectors: ArrayLike,
    owner: ArrayLike,
    *,
    metric: str = "cosine",
    records: int = 1000,
    per_client: int = 20,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> View:
    """Embeddings (records, dimensions): the silhouette of clients.

    Over at most `per_client` records of each of randomly drawn clients that have two or more, as many clients as
    `records` allows, since the cost grows with the square of the records.
    """
    owners = np.asarray(owner)
    drawn = _draw(owners, records, per_client, seed)
    result = permutation_test(separation(np.asarray(vectors)[drawn], metric=metric), owners[drawn], permutations, seed)
    return _view(dataset, view, SILHOUETTE, result, owners[drawn])


def spread_view(
    dataset: FederatedDataset,
    view: str,
    vectors: ArrayLike,
    owner: ArrayLike,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> View:
    """Embeddings (records, dimensions): the share of their variance between clients, over all records.

    Unlike the silhouette it asks how far clients' means lie apart, not whether each record has its own client nearest.
    """
    owners = np.unique(np.asarray(owner), return_inverse=True)[1].astype(np.int64)
    result = permutation_test(variance_between(vectors), owners, permutations, seed)
    return _view(dataset, view, BETWEEN, result, owners)


def quantity_view(dataset: FederatedDataset, *, permutations: int = PERMUTATIONS, seed: int = 0) -> View:
    """How unequal the sizes of clients are: their Gini coefficient."""
    result = quantity_test(dataset.sizes, permutations, seed)
    return _view(dataset, "quantity", GINI, result, np.repeat(np.arange(len(dataset)), dataset.sizes))


def heterogeneity_table(views: Iterable[View]) -> pd.DataFrame:
    """Views as one tidy table, columns `COLUMNS`, in the order given."""
    import pandas as pd

    return pd.DataFrame([view.row() for view in views], columns=list(COLUMNS))


def write_views(folder: str | Path, views: Iterable[View]) -> list[Path]:
    """Keep views under `<folder>/views/`, a file by dataset, fingerprint and view; one of before is replaced."""
    paths = []
    for view in views:
        path = _place(folder, view.dataset, view.fingerprint, view.view)
        with new_file(path) as part:
            part.write_text(json.dumps(asdict(view), indent=1, ensure_ascii=False), encoding="utf-8")
        paths.append(path)
    return paths


def read_views(folder: str | Path, datasets: Iterable[FederatedDataset]) -> list[View]:
    """The kept views of these very datasets (by fingerprint), dataset by dataset, views by name.

    `FedkitError` for a file that is no view.
    """
    views = []
    for dataset in datasets:
        pattern = _place(folder, dataset.name, dataset.fingerprint, "*").name
        for path in sorted((Path(folder) / "views").glob(pattern)):
            views.append(_read(path))
    return views


def collect(folder: str | Path, datasets: Iterable[FederatedDataset]) -> pd.DataFrame:
    """`heterogeneity_table` of all views that notebooks kept for these datasets under a results folder."""
    return heterogeneity_table(read_views(folder, datasets))


def _view(dataset: FederatedDataset, view: str, measure: str, result: Result, owners: np.ndarray) -> View:
    clients, left_out = len(np.unique(owners)), dataset.n_records - len(owners)
    return View(dataset.name, dataset.fingerprint, view, measure, result, len(owners), clients, left_out)


def _kept(view: str, owner: ArrayLike, has: np.ndarray) -> np.ndarray:
    owners = np.asarray(owner)
    if len(owners) != len(has):
        raise FedkitError(f"view {view}: {len(has)} values have {len(owners)} owners; give one owner a record")
    if not has.any():
        raise FedkitError(f"view {view}: no record has a value; look at what computed them")
    return owners[has]


def _draw(owners: np.ndarray, records: int, per_client: int, seed: int) -> np.ndarray:
    rng = generator(seed, "analysis/vectors")
    clients, sizes = np.unique(owners, return_counts=True)
    drawn: list[np.ndarray] = []
    for client in rng.permutation(clients[sizes >= 2]):
        rows = np.flatnonzero(owners == client)
        rows = rng.choice(rows, size=min(len(rows), per_client), replace=False)
        if len(drawn) >= 2 and sum(map(len, drawn)) + len(rows) > records:
            break
        drawn.append(rows)
    if len(drawn) < 2:
        raise FedkitError("a silhouette needs two clients with two records or more; embed more records")
    return np.sort(np.concatenate(drawn))


def _place(folder: str | Path, dataset: str, fingerprint: str, view: str) -> Path:
    slug = "*" if view == "*" else re.sub(r"[^a-z0-9]+", "_", view.lower()).strip("_")
    return Path(folder) / "views" / f"{dataset}-{fingerprint[:12]}-{slug}.json"


def _read(path: Path) -> View:
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        return View(**{**note, "result": Result(**note["result"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FedkitError(f"{path}: no readable view ({error}); delete it and run its notebook again") from error
