"""The extractors by name, the choice among them, pairs for a whole dataset, and how often an extractor is right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...common.console import progress
from ...common.errors import unknown
from ..text_cache import TextCache
from .benepar_parser import MODEL, BeneparExtractor, find_model
from .offline import OfflineExtractor
from .tokens import UNREAD, Pair, Unread

if TYPE_CHECKING:
    import pandas as pd

    from ..client_texts import Texts

BLOCK = 512  # texts between two writes to the cache
SPLITS = ("tune", "held out")


class Extractor(Protocol):
    """Texts to pairs. `name` is for people (figures and tables carry it), `key` for the cache."""

    name: str
    key: str

    def __call__(self, texts: Sequence[str]) -> list[Pair]: ...


def _auto(model: str | Path = MODEL, **options: Any) -> Extractor:
    return BeneparExtractor(model, **options) if find_model(model) else OfflineExtractor()


EXTRACTORS = {"auto": _auto, "benepar": BeneparExtractor, "offline": OfflineExtractor}


def extractor(name: str = "auto", **options: Any) -> Extractor:
    """An extractor by name: `benepar` (options `model`, `pipeline`, `batch_size`), `offline`, or `auto`.

    `auto` is benepar where its model is installed, else the offline one; the `name` of what is returned says which.
    """
    if name not in EXTRACTORS:
        raise unknown("verb extractor", name, EXTRACTORS)
    return EXTRACTORS[name](**options)


def pairs(texts: Sequence[str], tool: Extractor, *, cache: str | Path | None = None, show: bool = False) -> list[Pair]:
    """One pair a text, each different text extracted once; `cache`: a folder that keeps them.

    `show`: a progress bar over the texts that are not kept yet.
    """
    path = ":memory:" if cache is None else Path(cache) / "pairs.sqlite"
    with closing(TextCache(path, tool.key)) as store:
        missing = [text for text in dict.fromkeys(texts) if store.get(text) is None]
        blocks: Any = [missing[i : i + BLOCK] for i in range(0, len(missing), BLOCK)]
        if show and len(blocks) > 8:  # a shorter wait needs no bar
            blocks = progress(iterable=blocks, desc="verbs", unit="block")
        for block in blocks:
            store.put(block, [json.dumps(None if isinstance(p, Unread) else p).encode() for p in tool(block)])
        known = [json.loads(store.get(text) or b"") for text in texts]
        return [UNREAD if one is None else Pair(*one) for one in known]


def root_verbs(
    texts: Texts,
    tool: str | Extractor = "auto",
    *,
    language: str | None = "en",
    cache: str | Path | None = None,
    show: bool = False,
    **options: Any,
) -> pd.DataFrame:
    """The root verb and direct-object noun of each instruction: one row a record, columns client, row, verb, noun.

    FedLLM-Bench section 3.3 (2). `row` is the record's row in the dataset's table; verb and noun are None where there
    is none. Only records of `language` (English, as in the paper; None: all, at the reader's risk). `frame.attrs` has
    `dataset`, `extractor` (its name, to be printed with every figure), `left_out` (records in other languages) and
    `unread` (records whose sentence is longer than the parser reads, which count as without a verb).
    `cache` and `show` as in `pairs`; `options` as in `extractor`.
    """
    import pandas as pd

    tool = extractor(tool, **options) if isinstance(tool, str) else tool
    spoken = np.array([language is None or spoken == language for spoken in texts.language], dtype=bool)
    places = np.flatnonzero(spoken)
    verb_nouns = pairs([texts.instruction[i] for i in places], tool, cache=cache, show=show)
    frame = pd.DataFrame(
        {
            "client": pd.Series([texts.clients[i] for i in texts.owner[places]], dtype="str"),
            "row": texts.rows[places].astype(np.int64),
            "verb": pd.Series([pair.verb for pair in verb_nouns], dtype="str"),
            "noun": pd.Series([pair.noun for pair in verb_nouns], dtype="str"),
        }
    )
    unread = sum(isinstance(pair, Unread) for pair in verb_nouns)
    frame.attrs = {
        "dataset": texts.name,
        "extractor": tool.name,
        "left_out": int((~spoken).sum()),
        "unread": unread,
    }
    return frame


@dataclass(frozen=True)
class Example:
    """An instruction with the pair that a reader gives it.

    The convention is Self-Instruct's: the root of the first sentence's dependency tree, if it is a verb, and its direct
    object, if that is a common noun (no name, pronoun or quotation). Forms of `be` are auxiliaries there, so `What is
    x?`, `You are a pirate.` and fragments have neither; the `be` of `there are`, which its tagger calls a verb, is none
    here either. `kind`: imperative, question, polite, lead (a phrase before the main clause), statement, code,
    fragment. `split`: rules were mended by their misses on `tune` alone; both halves were written before the rules, by
    the same hand.
    """

    split: str
    kind: str
    text: str
    verb: str | None
    noun: str | None

    @property
    def pair(self) -> Pair:
        """Verb and noun."""
        return Pair(self.verb, self.noun)


def gold() -> list[Example]:
    """The test set: 100 instructions with root verb and noun, made by hand, those of `tune` first."""
    text = files(__package__).joinpath("gold.json").read_text(encoding="utf-8")
    return [Example(**row) for row in json.loads(text)]


def accuracy(tools: Sequence[Extractor], examples: Sequence[Example] | None = None) -> pd.DataFrame:
    """Shares of examples that an extractor gets right: one row an extractor and split (and `all`).

    Columns extractor, split, examples, verb, noun, both; an example without a verb is right where none is given.
    """
    import pandas as pd

    examples = gold() if examples is None else list(examples)
    rows = []
    for tool in tools:
        answers = tool([example.text for example in examples])
        right = [
            (e.split, e.verb == p.verb, e.noun == p.noun, e.pair == p) for e, p in zip(examples, answers, strict=True)
        ]
        for split in (*SPLITS, "all"):
            some = np.array([hits for of, *hits in right if split in (of, "all")]).reshape(-1, 3)
            rows.append((tool.name, split, len(some), *(some.sum(axis=0) / max(len(some), 1)).tolist()))
    return pd.DataFrame(rows, columns=["extractor", "split", "examples", "verb", "noun", "both"])
