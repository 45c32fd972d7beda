"""Four domains, one a client (OpenFedLLM section 4.4): the second of its two types of partition."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from ....common.errors import FedkitError
from ....profiles import Profile
from ...partitioners import natural
from ...sources import Located, RawSource, locate
from ..built import Built, Cut, assemble, reads
from ..drops import DropReport
from .instructions import INSTRUCTION_SETS

# Client -> corpus, in the order of the paper's Table 5.
DOMAINS: Mapping[str, str] = MappingProxyType(
    {"general": "alpaca", "math": "mathinstruct", "code": "code_alpaca", "finance": "fingpt"}
)
PAPER = MappingProxyType({"clients": 4, "samples": 20_000, "place": "OpenFedLLM section 4.4 (5k a client)"})
BELOW = "domain with fewer than {} records"


@reads(*DOMAINS.values())
def build_domains(
    profile: Profile,
    cut: Cut,
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    raw_limit: int | None = None,
) -> Built:
    """Alpaca, MathInstruct, CodeAlpaca and FinGPT as one client each; columns instruction, response, language, domain.

    Each domain is cut to `max_records_per_client` (the paper: 5,000), and in the embedded world a quarter of
    `raw_limit` is made of each. `FedkitError` where some of the four would be real and others embedded.
    """
    found = _locate(profile, data_dir, offline)
    corpora = {domain: INSTRUCTION_SETS[name] for domain, name in DOMAINS.items()}
    below = BELOW.format(cut.minimum)
    rules = (rule for domain, corpus in corpora.items() for rule in corpus.reasons(found[domain].source.fields))
    total = DropReport((*dict.fromkeys(rules), below))
    tables = []
    for domain, corpus in corpora.items():
        drops = DropReport(corpus.reasons(found[domain].source.fields))
        own = corpus.read(found[domain], drops, raw_limit and max(1, raw_limit // len(corpora)))
        tables.append(own.append_column("domain", pa.array([domain] * own.num_rows, pa.string())))
        total.read += drops.read
        for reason, records, _ in drops.rows:
            total.add(reason, records, domain)
    table = pa.concat_tables(tables)
    labels = np.repeat(list(corpora), [own.num_rows for own in tables])
    base = natural(labels, cut.minimum)
    for domain, own in zip(corpora, tables, strict=True):
        if domain not in base:
            total.add(below, own.num_rows, domain)
    return assemble(
        "domains", table, base, cut=cut, drops=total, located=_together(found), paper=dict(PAPER), owned=True
    )


def _locate(profile: Profile, data_dir: str | Path | None, offline: bool) -> dict[str, Located]:
    """Where each domain comes from: all of them real, or all of the embedded world."""
    found = {
        domain: locate(name, data_dir=data_dir, offline=offline, embedded=profile.embedded)
        for domain, name in DOMAINS.items()
    }
    made = [place for place in found.values() if place.kind == "embedded"]
    if made and len(made) < len(found):
        lacking = ", ".join(place.source.files[0] for place in made)
        raise FedkitError(
            f"{data_dir} holds only some of the four domains; put {lacking} beside them, or leave --data-dir out"
        )
    return found


def _together(found: Mapping[str, Located]) -> Located:
    """The four places as one."""
    places = list(found.values())
    source = RawSource(
        "domains",
        files=(),
        fields=MappingProxyType({"instruction": str, "output": str}),
        licence="; ".join(f"{place.source.name}: {place.source.licence}" for place in places),
        description="a domain a client: " + ", ".join(f"{d} {p.source.name}" for d, p in found.items()),
    )
    where = "; ".join(dict.fromkeys(place.where for place in places))
    files = tuple(path for place in places for path in place.files)
    kind = "hub" if any(place.kind == "hub" for place in places) else places[0].kind
    return Located(source, kind, where, files, places[0].note)
