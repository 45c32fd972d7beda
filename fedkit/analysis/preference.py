"""What users prefer (FedLLM-Bench section 3.2, Figures 1(c) and 1(d)): longer answers, and answers of higher IFD.

Length preference: the share of a client's pairs whose chosen answer is strictly longer than the rejected one, in tokens
of the profile's tokenizer. A pair of equal lengths is not "longer" and stays in the denominator; the share of such ties
is given beside it. Quality preference: the mean over a client's pairs of IFD(chosen) - IFD(rejected).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..common.errors import FedkitError
from ..common.intervals import wilson
from .summaries import by_client

if TYPE_CHECKING:
    import pandas as pd

    from .client_texts import Texts


def length_preference(texts: Texts, tokens: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """One row a client: client, pairs, longer, ties, shorter (counts), share (longer / pairs), low and high.

    `tokens`: what `fedkit.analysis.lengths` gives of `texts`. Low and high: Wilson's interval of the share, which is
    sound for few pairs and for shares of 0 and 1. `FedkitError` where there are no rejected answers.
    """
    import pandas as pd

    if "rejected" not in tokens:
        raise FedkitError(f"{texts.name} has no rejected answers; use a dataset of preference pairs")
    x, y = tokens["response"].to_numpy(), tokens["rejected"].to_numpy()
    count = {
        name: np.bincount(texts.owner, weights=at, minlength=len(texts.clients)).astype(np.int64)
        for name, at in (("longer", x > y), ("ties", x == y), ("shorter", x < y))
    }
    ends = [wilson(hits, total, confidence) for hits, total in zip(count["longer"], texts.sizes, strict=True)]
    low, high = np.array(ends).reshape(-1, 2).T
    share = count["longer"] / texts.sizes
    return pd.DataFrame(
        {"client": texts.clients, "pairs": texts.sizes, **count, "share": share, "low": low, "high": high}
    )


def quality_preference(
    chosen: np.ndarray, rejected: np.ndarray, texts: Texts, *, confidence: float = 0.95
) -> pd.DataFrame:
    """One row a client: client, pairs, undefined, difference (mean of IFD chosen - rejected), low and high.

    `chosen`, `rejected`: float (records,), from `fedkit.analysis.ifd`; a pair with an undefined IFD is left out and
    counted. Low and high: Student's t interval of the mean, NaN below two pairs.
    """
    from scipy import stats

    frame = by_client(chosen - rejected, texts)
    known = (frame["records"] - frame["undefined"]).to_numpy()
    wide = np.where(known > 1, stats.t.ppf((1 + confidence) / 2, np.maximum(known - 1, 1)), np.nan)
    half = wide * frame["sd"].to_numpy() / np.sqrt(np.maximum(known, 1))
    frame = frame.rename(columns={"records": "pairs", "mean": "difference"}).drop(columns="sd")
    return frame.assign(low=frame["difference"] - half, high=frame["difference"] + half)
