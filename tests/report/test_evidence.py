"""Differences between cells: their intervals against closed forms, and their coverage on data whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fedkit.common.errors import FedkitError
from fedkit.common.intervals import crossed, interval
from fedkit.report.evidence import Estimate, Scores, printed_scores, read_scores
from fedkit.report.paper import TABLES
from fedkit.report.tables import ResultsTable


def test_where_only_seeds_differ_the_crossed_interval_is_that_of_seeds():
    seeds = np.array([1.0, 2.0, 4.0, 4.5])
    mean, error, freedom = crossed(np.repeat(seeds[:, None], 7, axis=1))
    assert (mean, error, freedom) == pytest.approx((seeds.mean(), seeds.std(ddof=1) / 2, 3))
    assert Estimate(mean, error, freedom).interval() == pytest.approx(interval(seeds)[1:])


def test_where_only_questions_differ_it_is_that_of_questions():
    questions = np.array([1.0, 2.0, 4.0, 4.5, 0.0])
    mean, error, freedom = crossed(np.repeat(questions[None], 3, axis=0))
    assert Estimate(mean, error, freedom).interval() == pytest.approx(interval(questions)[1:])


def test_its_mean_squares_are_those_of_the_two_way_table():
    """By the sums of squares of a 2 x 3 layout worked out by hand."""
    values = np.array([[1.0, 4.0, 1.0], [3.0, 8.0, 1.0]])  # means 2, 4 by seed; 2, 6, 1 by question; 3 in all
    ms_seeds, ms_questions, ms_rest = 6.0 / 1, 28.0 / 2, 4.0 / 2
    mean, error, freedom = crossed(values)
    total = ms_seeds + ms_questions - ms_rest
    assert (mean, error) == pytest.approx((3.0, (total / 6) ** 0.5))
    assert freedom == pytest.approx(total**2 / (ms_seeds**2 + ms_questions**2 / 2 + ms_rest**2 / 2))


@pytest.mark.parametrize(("by_seed", "by_question"), [(0.0, 1.0), (0.1, 1.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)])
def test_it_covers_the_truth_where_seeds_alone_do_not(by_seed, by_question):
    """Three seeds, 60 questions, 1,000 tables: 95 % within sampling error or more, never below 90 %."""
    rng = np.random.default_rng(0)
    shape = (1000, 3, 60)
    draws = by_seed * rng.normal(size=(1000, 3, 1)) + by_question * rng.normal(size=(1000, 1, 60))
    covered = alone = 0
    for table in draws + rng.normal(size=shape):
        low, high = Estimate(*crossed(table)).interval()
        covered += low <= 0 <= high
        low, high = interval(table.mean(axis=1))[1:]
        alone += low <= 0 <= high
    assert covered / 1000 > 0.92
    if by_question and by_seed < 0.5:
        assert alone / 1000 < covered / 1000  # for other questions than these, seeds alone say too much


def test_a_table_without_two_of_each_has_no_crossed_interval():
    for shape in ((1, 5), (5, 1), (5,)):
        with pytest.raises(FedkitError, match="at least two of each"):
            crossed(np.zeros(shape))


def test_one_of_many_has_bonferronis_interval():
    low, high = Estimate(1.0, 0.5, 7).interval(among=12)
    half = stats.t.ppf(1 - 0.05 / 24, 7) * 0.5
    assert (low, high) == pytest.approx((1 - half, 1 + half))


def test_signs():
    sure = Estimate(1.0, 0.1, 10)
    assert (sure.sign(), sure.sign(at=1.0), sure.sign(at=2.0)) == (1, 0, -1)
    assert Estimate(1.0, np.nan).sign() == 0
    assert (Estimate(0.0, printed=True).sign(), Estimate(0.01, printed=True).sign()) == (-1, 1)
    assert Estimate(0.0, 0.0).sign() == 0  # equal answers under all seeds are no evidence against either


def scores():
    table = ResultsTable("t", "none", "u")
    for row, values in {"A": [1, 2, 3], "B": [0, 1, 5], "C": [2, 1, 1]}.items():
        table.add(row, "m", values, range(3))
    return table


def test_a_difference_is_paired_by_seed():
    one = read_scores(scores().by_seed()).difference("A", ["B", "C"], "m")
    assert (one.mean, *one.interval()) == pytest.approx(interval([0.0, 1.0, 0.0]))
    twice = read_scores(scores().by_seed()).difference("A", ["B"], "m", factor=2)
    assert twice.mean == pytest.approx(np.mean([1, 0, -7]))


def test_only_common_seeds_count_and_none_is_said():
    table = scores()
    table.add("D", "m", [9.0], [2])
    table.add("E", "m", [9.0], [7])
    own = read_scores(table.by_seed())
    assert own.difference("D", ["A"], "m").mean == 6 and np.isnan(own.difference("D", ["A"], "m").error)
    with pytest.raises(FedkitError, match="no seed in common"):
        own.difference("D", ["E"], "m")


def test_questions_are_used_where_all_cells_have_them():
    values = {row: np.random.default_rng(i).normal(size=(3, 5)) for i, row in enumerate("AB")}
    seeds = {(r, "m"): {s: float(v[s].mean()) for s in range(3)} for r, v in values.items()}
    items = {(r, "m"): {s: v[s] for s in range(3)} for r, v in values.items()}
    own = Scores(seeds, items)
    one = own.difference("A", ["B"], "m")
    assert (one.mean, one.error, one.freedom) == pytest.approx(crossed(values["A"] - values["B"]))
    alone = own.by_seeds().difference("A", ["B"], "m")
    assert alone.freedom == 2 and alone.mean == pytest.approx(one.mean)
    short = Scores(seeds, items | {("B", "m"): {s: v[:3] for s, v in items["B", "m"].items()}})
    assert short.difference("A", ["B"], "m") == alone  # other questions cannot be paired


def test_rows_of_groups_and_patterns():
    own = Scores({("Local Training (ar)", "m"): {}, ("FedAvg", "m"): {}, ("echo", "m"): {}})
    assert own.select("local") == ["Local Training (ar)"]
    assert own.select(["local", "FedAvg"]) == ["Local Training (ar)", "FedAvg"]
    assert "echo" not in own.select("federated") and "FedAdam" in own.select("federated")  # absent ones are asked for
    assert Scores({}).select("local") == ["Local Training*"]


def test_mean_ranks_are_those_of_openfedllm_but_for_its_divisor():
    """Table 5 prints the sum of a row's four ranks, ties at the better one, divided by five; the order is the same."""
    table = TABLES["openfedllm_table5"]
    ranks = printed_scores(table).ranked(list(table.rows), list(table.metrics[:-1]))
    for row in table.rows:
        assert -ranks.seeds[row, "rank"][0] * 4 / 5 == pytest.approx(table.value(row, "Rank")), row
