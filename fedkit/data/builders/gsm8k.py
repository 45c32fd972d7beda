"""GSM8K over iid clients (OpenFedLLM section 4.1: one dataset, split at random over its clients)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from ...common.errors import FedkitError
from ...profiles import Profile
from ..arrow import Sink
from ..partitioners import iid
from ..sources import Located, locate, raw_records
from .built import Built, Cut, assemble, reads
from .checks import fault, reasons, require_usable
from .drops import DropReport
from .schemas import ANSWERED

PAPER = {"clients": None, "samples": 7_473, "place": "Cobbe et al. 2021 (training set); the split is ours"}


def read(located: Located, drops: DropReport, limit: int | None = None) -> pa.Table:
    """The usable problems as instruction (question), response (worked answer) and language; else `FedkitError`."""
    fields = located.source.fields
    sink, kept = Sink(located.where, ANSWERED), 0
    for raw in drops.reading(raw_records(located, limit=limit if located.kind == "embedded" else None)):
        why = fault(raw, fields)
        if why is not None:
            drops.add(why)
            continue
        sink.add({"instruction": raw["question"], "response": raw["answer"], "language": "en"})
        kept += 1
    require_usable(located, drops, kept, fields)
    return sink.table()


@reads("gsm8k", "gsm8k_test")
def build_gsm8k(
    profile: Profile,
    cut: Cut,
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    raw_limit: int | None = None,
) -> Built:
    """GSM8K dealt at random to `n_clients` clients; columns instruction, response, language."""
    if cut.n_clients is None:
        raise FedkitError(f"profile {profile.name} gives gsm8k no n_clients; pass n_clients")
    located = locate("gsm8k", data_dir=data_dir, offline=offline, embedded=profile.embedded)
    drops = DropReport(reasons(located.source.fields))
    table = read(located, drops, raw_limit)
    base = iid(table.num_rows, cut.n_clients, seed=cut.seed, minimum=cut.minimum)
    return assemble("gsm8k", table, base, cut=cut, drops=drops, located=located, paper=dict(PAPER), owned=False)


def gsm8k_test(
    profile: Profile, *, data_dir: str | Path | None = None, offline: bool = False
) -> tuple[Located, list[dict[str, Any]]]:
    """The test problems as records of the same three columns, and where they come from.

    `FedkitError` where the training set would be real and the test set embedded, or the other way round.
    """
    located = locate("gsm8k_test", data_dir=data_dir, offline=offline, embedded=profile.embedded)
    training = locate("gsm8k", data_dir=data_dir, offline=offline, embedded=profile.embedded)
    if "embedded" in (located.kind, training.kind) and located.kind != training.kind:
        lacking = located if located.kind == "embedded" else training
        raise FedkitError(
            f"{data_dir} holds only one half of GSM8K; put {lacking.source.files[0]} beside it, or leave --data-dir out"
        )
    drops = DropReport(reasons(located.source.fields))
    records = read(located, drops).to_pylist()
    drops.keep(len(records))
    return located, records
