"""The test set: 100 instructions with root verb and noun, made by hand, and an extractor's accuracy on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from .pair import Pair

if TYPE_CHECKING:
    import pandas as pd

    from .extractors import Extractor

SPLITS = ("tune", "held out")


@dataclass(frozen=True)
class Example:
    """An instruction with the pair that a reader gives it.

    The convention is Self-Instruct's: the root of the first sentence's dependency tree, if it is a verb, and its direct
    object, if that is a common noun (no name, pronoun or quotation). Forms of `be` are auxiliaries there, so `What is
    x?`, `You are a pirate.` and fragments have neither; the `be` of `there are`, which its tagger calls a verb, is none
    here either. `kind`: imperative, question, polite, lead (a phrase before the
    main clause), statement, code, fragment. `split`: rules were mended by their misses on `tune` alone; both halves
    were written before the rules, by the same hand.
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
    """All 100 examples, those of `tune` first."""
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
        found = tool([example.text for example in examples])
        for split in (*SPLITS, "all"):
            some = [(e, p) for e, p in zip(examples, found, strict=True) if split in (e.split, "all")]
            verb = sum(e.verb == p.verb for e, p in some) / max(len(some), 1)
            noun = sum(e.noun == p.noun for e, p in some) / max(len(some), 1)
            both = sum(e.pair == p for e, p in some) / max(len(some), 1)
            rows.append((tool.name, split, len(some), verb, noun, both))
    return pd.DataFrame(rows, columns=["extractor", "split", "examples", "verb", "noun", "both"])
