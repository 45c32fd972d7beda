"""A dataset's card as Markdown: front matter for the Hub, and the same sections in the same order for every dataset.

Its words are the dataset's story; every number is measured on one build (counts, drops, lengths, languages,
heterogeneity), the paper's printed counts beside it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fedkit.analysis.client_texts import Texts, lengths, texts
from fedkit.analysis.summaries import mean_and_sd
from fedkit.analysis.views import View, quantity_view, view
from fedkit.training.models import load_tokenizer

if TYPE_CHECKING:
    from fedkit.data.datasets.base import Dataset
    from fedkit.data.datasets.built import Built
    from fedkit.data.federated import FederatedDataset
    from fedkit.profiles.specs import Profile

_TEMPLATE = Path(__file__).with_name("card_template.md")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


@dataclass(frozen=True)
class Numbers:
    """What the template puts in. `quantities`: (what, mean over clients, its deviation)."""

    counts: list[tuple[str, int, int | None]]  # what, here, the paper's
    place: str  # where the paper says it
    drops: list[tuple[str, int, int]]  # reason, records, clients
    quantities: list[tuple[str, float, float]]
    languages: list[tuple[str, int, int]]  # code, records, clients with a record in it
    views: list[View]
    columns: list[tuple[str, str]]  # name, type
    source: str
    tokenizer: str


def render_card(dataset: Dataset, built: Built, profile: Profile) -> str:
    """The card of a dataset as a profile built it."""
    import jinja2

    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        name=dataset.name,
        story=dataset.story,
        numbers=measure(built, profile),
        size=size_category(built.dataset.n_records),
        read=built.drops.read,
        kept=built.drops.kept,
    )
    return page.rstrip() + "\n"


def size_category(records: int) -> str:
    """The Hub's `size_categories` entry of a number of records."""
    return next((name for most, name in _SIZES if records < most), "n>1M")


def measure(built: Built, profile: Profile) -> Numbers:
    """The numbers of a built dataset; lengths in tokens of the profile's tokenizer."""
    dataset = built.dataset
    said = texts(dataset)
    counted = lengths(said, load_tokenizer(profile.model.name))
    sizes, counts = dataset.sizes, built.counts()
    quantities = [("records", float(sizes.mean()), float(sizes.std()))]
    for column in [c for c in counted.columns if c != "owner"]:
        label = "chosen answer" if column == "response" and said.rejected is not None else column
        label = "rejected answer" if column == "rejected" else label
        quantities.append((f"{label}, tokens", *mean_and_sd(counted[column], said.owner, len(dataset))))
    return Numbers(
        counts=[(c.what, int(c.ours), None if c.paper != c.paper else int(c.paper)) for c in counts.itertuples()],
        place=str(built.paper.get("place", "")),
        drops=built.drops.rows,
        quantities=quantities,
        languages=_languages(said),
        views=_views(dataset, said, counted),
        columns=[
            (field.name, "list of turns (role, content)" if pa.types.is_list(field.type) else str(field.type))
            for field in dataset.table.schema
        ],
        source=built.located.describe(),
        tokenizer=profile.model.name,
    )


def _languages(said: Texts) -> list[tuple[str, int, int]]:
    records = Counter(said.language)
    clients = Counter(code for code, _ in set(zip(said.language, said.owner.tolist(), strict=True)))
    return [(code, n, clients[code]) for code, n in sorted(records.items(), key=lambda item: (-item[1], item[0]))]


def _views(dataset: FederatedDataset, said: Texts, counted: Any) -> list[View]:
    views = [quantity_view(dataset)]
    if len(set(said.language)) > 1:
        views.append(view(dataset, "language", said.language, said.owner, by="divergence"))
    for column in ("instruction", "response"):
        views.append(view(dataset, f"{column} length", counted[column], said.owner, by="variance"))
    return views
