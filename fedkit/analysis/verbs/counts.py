"""Counts of verbs and nouns by dataset and client: what the figures draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

OTHER = "other"


def top_verbs(frame: pd.DataFrame, top: int = 20) -> pd.DataFrame:
    """The most frequent verbs of a `root_verbs` frame: verb, count, share (of the records that have a verb).

    Ties go by the alphabet.
    """
    counts = _ranked(frame["verb"].dropna().value_counts())
    table = counts.head(top).rename_axis("verb").rename("count").reset_index()
    table["share"] = table["count"] / max(int(counts.sum()), 1)
    return table


def verb_nouns(frame: pd.DataFrame, verbs: int = 20, nouns: int = 4) -> pd.DataFrame:
    """The top verbs and of each its top nouns (Figures 7 and 9-12): verb, noun, count, ordered as a figure draws them.

    As in Self-Instruct's figure, a record counts only if it has both, the verbs are the most frequent among those, and
    a verb's share of the circle is the sum of the nouns that are shown.
    """
    import pandas as pd

    both = frame.dropna(subset=["verb", "noun"])
    rows = []
    for verb in _ranked(both["verb"].value_counts()).head(verbs).index:
        counts = _ranked(both.loc[both["verb"] == verb, "noun"].value_counts()).head(nouns)
        rows += [(verb, noun, int(count)) for noun, count in counts.items()]
    return pd.DataFrame(rows, columns=["verb", "noun", "count"])


def verb_shares(frame: pd.DataFrame, verbs: Sequence[str]) -> pd.DataFrame:
    """The share of each of these verbs, and of all other ones (`other`), among a client's records that have a verb.

    One row a client that has any, in order of id; rows sum to 1 (Figure 2).
    """
    counts = verb_counts(frame)
    shares = counts.div(counts.sum(axis=1), axis=0)
    named = shares.reindex(columns=list(verbs), fill_value=0.0)
    return named.assign(**{OTHER: (1.0 - named.sum(axis=1)).clip(lower=0.0)})


def verb_counts(frame: pd.DataFrame) -> pd.DataFrame:
    """Records by client (rows, ids ascending) and verb (columns, by the alphabet); records without a verb left out."""
    import pandas as pd

    some = frame.dropna(subset=["verb"])
    return pd.crosstab(some["client"], some["verb"])


def _ranked(counts: pd.Series) -> pd.Series:
    """Descending by count, ties by name, so that no order of rows decides."""
    return counts.sort_index().sort_values(ascending=False, kind="stable")
