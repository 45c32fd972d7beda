"""The extractors by name, the choice among them, and pairs for a whole dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...common.errors import unknown
from .benepar_parser import MODEL, BeneparExtractor, find_model
from .cache import PairCache
from .offline import OfflineExtractor
from .pair import Pair

if TYPE_CHECKING:
    import pandas as pd

    from ..texts import Texts

BLOCK = 512  # texts between two writes to the cache


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
    store = PairCache(cache, tool.key) if cache is not None else None
    known: dict[str, Pair] = {}
    todo = []
    for text in dict.fromkeys(texts):
        kept = store.get(text) if store is not None else None
        if kept is None:
            todo.append(text)
        else:
            known[text] = kept
    blocks: Any = [todo[i : i + BLOCK] for i in range(0, len(todo), BLOCK)]
    if show and len(blocks) > 8:  # a shorter wait needs no bar
        from ...common.console import progress

        blocks = progress(iterable=blocks, desc="verbs", unit="block")
    for block in blocks:
        found = tool(block)
        known.update(zip(block, found, strict=True))
        if store is not None:
            store.put(block, found)
    return [known[text] for text in texts]


def root_verbs(
    texts: Texts,
    extractor: str | Extractor = "auto",
    *,
    language: str | None = "en",
    cache: str | Path | None = None,
    show: bool = False,
    **options: Any,
) -> pd.DataFrame:
    """The root verb and direct-object noun of each instruction: one row a record, columns client, row, verb, noun.

    FedLLM-Bench section 3.3 (2). `row` is the record's row in the dataset's table; verb and noun are None where there
    is none. Only records of `language` (English, as in the paper; None: all, at the reader's risk). `frame.attrs` has
    `dataset`, `extractor` (its name, to be printed with every figure) and `left_out` (records in other languages).
    `cache` and `show` as in `pairs`; `options` as in `extractor`.
    """
    import pandas as pd

    tool = _chosen(extractor, options)
    spoken = np.array([language is None or spoken == language for spoken in texts.language], dtype=bool)
    places = np.flatnonzero(spoken)
    found = pairs([texts.instruction[i] for i in places], tool, cache=cache, show=show)
    frame = pd.DataFrame(
        {
            "client": pd.Series([texts.clients[i] for i in texts.owner[places]], dtype="str"),
            "row": texts.rows[places].astype(np.int64),
            "verb": pd.Series([pair.verb for pair in found], dtype="str"),
            "noun": pd.Series([pair.noun for pair in found], dtype="str"),
        }
    )
    frame.attrs = {"dataset": texts.name, "extractor": tool.name, "left_out": int((~spoken).sum())}
    return frame


def _chosen(tool: str | Extractor, options: dict[str, Any]) -> Extractor:
    return extractor(tool, **options) if isinstance(tool, str) else tool
