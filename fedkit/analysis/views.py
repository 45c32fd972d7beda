"""Views of a dataset as rows of one table: each a number, its iid control and a p-value; kept on disk by notebooks.

A notebook computes its views and writes them under `<results>/views/`; whoever wants the whole table collects them:

    verbs_view = view(dataset, "root verb", verbs, texts.owner, by="divergence")
    write_views(kit.folder, [verbs_view])
    collect(kit.folder, datasets)                                  # one line a dataset and view
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..common.errors import FedkitError, unknown
from ..common.files import read_sealed, write_sealed
from ..common.seeds import generator
from .chance import PERMUTATIONS, Result, permutation_test, quantity_test
from .measures import label_divergence, silhouette, variance_between

if TYPE_CHECKING:
    import pandas as pd

    from ..data.federated import FederatedDataset

COLUMNS = tuple(
    "dataset view measure value control control_low control_high p permutations records clients left_out".split()
)
MEASURES = {
    "divergence": "Jensen-Shannon divergence (bits)",
    "variance": "share of variance between clients",
    "silhouette": "silhouette of clients",
}
GINI = "Gini coefficient"


@dataclass(frozen=True)
class View:
    """One number of one dataset. `records` and `clients` are those that the number is over; `left_out` the records
    that had no value (no verb, no score) or were not drawn."""

    dataset: str
    fingerprint: str
    view: str
    measure: str
    result: Result
    records: int
    clients: int
    left_out: int


def view(
    dataset: FederatedDataset,
    name: str,
    values: Sequence[Any] | np.ndarray | pd.Series,
    owner: ArrayLike,
    *,
    by: str,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    metric: str = "cosine",
    records: int = 1000,
    per_client: int = 20,
) -> View:
    """A view of values (one a record, `owner` its client) by one of the measures of `fedkit.analysis.measures`:

    - `divergence`: categories (languages, verbs) by the Jensen-Shannon divergence between clients; None is no label;
    - `variance`: numbers (lengths, IFD) or embeddings (records, dimensions) by the share of their variance between
      clients; NaN is no number. It asks how far clients' means lie apart;
    - `silhouette`: embeddings, whether each record has its own client nearest by `metric`. Over at most `per_client`
      records of each of randomly drawn clients that have two or more, as many clients as `records` allows, since the
      cost grows with the square of the records.

    Records without a value are left out and counted. `FedkitError` for another measure, or where no record has one.
    """
    if by not in MEASURES:
        raise unknown("measure", by, MEASURES)
    owners = np.asarray(owner)
    if by == "divergence":
        rows = np.flatnonzero([label is not None for label in values])
    else:
        values = np.asarray(values, dtype=np.float64 if by == "variance" else None)
        rows = np.flatnonzero(~np.isnan(values.reshape(len(values), -1)).any(axis=1))
    if len(owners) != len(values):
        raise FedkitError(f"view {name}: {len(values)} values have {len(owners)} owners; give one owner a record")
    if not len(rows):
        raise FedkitError(f"view {name}: no record has a value; look at what computed them")
    if by == "divergence":
        statistic = label_divergence([label for label in values if label is not None])
    elif by == "variance":
        statistic = variance_between(values[rows])
    else:
        rows = rows[_draw(owners[rows], records, per_client, seed)]
        statistic = silhouette(values[rows], metric=metric)
    result = permutation_test(statistic, owners[rows], permutations, seed)
    return _view(dataset, name, MEASURES[by], result, owners[rows])


def quantity_view(dataset: FederatedDataset, *, permutations: int = PERMUTATIONS, seed: int = 0) -> View:
    """How unequal the sizes of clients are: their Gini coefficient."""
    result = quantity_test(dataset.sizes, permutations, seed)
    return _view(dataset, "quantity", GINI, result, np.repeat(np.arange(len(dataset)), dataset.sizes))


def heterogeneity_table(views: Iterable[View]) -> pd.DataFrame:
    """Views as one tidy table, columns `COLUMNS`, in the order given."""
    import pandas as pd

    rows = [
        (v.dataset, v.view, v.measure, *astuple(v.result), v.records, v.clients, v.left_out)  # in the order of `Result`
        for v in views
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write_views(folder: str | Path, views: Iterable[View]) -> list[Path]:
    """Keep views under `<folder>/views/`, a file by dataset, fingerprint and view; one of before is replaced."""
    return [write_sealed(_place(folder, view.dataset, view.fingerprint, view.view), asdict(view)) for view in views]


def read_views(folder: str | Path, datasets: Iterable[FederatedDataset]) -> list[View]:
    """The kept views of these very datasets (by fingerprint), dataset by dataset, views by name.

    `FedkitError` for a file that is no view or not as it was written.
    """
    places = [_place(folder, dataset.name, dataset.fingerprint, "*") for dataset in datasets]
    return [_read(path) for place in places for path in sorted(place.parent.glob(place.name))]


def collect(folder: str | Path, datasets: Iterable[FederatedDataset]) -> pd.DataFrame:
    """`heterogeneity_table` of all views that notebooks kept for these datasets under a results folder."""
    return heterogeneity_table(read_views(folder, datasets))


def _view(dataset: FederatedDataset, name: str, measure: str, result: Result, owners: np.ndarray) -> View:
    clients, left_out = len(np.unique(owners)), dataset.n_records - len(owners)
    return View(dataset.name, dataset.fingerprint, name, measure, result, len(owners), clients, left_out)


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
    note = read_sealed(path, "delete it and run its notebook again")
    try:
        return View(**{**note, "result": Result(**note["result"])})
    except (KeyError, TypeError) as error:  # of an older fedkit
        raise FedkitError(f"{path}: no readable view ({error}); delete it and run its notebook again") from error
