"""Verdicts on tables whose truth is known because the test made it."""

from __future__ import annotations

import numpy as np
import pytest

from fedkit.common.errors import FedkitError
from fedkit.report import paper
from fedkit.report.tables import ResultsTable
from fedkit.report.verdicts import CHECKS, largest, paired, verdict

BEATS, NONE_BEST, PAIR = (
    paper.claim(f"bench_t2_{name}") for name in ("fl_beats_local", "no_best_everywhere", "fedavg_fedprox_lead")
)
LANGUAGES = ("ar", "en", "zh")


def table(rows, *, spread=0.02, seeds=3, seed=0, shared=0.0):
    """A table from true values by language: noise of `spread` a cell and seed, and of `shared` common to a seed."""
    rng = np.random.default_rng(seed)
    results = ResultsTable("41_table2_fed_aya", "made up", "score")
    common = rng.normal(scale=shared, size=seeds) if shared else np.zeros(seeds)
    for row, truth in rows.items():
        values = np.array(truth)[:, None] + rng.normal(scale=spread, size=(len(truth), seeds)) + common
        for metric, line in zip(LANGUAGES, values, strict=True):
            results.add(row, metric, line, range(seeds))
        results.add(row, "Average", values.mean(0), range(seeds))
    return results


def on(claim, results, by_seed=True):
    return verdict(claim, results.frame(), results.by_seed() if by_seed else None)


LOCAL = {"Local Training (ar)": (3, 1, 1), "Local Training (zh)": (1, 1, 3)}
GOOD = {"FedAvg": (4, 4, 4), "FedProx": (4, 5, 4), "SCAFFOLD": (4, 4, 5)}


def test_every_claim_has_a_check_and_the_other_way_round():
    assert set(CHECKS) == set(paper.CLAIMS)


def test_fl_beats_local_holds_and_fails():
    told = on(BEATS, table({"Base Model": (1, 1, 1)} | LOCAL | GOOD))
    assert told.outcome == "holds" and "3 of 3 federated methods are better" in told.evidence
    bad = {name: (0.5, 0.5, 0.5) for name in GOOD}
    assert on(BEATS, table(LOCAL | bad)).outcome == "fails"


def test_half_is_not_most():
    """Two of four better, two worse: at most half can be better, so the claim fails."""
    mixed = {"FedAvg": (4, 4, 4), "FedProx": (4, 4, 4), "SCAFFOLD": (1, 1, 1), "FedAdam": (1, 1, 1)}
    assert on(BEATS, table(LOCAL | mixed)).outcome == "fails"


def test_noise_leaves_it_undecided():
    near = {name: (1.7, 1.7, 1.7) for name in GOOD}
    told = on(BEATS, table(LOCAL | near, spread=1.0))
    assert told.outcome == "undecided" and told.evidence.endswith(".")


def test_pairing_by_seed_sees_through_what_seeds_share():
    """Seeds that lift or sink all rows alike hide the gain from intervals, not from paired differences."""
    results = table(LOCAL | GOOD, shared=3.0, seed=1)
    assert on(BEATS, results).outcome == "holds"
    assert on(BEATS, results, by_seed=False).outcome == "undecided"


def test_intervals_alone_can_decide():
    assert on(BEATS, table(LOCAL | GOOD), by_seed=False).outcome == "holds"
    bad = {name: (0.5, 0.5, 0.5) for name in GOOD}
    assert on(BEATS, table(LOCAL | bad), by_seed=False).outcome == "fails"


@pytest.mark.parametrize("claim", [BEATS, NONE_BEST, PAIR])
@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds(claim, seeds):
    told = on(claim, table(LOCAL | GOOD | {"FedAdam": (2, 2, 2)}, seeds=seeds))
    assert told.outcome == "undecided" and "at least 3" in told.evidence


def test_none_best_everywhere():
    """FedProx leads in en, SCAFFOLD in zh, so each method is beaten somewhere; a method on top of all is not."""
    assert on(NONE_BEST, table(LOCAL | GOOD)).outcome == "holds"
    told = on(NONE_BEST, table(LOCAL | GOOD | {"FedAdam": (6, 6, 6)}))
    assert told.outcome == "fails" and "FedAdam is surely best in every language" in told.evidence
    assert on(NONE_BEST, table(LOCAL | GOOD, spread=3.0)).outcome == "undecided"


def test_a_local_run_may_be_the_better_one():
    rows = {"Local Training (ar)": (6, 1, 1), "FedAvg": (4, 4, 4)}
    assert on(NONE_BEST, table(rows)).outcome == "holds"


def test_noise_seldom_passes_for_a_best_language():
    """Twelve rows of equal truth: some rival leads somewhere in every table, yet the claim holds in few of them."""
    rows = {f"method {i}": (3, 3, 3) for i in range(12)}
    held = sum(on(NONE_BEST, table(rows, spread=0.5, seed=s)).outcome == "holds" for s in range(40))
    assert held <= 2


def test_picking_does_not_bias_the_largest_difference():
    """100 true differences of zero: the interval lies above zero in 2.5 % of trials; were the best pair measured on
    the seeds that picked it, in more than a quarter."""
    rng = np.random.default_rng(0)
    above = sum(largest(rng.normal(size=(100, 5)))[1] > 0 for _ in range(2000)) / 2000
    assert abs(above - 0.025) < 4 * (0.025 * 0.975 / 2000) ** 0.5
    naive = sum(paired(d[d.mean(1).argmax()])[1] > 0 for d in (rng.normal(size=(100, 3)) for _ in range(1000)))
    assert naive / 1000 > 0.25


def test_the_pair_in_the_lead():
    rest = {"SCAFFOLD": (2, 2, 2), "FedAdam": (2, 2, 2)}
    pair = {"FedAvg": (4, 4, 4), "FedProx": (4, 4, 4)}
    assert on(PAIR, table(LOCAL | pair | rest)).outcome == "holds"
    assert on(PAIR, table(LOCAL | pair | rest | {"SCAFFOLD": (5, 5, 5)})).outcome == "fails"
    assert on(PAIR, table(LOCAL | pair | {"SCAFFOLD": (4, 4, 4)})).outcome == "undecided"


def test_the_papers_own_numbers_have_no_seeds():
    """Put through the same rule as one seed, nothing can be decided: the paper gives no spread."""
    results = ResultsTable("41_table2_fed_aya", "GPT-4 (Ref-GPT4)", "score 1-10")
    for row, values in paper.TABLES["table2_fed_aya"].rows.items():
        for metric, value in values.items():
            results.add(row, metric, value)
    assert {on(c, results).outcome for c in paper.CLAIMS.values()} == {"undecided"}
    assert "7 federated methods" in on(BEATS, results).evidence


def test_a_hole_in_the_table_is_named():
    results = table(LOCAL | GOOD)
    frame, seeds = results.frame(), results.by_seed()
    hole = frame[~((frame.row == "FedAvg") & (frame.metric == "zh"))]
    with_hole = verdict(NONE_BEST, hole, seeds)
    assert with_hole.outcome == "undecided" and "no value for FedAvg in zh" in with_hole.evidence


def test_mistakes_are_named():
    empty = ResultsTable("41_table2_fed_aya", "none", "u")
    with pytest.raises(FedkitError, match="has no values"):
        verdict(BEATS, empty.frame())
    with pytest.raises(FedkitError, match="unknown claim 'mine'"):
        verdict(paper.Claim("mine", "p", "q", "r", "s"), table(LOCAL).frame())
