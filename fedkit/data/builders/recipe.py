"""Datasets whose clients are people: one recipe says where the records lie, how each becomes a row, and whose it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...profiles import Profile
from ..arrow import Sink, values
from ..partitioners import natural
from ..sources import SOURCES, Located, find_files, locate, raw_records
from .built import Built, Cut, assemble
from .checks import require_usable, shape_fault
from .drops import DropReport

HELD_OUT = "held out as a test question"
Row = dict[str, Any]
Note = Callable[[str], None]


def field_of(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """Whose a record is, where a field of it says so."""
    return lambda raw: raw.get(name)


@dataclass(frozen=True)
class Form:
    """One schema that a dataset's records come in.

    `row`: a record that has the source's fields, as a row of the recipe's schema without `client_id`, or else the
    rule that it breaks, one of `rules`. What is read in another way than usual it tells `Note`. `owner`: whose the
    record is, None where it does not say.
    """

    source: str
    rules: tuple[str, ...]
    row: Callable[[Mapping[str, Any], Note], Row | str]
    owner: Callable[[Mapping[str, Any]], Any]

    def read(self, raw: Any, drops: DropReport, held_out: frozenset[str] = frozenset()) -> Row | None:
        """A raw record as a row with its `client_id`, or None after counting why not."""
        made: Row | str | None = shape_fault(raw, SOURCES[self.source].fields)
        owner = self.owner(raw) if isinstance(raw, Mapping) else None
        owner = owner if isinstance(owner, str) and owner.strip() else None
        if made is None:
            made = self.row(raw, drops.note)
        if isinstance(made, dict) and asked(made) in held_out:
            made = HELD_OUT
        if isinstance(made, str):
            drops.add(made, client=owner)
            return None
        return {**made, "client_id": owner}


def asked(row: Row) -> str:
    """What the user asks first, without the white space around it."""
    first = row["instruction"] if "instruction" in row else row["conversation"][0]["content"]
    return str(first).strip()


@dataclass(frozen=True)
class Recipe:
    """A dataset by its users, called like any builder.

    `forms`: the raw records, then FedLLM-Bench's release of the dataset. `who`: what a client is, in one word.
    """

    name: str
    schema: pa.Schema
    who: str
    forms: tuple[Form, ...]
    paper: Mapping[str, Any]

    @property
    def sources(self) -> tuple[str, ...]:
        """The raw sources that it may read."""
        return tuple(form.source for form in self.forms)

    def form(self, located: Located) -> Form:
        """The form that a located source has."""
        return next(form for form in self.forms if form.source == located.source.name)

    def find(self, profile: Profile, data_dir: str | Path | None, offline: bool) -> Located:
        """The raw records as `locate` has them, or the release where the data folder holds that alone."""
        raw, *released = self.sources
        if data_dir is not None and not find_files(SOURCES[raw], data_dir):
            for source in released:
                if find_files(SOURCES[source], data_dir):
                    return locate(source, data_dir=data_dir)
        return locate(raw, data_dir=data_dir, offline=offline, embedded=profile.embedded)

    def read(
        self, located: Located, drops: DropReport, *, limit: int | None = None, held_out: Iterable[str] = ()
    ) -> pa.Table:
        """The usable records as a table of the schema and `client_id`; `FedkitError` where there is none."""
        form = self.form(located)
        sink, kept = Sink(located.where, self.schema.append(pa.field("client_id", pa.string()))), 0
        asked_for = frozenset(text.strip() for text in held_out)
        for raw in drops.reading(raw_records(located, limit=limit if located.kind == "embedded" else None)):
            row = form.read(raw, drops, asked_for)
            if row is not None:
                sink.add(row)
                kept += 1
        require_usable(located, drops, kept, located.source.fields)
        return sink.table()

    def __call__(
        self,
        profile: Profile,
        cut: Cut,
        *,
        data_dir: str | Path | None = None,
        offline: bool = False,
        raw_limit: int | None = None,
        held_out: Iterable[str] = (),
    ) -> Built:
        """The dataset: clients are those with at least `cut.minimum` usable records.

        `held_out`: instructions that must not be trained on. The controls share the same records out anew.
        """
        located = self.find(profile, data_dir, offline)
        below = f"{self.who} with fewer than {cut.minimum}"
        drops = DropReport((*self.form(located).rules, HELD_OUT, below))
        table = self.read(located, drops, limit=raw_limit, held_out=held_out)
        people = natural(values(table["client_id"]))
        base = natural(values(table["client_id"]), cut.minimum)
        for client, rows in people.items():
            if client not in base:
                drops.add(below, len(rows), client)
        return assemble(
            self.name, table, base, cut=cut, drops=drops, located=located, paper=dict(self.paper), owned=True
        )
