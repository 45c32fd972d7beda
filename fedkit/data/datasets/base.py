"""What a dataset is: raw sources, a rule from records to rows, clients, a card's story, questions, test records.

`Dealt` records belong to nobody and are dealt to clients at random; the clients of `People` are whoever made theirs.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ...common.errors import FedkitError, unknown
from ..arrow import Sink, values
from ..origins import TESTS
from ..partitioners import iid, natural
from ..rules import reasons, shape_fault
from ..sources import RawSource
from .built import Built, Cut, DropReport, assemble
from .story import Story

if TYPE_CHECKING:
    from ..place import Located, Place
    from .questions import QuestionSet

Row = dict[str, Any]
Note = Callable[[str], None]

EXCLUDED = "held out as a test question"
TEXT = pa.string()
TURN = pa.struct([("role", TEXT), ("content", TEXT)])
# The columns of federated datasets by task; all text is UTF-8, `language` two-letter or `und`.
ANSWERED = pa.schema([("instruction", TEXT), ("response", TEXT), ("language", TEXT)])
PAIRED = pa.schema([("instruction", TEXT), ("chosen", TEXT), ("rejected", TEXT), ("language", TEXT)])
TALKED = pa.schema([("conversation", pa.list_(TURN)), ("language", TEXT)])


def paper(clients: int | None, samples: int | None, place: str) -> Mapping[str, Any]:
    """The published counts, None where there is none, and where they stand."""
    return MappingProxyType({"clients": clients, "samples": samples, "place": place})


def field_of(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """Whose a record is, where a field of it says so."""
    return lambda raw: raw.get(name)


def first_question(row: Row) -> str:
    """What the user asks first, without the white space around it."""
    first = row["instruction"] if "instruction" in row else row["conversation"][0]["content"]
    return str(first).strip()


@dataclass(frozen=True)
class Form:
    """One schema that a dataset's records come in.

    `row`: a record that has the source's fields, as a row of the dataset's schema, or else the rule that it breaks:
    one of `rules`, or of those of `text_fault`. What is read in another way than usual it tells `Note`. `owner`: whose
    the record is, None where it does not say. `once`: a column of which each value is kept only the first time.
    """

    source: RawSource
    row: Callable[[Mapping[str, Any], Note], Row | str]
    rules: tuple[str, ...] = ()
    owner: Callable[[Mapping[str, Any]], Any] = lambda raw: None
    once: str | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Every reason for which a record may be dropped, in order."""
        repeated = (f"repeated {self.once!r}",) if self.once else ()
        return (*reasons(self.source.fields, *self.rules), *repeated)

    def read(self, raw: Any, note: Note = lambda what: None) -> tuple[Row | str, str | None]:
        """A raw record as a row with its `client_id`, or the rule that it breaks; and whose it is."""
        owner = self.owner(raw) if isinstance(raw, Mapping) else None
        owner = owner if isinstance(owner, str) and owner.strip() else None
        row = shape_fault(raw, self.source.fields) or self.row(raw, note)
        return ({**row, "client_id": owner} if isinstance(row, dict) else row), owner

    def rows(self, records: Iterable[Any]) -> Iterable[Row]:
        """The rows of those records that are usable, uncounted."""
        return (row for raw in records if isinstance(row := self.read(raw)[0], dict))

    def table(
        self, located: Located, schema: pa.Schema, drops: DropReport, *, limit: int | None, excluded: Iterable[str] = ()
    ) -> pa.Table:
        """The usable records as a table, the others counted; `FedkitError` where there is none.

        `limit`: size of the embedded corpus. `excluded`: instructions that must not be trained on.
        """
        sink, kept, left_out = Sink(located.where, schema), 0, frozenset(text.strip() for text in excluded)
        relative = ""
        seen: set[bytes] = set()
        for raw in drops.reading(located.records(limit if located.kind == "embedded" else None)):
            row, owner = self.read(raw, drops.note)
            if isinstance(row, dict) and left_out and first_question(row) in left_out:
                row = EXCLUDED
            if isinstance(row, dict) and self.once:
                mark = hashlib.blake2b(row[self.once].encode(), digest_size=16).digest()
                row = f"repeated {self.once!r}" if mark in seen else row
                seen.add(mark)
            if isinstance(row, str):
                relative = relative or located.source.relative(raw)
                drops.add(row, client=owner)
                continue
            sink.add(row)
            kept += 1
        if not kept:
            needs = ", ".join(f"{name} ({kind.__name__})" for name, kind in located.source.fields.items())
            what = f"all {drops.read} were dropped: {drops.sentence()}" if drops.read else "it is empty"
            cells = " and ".join(located.source.json_cells)
            table = bool(cells) and any(".csv" in path.name.lower() for path in located.files)
            raise FedkitError(
                f"{located.source.name} has no usable record, {located.where} ({what});"
                + (f" this is {relative};" if relative else "")
                + f" it needs the fields {needs}: check that this is the file meant and that its fields are so named"
                + (f"; in a CSV file {cells} must be JSON text, as json.dumps writes it" if table else "")
            )
        return sink.table()


