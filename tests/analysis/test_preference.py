"""Preference by client: lengths counted by hand, Wilson's interval by its definition, differences of IFD."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from scipy import stats

from fedkit.analysis.client_texts import Texts, lengths
from fedkit.analysis.preference import length_preference, quality_preference
from fedkit.common.errors import FedkitError


class Words:
    """A tokenizer whose tokens are words; none of them steers a model."""

    chat_template, unk_token_id = None, None
    added_tokens_decoder: ClassVar[dict] = {}
    all_special_ids = all_special_tokens = ()

    def __call__(self, texts, add_special_tokens, **_):
        assert not add_special_tokens
        return {"input_ids": [list(range(len(text.split()))) for text in texts]}


CHOSEN = ["a b c", "a", " a b\n", "a b", "a", "a b c d", ""]
REJECTED = ["a b", "a b", "x y", "x", "a b c", "b", ""]
OWNER = np.array([0, 0, 0, 1, 1, 1, 2])


def pairs(rejected=REJECTED):
    blank = [""] * len(CHOSEN)
    return Texts("toy", ("p", "q", "r"), OWNER, np.arange(len(OWNER)), blank, CHOSEN, blank, rejected)


def test_lengths_in_tokens():
    tokens = lengths(pairs(), Words())
    assert tokens["response"].tolist() == [3, 1, 2, 2, 1, 4, 0] and tokens["rejected"].tolist() == [2, 2, 2, 1, 3, 1, 0]
    assert tokens["response"].dtype == tokens["rejected"].dtype == np.int64
    alone = pairs(rejected=None)
    with pytest.raises(FedkitError, match="no rejected answers"):
        length_preference(alone, lengths(alone, Words()))


def test_only_strictly_longer_counts_and_ties_are_shown():
    frame = length_preference(pairs(), lengths(pairs(), Words())).set_index("client")
    assert frame.loc["p", ["pairs", "longer", "ties", "shorter"]].tolist() == [3, 1, 1, 1]
    assert frame.loc["q", ["pairs", "longer", "ties", "shorter"]].tolist() == [3, 2, 0, 1]
    assert frame.loc["r", ["pairs", "longer", "ties", "shorter"]].tolist() == [1, 0, 1, 0]
    np.testing.assert_allclose(frame["share"], [1 / 3, 2 / 3, 0])
    assert (frame["low"] <= frame["share"]).all() and (frame["share"] <= frame["high"]).all()


def test_quality_preference_is_the_mean_difference_with_a_t_interval():
    chosen = np.array([0.9, 0.8, np.nan, 0.5, 0.6, 0.7, 1.0])
    rejected = np.array([0.6, 0.7, 0.1, 0.9, 0.8, np.nan, 0.4])
    frame = quality_preference(chosen, rejected, pairs()).set_index("client")
    assert frame["pairs"].tolist() == [3, 3, 1] and frame["undefined"].tolist() == [1, 1, 0]
    np.testing.assert_allclose(frame["difference"], [0.2, -0.3, 0.6])
    known = stats.ttest_1samp([0.3, 0.1], 0).confidence_interval(0.95)
    np.testing.assert_allclose(frame.loc["p", ["low", "high"]].astype(float), [known.low, known.high])
    assert np.isnan(frame.loc["r", "low"]) and np.isnan(frame.loc["r", "high"])
