"""Lengths of instructions and responses in tokens (FedLLM-Bench section 3.3 (1), Table 1, Figure 1(b)).

One tokenizer for all datasets, that of the profile's model (the paper: Llama 2's), each text by itself: no begin or end
token, no template. An empty text has 0 tokens. Of a conversation, all turns of a role count as one text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..common.errors import FedkitError

if TYPE_CHECKING:
    import pandas as pd

    from ..profiles import Profile
    from .texts import Texts


def profile_tokenizer(profile: Profile) -> Any:
    """The tokenizer of a profile's model, without the model. `FedkitError` where it cannot be had."""
    from ..training.models import load_tokenizer

    return load_tokenizer(profile.model.name)


def token_counts(texts: Sequence[str], tokenizer: Any, *, batch: int = 1000) -> np.ndarray:
    """Tokens of each text without special tokens, int64 (texts,); `batch` texts at a time."""
    counts = np.zeros(len(texts), dtype=np.int64)
    for first in range(0, len(texts), batch):
        part = list(texts[first : first + batch])
        encoded = tokenizer(
            part, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
        )
        counts[first : first + len(part)] = [len(ids) for ids in encoded["input_ids"]]
    return counts


def lengths(texts: Texts, tokenizer: Any) -> pd.DataFrame:
    """One row a record, in their order: owner, instruction, response and, of preference pairs, rejected (tokens)."""
    import pandas as pd

    frame = pd.DataFrame({"owner": texts.owner})
    for column in ("instruction", "response", "rejected"):
        column_texts = getattr(texts, column)
        if column_texts is not None:
            frame[column] = token_counts(column_texts, tokenizer)
    return frame


def client_means(values: ArrayLike, owner: ArrayLike, clients: int) -> np.ndarray:
    """Each client's mean, float64 (clients,); NaN for one without a record. `values` (records,); NaN are left out."""
    x, who = np.asarray(values, dtype=np.float64), np.asarray(owner)
    if x.shape != who.shape:
        raise FedkitError(f"{len(x)} values have {len(who)} owners; give one owner a record")
    known = ~np.isnan(x)
    sums = np.bincount(who[known], weights=x[known], minlength=clients)
    counts = np.bincount(who[known], minlength=clients)
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def mean_and_sd(values: ArrayLike, owner: ArrayLike, clients: int) -> tuple[float, float]:
    """Mean and standard deviation over clients of a client's mean: Table 1's "(Client)" rows, each client alike.

    The deviation is that of the very clients at hand (divided by their number). `FedkitError` where none has a value.
    """
    means = client_means(values, owner, clients)
    if np.isnan(means).all():
        raise FedkitError("no client has a value; look at what computed them")
    return float(np.nanmean(means)), float(np.nanstd(means))
