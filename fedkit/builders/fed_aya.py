"""Fed-Aya (FedLLM-Bench section 3.2): Aya's annotators as clients.

The rule: six high-resource languages (en, es, fr, ru, pt, zh) and two low-resource ones (ar, te); annotators with at
least 100 annotations. Languages go by Aya's field `language`: Traditional Chinese shares the code zho.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from ..arrow import Sink, values
from ..partitioners import natural
from ..profiles import Profile
from ..sources import SOURCES, Located, find_files, locate, raw_records
from .built import Built, Cut, assemble
from .checks import reasons, require_usable, shape_fault, text_fault
from .drops import DropReport

LANGUAGES: Mapping[str, str] = MappingProxyType(
    {
        "Standard Arabic": "ar",
        "English": "en",
        "Spanish": "es",
        "French": "fr",
        "Portuguese": "pt",
        "Russian": "ru",
        "Telugu": "te",
        "Simplified Chinese": "zh",
    }
)
PAPER: Mapping[str, Any] = MappingProxyType({"clients": 38, "samples": 25_513, "place": "FedLLM-Bench Table 1"})
SCHEMA = pa.schema([(name, pa.string()) for name in ("instruction", "response", "language", "client_id")])
OTHER, HELD_OUT = "other language", "held out as a test question"

# Raw field of (instruction, response, client) by source; the released form was cut to the 8 languages by its authors.
_COLUMNS = MappingProxyType(
    {"aya": ("inputs", "targets", "user_id"), "fed_aya": ("instruction", "response", "client_id")}
)


def two_letter(language: str) -> str | None:
    """Fed-Aya's code of a language as Aya spells it (`Standard Arabic`, `Standard_Arabic`) or of its own code.

    None for other languages.
    """
    spoken = language.replace("_", " ").strip()
    return spoken if spoken in LANGUAGES.values() else LANGUAGES.get(spoken)


def usable(raw: Any, source: str, drops: DropReport, held_out: frozenset[str] = frozenset()) -> dict[str, str] | None:
    """A raw record as a row of `SCHEMA`, or None after counting why not."""
    fields = SOURCES[source].fields
    instruction, response, client = _COLUMNS[source]
    owner = raw.get(client) if isinstance(raw, Mapping) else None
    owner = owner if isinstance(owner, str) and owner.strip() else None
    spoken = raw.get("language") if isinstance(raw, Mapping) else None
    code = two_letter(spoken) if isinstance(spoken, str) else None
    if spoken is None and source == "fed_aya":
        code = "und"  # a release that does not say
    why = shape_fault(raw, fields)
    if why is None and code is None and str(spoken).strip():
        why = OTHER
    why = why or text_fault(raw, fields)
    if why is None and raw[instruction].strip() in held_out:
        why = HELD_OUT
    if why is not None:
        drops.add(why, client=owner)
        return None
    return {
        "instruction": raw[instruction],
        "response": raw[response],
        "language": str(code),
        "client_id": raw[client],
    }


def find(profile: Profile, data_dir: str | Path | None, offline: bool) -> Located:
    """Where Fed-Aya's records come from: raw Aya as `locate` has it, or FedLLM-Bench's release in the data folder."""
    released = SOURCES["fed_aya"]
    if data_dir is not None and not find_files(SOURCES["aya"], data_dir) and find_files(released, data_dir):
        return locate("fed_aya", data_dir=data_dir)
    return locate("aya", data_dir=data_dir, offline=offline, embedded=profile.embedded)


def read(located: Located, drops: DropReport, *, limit: int | None = None, held_out: Iterable[str] = ()) -> pa.Table:
    """The usable records as a table of `SCHEMA`; `FedkitError` where there is none."""
    source = located.source.name
    sink, kept = Sink(located.where, SCHEMA), 0
    asked = frozenset(text.strip() for text in held_out)
    for raw in drops.reading(raw_records(located, limit=limit if located.kind == "embedded" else None)):
        row = usable(raw, source, drops, asked)
        if row is not None:
            sink.add(row)
            kept += 1
    require_usable(located, drops, kept, located.source.fields)
    return sink.table()


def build_fed_aya(
    profile: Profile,
    cut: Cut,
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    raw_limit: int | None = None,
    held_out: Iterable[str] = (),
) -> Built:
    """Fed-Aya; columns instruction, response, language (two-letter). A client is an annotator, its id `user_id`.

    `held_out`: instructions that must not be trained on. The controls share the same records out anew.
    """
    located = find(profile, data_dir, offline)
    below = f"annotator with fewer than {cut.minimum}"
    drops = DropReport((*reasons(located.source.fields, OTHER), HELD_OUT, below))
    table = read(located, drops, limit=raw_limit, held_out=held_out)
    people = natural(values(table["client_id"]))
    base = natural(values(table["client_id"]), cut.minimum)
    for client, rows in people.items():
        if client not in base:
            drops.add(below, len(rows), client)
    return assemble("fed_aya", table, base, cut=cut, drops=drops, located=located, paper=dict(PAPER), owned=True)
