"""The offline judge: its ends, and one value worked by hand."""

from __future__ import annotations

import pytest

from fedkit.evaluation.judges import ReferenceJudge


@pytest.fixture(scope="module")
def judge():
    return ReferenceJudge()


@pytest.mark.parametrize("text", ["The capital of Italy is Rome.", "北京是中国的首都。", "ఢిల్లీ రాజధాని."])
def test_the_reference_itself_rates_ten(judge, text):
    assert judge.rate("?", text, text) == pytest.approx(10.0)


def test_nothing_in_common_rates_one(judge):
    assert judge.rate("?", "xyz", "abc") == pytest.approx(1.0, abs=1e-6)
    assert judge.rate("?", "  ", "abc") == 1.0


def test_no_reference_is_no_rating(judge):
    assert judge.rate("?", "an answer", " ") is None


def test_by_hand(judge):
    """Answer "abc", reference "abcdef": orders 1 to 3 (the answer has no longer n-grams, so those orders are out).

    Precision is 1 at each order; recall 3/6, 2/5, 1/4, their mean 23/60. F2 of the means is 5 R / (4 + R) = 115/263;
    the mean of the orders' own F2 would be 0.4347.
    """
    assert judge.rate("?", "abc", "abcdef") == pytest.approx(1 + 9 * 115 / 263, abs=1e-4)


def test_recall_weighs_more_than_precision(judge):
    """F2 prefers the answer that holds all of the reference and more to the one that holds but a part of it."""
    assert judge.rate("?", "Rome and Milan", "Rome and") > judge.rate("?", "Rome and", "Rome and Milan")
