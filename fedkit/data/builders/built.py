"""What a builder returns, and the last steps that builders share: the cap, the control split, the counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ...common.errors import FedkitError, unknown
from ...common.seeds import generator
from ..arrow import values
from ..federated import FederatedDataset
from ..partitioners import Partition, by_language, dirichlet, iid, quantity_skew
from ..sources import Located
from .drops import DropReport


@dataclass
class Built:
    """A federated dataset with the story of its making.

    `paper` holds the published counts (`clients`, `samples`; None where there is none) and their `place`.
    """

    dataset: FederatedDataset
    drops: DropReport
    located: Located
    paper: dict[str, Any] = field(default_factory=dict)

    def counts(self) -> pd.DataFrame:
        """Clients and samples, ours beside the published; columns what, ours, paper (NaN where none)."""
        ours = {"clients": len(self.dataset), "samples": self.dataset.n_records}
        lines = [(what, count, self.paper.get(what)) for what, count in ours.items()]
        return pd.DataFrame(lines, columns=["what", "ours", "paper"]).astype({"paper": "float64"})


@dataclass(frozen=True)
class Cut:
    """How a builder's records become clients: profile, arguments of `build` and parameters, in one place."""

    minimum: int = 1
    n_clients: int | None = None
    max_records_per_client: int | None = None
    partition: str | None = None  # None: the dataset's own split; else a control over the very same records
    alpha: float = 0.5  # of the controls that draw from a Dirichlet distribution
    seed: int = 0


def reads(*sources: str) -> Callable[[Callable[..., Built]], Callable[..., Built]]:
    """Declare which raw sources (`fedkit.data.catalog`) a builder may read, as its attribute `sources`."""

    def mark(builder: Callable[..., Built]) -> Callable[..., Built]:
        builder.sources = sources  # type: ignore[attr-defined]
        return builder

    return mark


def _languages(table: pa.Table) -> list[str]:
    return list(values(table["language"]))


def _labels(table: pa.Table) -> list[str]:
    """What a Dirichlet split draws over: the domain where records have one, else the language."""
    return list(values(table["domain" if "domain" in table.column_names else "language"]))


# Control splits of a table into n clients; what is learnt on the natural split and not on these is due to the split.
CONTROLS: Mapping[str, Callable[[pa.Table, int, Cut], Partition]] = MappingProxyType(
    {
        "iid": lambda table, n, cut: iid(table.num_rows, n, seed=cut.seed),
        "dirichlet": lambda table, n, cut: dirichlet(_labels(table), n, cut.alpha, seed=cut.seed),
        "quantity_skew": lambda table, n, cut: quantity_skew(table.num_rows, n, cut.alpha, seed=cut.seed),
        "by_language": lambda table, n, cut: by_language(_languages(table)),
    }
)


def assemble(
    name: str,
    table: pa.Table,
    base: Partition,
    *,
    cut: Cut,
    drops: DropReport,
    located: Located,
    paper: dict[str, Any],
    owned: bool,
) -> Built:
    """Cap the clients of the dataset's own split, split anew where a control is asked for, and settle the counts.

    `owned`: the clients of `base` are people, and the drop report counts those that are left.
    """
    if owned and cut.n_clients is not None and cut.partition is None:
        raise FedkitError(
            f"{name} has its own {len(base)} clients; n_clients goes with a control split such as partition='iid'"
        )
    base = _capped(base, cut, drops)
    kept = np.sort(np.concatenate(list(base.values())))
    drops.keep(len(kept), base if owned else ())
    parts = base
    if cut.partition is not None:
        if cut.partition not in CONTROLS:
            raise unknown("partition", cut.partition, CONTROLS)
        own = table.take(pa.array(kept))
        split = CONTROLS[cut.partition](own, cut.n_clients or len(base), cut)
        parts = {client: kept[rows] for client, rows in split.items()}
    columns = [column for column in table.column_names if column != "client_id"]
    info = {
        "source": located.describe(),
        "licence": located.source.licence,
        "split": cut.partition or "its own",
        "seed": cut.seed,
        "read": drops.read,
        "kept": drops.kept,
        "dropped": {reason: records for reason, records, _ in drops.rows},
        "read_as": dict(drops.notes),
    }
    dataset = FederatedDataset.from_partition(table.select(columns), parts, name=name, info=info)
    return Built(dataset, drops, located, paper)


def _capped(base: Partition, cut: Cut, drops: DropReport) -> Partition:
    """At most `max_records_per_client` rows a client, drawn without replacement, in their old order."""
    cap = cut.max_records_per_client
    if cap is None:
        return base
    if cap < 1:
        raise FedkitError(f"max_records_per_client is {cap}; it must be at least 1")
    capped = {}
    for client, rows in base.items():
        if len(rows) > cap:
            rng = generator(cut.seed, "builders/cap", client=client)
            drops.add(f"over the cap of {cap} a client", len(rows) - cap)
            rows = np.sort(rng.choice(rows, size=cap, replace=False))
        capped[client] = rows
    return capped
