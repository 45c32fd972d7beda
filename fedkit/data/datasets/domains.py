"""Four domains, one a client (OpenFedLLM section 4.4): the second of its two types of partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..partitioners import natural
from ..sources import RawSource
from .alpaca import ALPACA, CODE_ALPACA, MATHINSTRUCT
from .base import Dataset, Dealt, paper
from .built import Built, Cut, DropReport
from .fingpt import FINGPT
from .story import BROKEN, CITE_OPENFEDLLM, LEFT_OVER, OPENFEDLLM, Part, Story

if TYPE_CHECKING:
    from ..place import Located, Place

# Client -> corpus, in the order of the paper's Table 5.
PARTS: Mapping[str, Dealt] = MappingProxyType(
    {"general": ALPACA, "math": MATHINSTRUCT, "code": CODE_ALPACA, "finance": FINGPT}
)


class Domains(Dataset):
    """Alpaca, MathInstruct, CodeAlpaca and FinGPT as one client each; the column `domain` says which.

    Each domain is cut to `max_records_per_client` (the paper: 5,000), and in the embedded world a quarter of
    `raw_records` is made of each. Where the place has an embedded world and the data folder only some of the four, all
    are embedded, and `describe()` says which are lacking: real and invented domains are never mixed.
    """

    def _sources(self) -> tuple[RawSource, ...]:
        return tuple(corpus.form.source for corpus in PARTS.values())

    def locate(self, place: Place) -> Located:
        """The four places as one."""
        places = list(self._locate(place).values())
        source = RawSource(
            self.name,
            files=(),
            fields=MappingProxyType({"instruction": str, "output": str}),
            licence="; ".join(f"{each.source.name}: {each.source.licence}" for each in places),
            description="a domain a client: " + ", ".join(f"{name} {part.name}" for name, part in PARTS.items()),
        )
        return replace(
            places[0],
            source=source,
            kind="hub" if any(each.kind == "hub" for each in places) else places[0].kind,
            where="; ".join(dict.fromkeys(each.where for each in places)),
            files=tuple(path for each in places for path in each.files),
        )

    def _locate(self, place: Place) -> dict[str, Located]:
        """Where each domain comes from: all of them real, or all of the embedded world."""
        places = {domain: corpus.locate(place) for domain, corpus in PARTS.items()}
        embedded = [located for located in places.values() if located.kind == "embedded"]
        if not embedded or len(embedded) == len(places):
            return places
        lacking = ", ".join(located.source.files[0] for located in embedded)
        note = f"{place.data_dir} holds only {len(places) - len(embedded)} of the four domains, and lacks {lacking}"
        bare = replace(place, data_dir=None)
        return {domain: replace(corpus.locate(bare), note=note) for domain, corpus in PARTS.items()}

    def _build(self, place: Place, cut: Cut, **options: Any) -> Built:
        below = f"domain with fewer than {cut.minimum} records"
        rules = dict.fromkeys(rule for corpus in PARTS.values() for rule in corpus.form.reasons)
        total, tables = DropReport((*rules, below)), []
        limit = cut.raw_records and max(1, cut.raw_records // len(PARTS))
        for domain, located in self._locate(place).items():
            own, drops = PARTS[domain].read(located, limit)
            tables.append(own.append_column("domain", pa.array([domain] * own.num_rows, pa.string())))
            total.read += drops.read
            for reason, records, _ in drops.rows:
                total.add(reason, records, domain)
        base = natural(np.repeat(list(PARTS), [own.num_rows for own in tables]), cut.minimum)
        for domain, own in zip(PARTS, tables, strict=True):
            if domain not in base:
                total.add(below, own.num_rows, domain)
        return self._assemble(pa.concat_tables(tables), base, cut, total, self.locate(place), owned=True)


DOMAINS = Domains(
    name="domains",
    paper=paper(4, 20_000, "OpenFedLLM section 4.4 (5k a client)"),
    story=Story(
        title="OpenFedLLM's four domains",
        paper=f"{OPENFEDLLM}, section 4.4.",
        what="""A federation in which each client is another field: general instructions (Alpaca), mathematics
(MathInstruct), code (CodeAlpaca) and finance (FinGPT sentiment), 5,000 records each. The extreme of label skew; the
column `domain` says which.""",
        hub=ALPACA.story.hub,
        version="""Four sources (see the cards of `alpaca`, `mathinstruct`, `code_alpaca` and `fingpt`), the Hub's
current revisions; none is pinned.""",
        licence="other",
        parts=(
            Part("Alpaca", "CC BY-NC 4.0", "not for commercial use"),
            Part("MathInstruct", "MIT", "its 13 sources have terms of their own"),
            Part("CodeAlpaca", "not stated on this copy", "the author states CC BY 4.0"),
            Part("FinGPT sentiment", "not stated on its card", "ask before use"),
        ),
        clients="A client is a domain. The control `iid` mixes the same records.",
        dropped=f"{BROKEN}. {LEFT_OVER} Counts are over all four sources together.",
        harms="Those of the four parts, see their cards.",
        privacy="Those of the four parts, see their cards.",
        citation=CITE_OPENFEDLLM,
    ),
)
DATASETS = (DOMAINS,)