@dataclass(frozen=True, kw_only=True)
class Dataset(ABC):
    """One federated dataset. `options`: what may be given to `build` beside the fields of a `Cut`, with its default.

    `paper`: the published `clients` and `samples` and their `place`. `questions`: its Ref questions, None: none.
    """

    name: str
    story: Story
    paper: Mapping[str, Any]
    schema: pa.Schema = ANSWERED
    questions: QuestionSet | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def sources(self) -> tuple[RawSource, ...]:
        """The raw sources that it, its questions and its test records may read."""
        return tuple(dict.fromkeys((*self._sources(), *(self.questions.sources if self.questions else ()))))

    def build(self, place: Place, cut: Cut, **options: Any) -> Built:
        """The federated dataset from the records of a place, as the cut has it.

        `options` are of the dataset, or change fields of the cut. With a `partition` the very same records are split
        anew. `FedkitError` for an unknown option or partition, and for any fault of the source.
        """
        of_cut = {field.name for field in fields(Cut)}
        for option in options:
            if option not in of_cut and option not in self.options:
                raise unknown(f"parameter of {self.name}", option, (*sorted(of_cut), *self.options))
        cut = replace(cut, **{option: value for option, value in options.items() if option in of_cut})
        own = {option: value for option, value in options.items() if option not in of_cut}
        return self._build(place, cut, **{**self.options, **own})

    @abstractmethod
    def locate(self, place: Place) -> Located:
        """Where its records come from."""

    @abstractmethod
    def _sources(self) -> tuple[RawSource, ...]: ...

    @abstractmethod
    def _build(self, place: Place, cut: Cut, **options: Any) -> Built: ...

    def test_records(self, place: Place) -> tuple[Located, list[Row]]:
        """Records for testing in the columns of the training set, and where they come from; `FedkitError`: none."""
        rather = "its Ref questions (Session.questions)" if self.questions else "those of another dataset"
        raise FedkitError(f"{self.name} has no test records; take {rather}")

    test_records.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test

    def _assemble(
        self, table: pa.Table, base: Any, cut: Cut, drops: DropReport, located: Located, **rest: Any
    ) -> Built:
        return assemble(self.name, table, base, cut=cut, drops=drops, located=located, paper=dict(self.paper), **rest)


@dataclass(frozen=True, kw_only=True)
class People(Dataset):
    """A dataset by its users. `forms`: the raw records, then FedLLM-Bench's release. `who`: a client, in one word.

    Clients are those with at least `cut.minimum` usable records. Its option `excluded`: instructions that must not be
    trained on.
    """

    forms: tuple[Form, ...]
    who: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({"excluded": ()}))

    def _sources(self) -> tuple[RawSource, ...]:
        return tuple(form.source for form in self.forms)

    def locate(self, place: Place) -> Located:
        """The raw records, or the release where the data folder holds that alone."""
        return place.locate(next((source for source in self._sources() if place.files(source)), self.forms[0].source))

    def _build(self, place: Place, cut: Cut, **options: Any) -> Built:
        located = self.locate(place)
        form = next(form for form in self.forms if form.source == located.source)
        below = f"{self.who} with fewer than {cut.minimum}"
        drops = DropReport((*form.reasons, EXCLUDED, below))
        schema = self.schema.append(pa.field("client_id", TEXT))
        table = form.table(located, schema, drops, limit=cut.raw_records, excluded=options["excluded"])
        base = natural(values(table["client_id"]), cut.minimum)
        for client, rows in natural(values(table["client_id"])).items():
            if client not in base:
                drops.add(below, len(rows), client)
        return self._assemble(table, base, cut, drops, located, owned=True)


@dataclass(frozen=True, kw_only=True)
class Dealt(Dataset):
    """One corpus dealt at random to `cut.n_clients` clients (OpenFedLLM section 4.1, the first of its two partitions).

    The paper draws its samples first (20,000 of Alpaca-GPT4) and deals them then; to deal all and cap each client at
    its part (1,000) gives samples of the same distribution, and the drop report shows what was left out. `test`: the
    source of its test records, in the same schema.
    """

    form: Form
    test: RawSource | None = None
    n_clients: int = 20  # where the cut names no number; OpenFedLLM's for its general set

    def _sources(self) -> tuple[RawSource, ...]:
        return (self.form.source, *([self.test] if self.test else []))

    def locate(self, place: Place) -> Located:
        """Where its records come from."""
        return place.locate(self.form.source)

    def read(self, located: Located, limit: int | None = None, form: Form | None = None) -> tuple[pa.Table, DropReport]:
        """The usable records as a table of the schema, and what was dropped; `FedkitError` where there is none."""
        form = form or self.form
        drops = DropReport(form.reasons)
        return form.table(located, self.schema, drops, limit=limit), drops

    def _build(self, place: Place, cut: Cut, **options: Any) -> Built:
        return self._deal(self.locate(place), cut)

    def _deal(self, located: Located, cut: Cut, form: Form | None = None) -> Built:
        table, drops = self.read(located, cut.raw_records, form)
        base = iid(table.num_rows, cut.n_clients or self.n_clients, seed=cut.seed, minimum=cut.minimum)
        return self._assemble(table, base, cut, drops, located, owned=False)

    def test_records(self, place: Place) -> tuple[Located, list[Row]]:
        """The test records: embedded ones where the training set is embedded, whatever the data folder has of them.

        `FedkitError` where the training set is real and its test set would be embedded.
        """
        if self.test is None:
            return super().test_records(place)
        located, training = place.locate(self.test), self.locate(place)
        if training.kind == "embedded" and located.kind != "embedded":
            note = f"{place.data_dir} holds {self.test.files[0]} without {self.form.source.files[0]}"
            located = replace(replace(place, data_dir=None).locate(self.test), note=note)
        if located.kind == "embedded" and training.kind != "embedded":
            raise FedkitError(
                f"{place.data_dir} holds only one half of {self.name}; put {self.test.files[0]} beside it, or leave"
                " --data-dir out"
            )
        located = located.as_part(TESTS)
        return located, self.read(located)[0].to_pylist()
