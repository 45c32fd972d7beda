"""Held-out records of OpenFedLLM's sets, in the columns of their training set.

The sources publish no test split but for HH-RLHF, so records come from the embedded world or from a `test` file of
your own. The paper tests FinGPT's sentiment on four benchmarks; one of them, TFNS, is read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ....common.errors import FedkitError
from ....profiles import Profile
from ...sources import SOURCES, Located, find_files, locate
from ..checks import fault
from ..drops import DropReport
from .corpus import LANGUAGE, Corpus
from .instructions import INSTRUCTION_SETS
from .pairs import is_test_split

Records = tuple[Located, list[dict[str, Any]]]

_NO_LABEL = "unknown label"
_SENTIMENT: Mapping[str, str] = MappingProxyType({"0": "negative", "1": "positive", "2": "neutral"})
_ASK = "What is the sentiment of this tweet? Please choose an answer from {negative/neutral/positive}."


def held_out(corpus: Corpus, profile: Profile, *, data_dir: str | Path | None = None, offline: bool = False) -> Records:
    """The records of `<name>_test`, and where they come from.

    `FedkitError` where the training set would be real and the test set embedded, or the other way round.
    """
    where = {"data_dir": data_dir, "offline": offline, "embedded": profile.embedded}
    located, training = locate(f"{corpus.name}_test", **where), locate(corpus.name, **where)
    if "embedded" in (located.kind, training.kind) and located.kind != training.kind:
        lacking = located if located.kind == "embedded" else training
        raise FedkitError(
            f"{data_dir} holds only one half of {corpus.name}; put {lacking.source.files[0]} beside it, or leave"
            " --data-dir out"
        )
    return _records(corpus, located)


def hh_test(corpus: Corpus, profile: Profile, *, data_dir: str | Path | None = None, offline: bool = False) -> Records:
    """HH-RLHF's test split; `FedkitError` where the training set is read from that very split."""
    if is_test_split(locate(corpus.name, data_dir=data_dir, offline=offline, embedded=profile.embedded)):
        raise FedkitError(
            f"{data_dir} holds only the test split of {corpus.name}, which the training set is then read from;"
            " put hh_rlhf/harmless-base/train.jsonl.gz beside it"
        )
    return held_out(corpus, profile, data_dir=data_dir, offline=offline)


def fingpt_test(profile: Profile, *, data_dir: str | Path | None = None, offline: bool = False) -> Records:
    """Headlines of the embedded world, where FinGPT is embedded, or of fingpt/test.*; else TFNS."""
    training = locate("fingpt", data_dir=data_dir, offline=offline, embedded=profile.embedded)
    own = data_dir is not None and bool(find_files(SOURCES["fingpt_test"], data_dir))
    if training.kind == "embedded" or own:
        return held_out(INSTRUCTION_SETS["fingpt"], profile, data_dir=data_dir, offline=offline)
    return tfns(profile, data_dir=data_dir, offline=offline)


def tfns(profile: Profile, *, data_dir: str | Path | None = None, offline: bool = False) -> Records:
    """TFNS (OpenFedLLM Table 4) in the form of FinGPT's records: labels 0, 1, 2 are negative, positive, neutral.

    It is not part of the embedded world; `FedkitError` where it is neither in the data folder nor to be fetched.
    """
    return _records(_TFNS, locate("tfns", data_dir=data_dir, offline=offline))


def _tfns_row(raw: Any, fields: Mapping[str, type]) -> dict[str, str] | str:
    why = fault(raw, fields)
    if why is not None:
        return why
    label = _SENTIMENT.get(str(raw.get("label")))  # text in a CSV file, a number on the Hub
    if label is None:
        return _NO_LABEL
    return {"instruction": f"{_ASK} {raw['text']}", "response": label, "language": LANGUAGE}


_TFNS = Corpus("tfns", _tfns_row, "OpenFedLLM Table 4", rules=(_NO_LABEL,))


def _records(corpus: Corpus, located: Located) -> Records:
    drops = DropReport(corpus.reasons(located.source.fields))
    records = corpus.read(located, drops).to_pylist()
    drops.keep(len(records))
    return located, records
