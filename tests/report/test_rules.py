"""The words of claims on tables whose truth is known because the test made it, and on what the papers print."""

from __future__ import annotations

import numpy as np
import pytest

from fedkit.common.errors import FedkitError
from fedkit.report import paper
from fedkit.report.claims import CLAIMS, claim, groups
from fedkit.report.rules import RULES, decide
from fedkit.report.tables import ResultsTable
from fedkit.report.verdicts import COLUMNS, printed, verdict, verdicts, write_verdicts

BEATS, NONE_BEST, PAIR = (
    claim(f"bench_t2_{name}") for name in ("fl_beats_local", "no_best_everywhere", "fedavg_fedprox_lead")
)
LANGUAGES = ("ar", "en", "es", "fr", "pt", "ru", "te", "zh")
LOCAL = {"Local Training (ar)": (3, 1), "Local Training (zh)": (1, 3)}
GOOD = {"FedAvg": (4, 4), "FedProx": (5, 4), "SCAFFOLD": (4, 5)}
ALL = {name: (4, 4) for name in groups()["federated"]} | GOOD


def table(rows, *, spread=0.02, seeds=3, seed=0, shared=0.0):
    """A table from the true value in the first language and in all others: noise of `spread` a cell and seed, and of
    `shared` common to a seed."""
    rng = np.random.default_rng(seed)
    results = ResultsTable("41_table2_fed_aya", "made up", "score")
    common = rng.normal(scale=shared, size=seeds) if shared else np.zeros(seeds)
    for row, (first, rest) in rows.items():
        truth = np.array([first] + [rest] * 7)
        values = truth[:, None] + rng.normal(scale=spread, size=(8, seeds)) + common
        for metric, line in zip(LANGUAGES, values, strict=True):
            results.add(row, metric, line, range(seeds))
        results.add(row, "Average", values.mean(0), range(seeds))
    return results


def test_fl_beats_local_holds_and_fails():
    told = verdict(BEATS, table({"Base Model": (1, 1)} | LOCAL | ALL))
    assert told.outcome == told.by_seeds == "holds" and "7 of 7 differences are surely above" in told.evidence
    assert verdict(BEATS, table(LOCAL | dict.fromkeys(ALL, (0.5, 0.5)))).outcome == "fails"


def test_half_is_not_most():
    """Four of seven surely worse: at most three can be better, so the claim fails."""
    mixed = dict.fromkeys(list(ALL)[:3], (4, 4)) | dict.fromkeys(list(ALL)[3:], (1, 1))
    assert verdict(BEATS, table(LOCAL | mixed)).outcome == "fails"


def test_noise_leaves_it_undecided():
    told = verdict(BEATS, table(LOCAL | dict.fromkeys(ALL, (2.0, 2.0)), spread=1.0))
    assert told.outcome == "undecided" and told.evidence.endswith(".")


def test_pairing_by_seed_sees_through_what_seeds_share():
    assert verdict(BEATS, table(LOCAL | ALL, shared=3.0, seed=1)).outcome == "holds"


def test_rows_that_are_no_method_of_the_paper_do_not_count():
    """An echo of the question, or a method that is ours alone, neither helps nor harms a claim on the papers' seven."""
    more = LOCAL | ALL | {"echo": (9, 9), "FFA-LoRA": (0, 0)}
    assert verdict(BEATS, table(more)).evidence == verdict(BEATS, table(LOCAL | ALL)).evidence
    assert verdict(NONE_BEST, table(LOCAL | ALL | {"echo": (9, 9)})).outcome == "holds"


@pytest.mark.parametrize("own", [BEATS, NONE_BEST, PAIR])
@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_decide_nothing(own, seeds):
    assert verdict(own, table(LOCAL | ALL, seeds=seeds)).outcome == "undecided"


def test_none_best_everywhere():
    """FedProx leads in ar, SCAFFOLD elsewhere, so each is beaten somewhere; a method on top of all is not."""
    assert verdict(NONE_BEST, table(LOCAL | ALL)).outcome == "holds"
    told = verdict(NONE_BEST, table(LOCAL | ALL | {"FedAdam": (6, 6)}, spread=0.001))
    assert told.outcome == "fails" and "FedAdam is surely best on every one" in told.evidence
    assert verdict(NONE_BEST, table(LOCAL | ALL, spread=3.0)).outcome == "undecided"


def test_a_local_run_may_be_the_better_one():
    rows = {"Local Training (ar)": (6, 1)} | dict.fromkeys(ALL, (4, 4))
    assert verdict(NONE_BEST, table(rows)).outcome == "holds"


def test_noise_seldom_passes_for_a_best_language():
    """Rows of equal truth: some rival leads somewhere in every table, yet the claim holds in few of them."""
    rows = dict.fromkeys((*LOCAL, *ALL), (3, 3))
    assert sum(verdict(NONE_BEST, table(rows, spread=0.5, seed=s)).outcome == "holds" for s in range(40)) <= 2


def test_the_pair_in_the_lead():
    rest = dict.fromkeys(ALL, (2, 2))
    pair = {"FedAvg": (4, 4), "FedProx": (4, 4)}
    assert verdict(PAIR, table(rest | pair)).outcome == "holds"
    told = verdict(PAIR, table(rest | pair | {"SCAFFOLD": (5, 5)}, spread=0.002))
    assert told.outcome == "fails" and "surely the other way: FedAvg - SCAFFOLD" in told.evidence
    assert verdict(PAIR, table(rest | pair | {"SCAFFOLD": (4, 4)})).outcome == "undecided"


def test_a_hole_in_the_table_is_named():
    results = table(LOCAL | ALL)
    results._values.pop(("FedAvg", "zh"))
    told = verdict(NONE_BEST, results)
    assert told.outcome == "undecided" and "no value for FedAvg in zh" in told.evidence


def of(**rows):
    results = ResultsTable("t", "none", "u")
    for row, values in rows.items():
        results.add(row, "m", values, range(len(values)))
    return results


def decided(rule, **rows):
    from fedkit.report.evidence import read_scores

    return decide(rule, read_scores(of(**rows).by_seed())).word


NOISE = np.array([-0.01, 0.0, 0.01, 0.005])


@pytest.mark.parametrize(
    ("gap", "outcome"), [(0.0, "holds"), (0.27, "holds"), (0.5, "fails"), (-0.5, "fails"), (0.3, "undecided")]
)
def test_comparable_is_within_the_margin_on_both_sides(gap, outcome):
    rule = {"comparable": ["A"], "rows": ["B"], "on": ["m"], "margin": 0.3}
    assert decided(rule, A=[1.0] * 4, B=1 + gap + NOISE) == outcome


@pytest.mark.parametrize(("gap", "outcome"), [(5.0, "holds"), (-0.2, "holds"), (-0.5, "fails"), (-0.3, "undecided")])
def test_slack_lets_a_row_be_a_little_worse(gap, outcome):
    assert (
        decided({"beats": ["A"], "rows": ["B"], "on": ["m"], "slack": 0.3}, A=[1.0] * 4, B=1 + gap + NOISE) == outcome
    )


@pytest.mark.parametrize(("value", "outcome"), [(2.5, "holds"), (2.1, "fails"), (2.24, "undecided")])
def test_by_asks_for_a_share_of_the_other(value, outcome):
    assert decided({"beats": ["A"], "rows": ["B"], "on": ["m"], "by": 0.12}, A=[2.0] * 4, B=value + NOISE) == outcome


def test_some_row_is_enough_and_less_may_be_better():
    some = {"beats": ["A"], "rows": ["B", "C"], "on": ["m"], "share": "some"}
    assert decided(some, A=1 + NOISE, B=0 + NOISE[::-1], C=2 + NOISE[::-1]) == "holds"
    assert decided(some, A=1 + NOISE, B=0 + NOISE[::-1], C=0 + NOISE[::-1]) == "fails"
    lowest = {"best": ["B"], "among": ["A", "B"], "on": ["m"], "lower": True}
    assert decided(lowest, A=1 + NOISE, B=0 + NOISE[::-1]) == "holds"


def test_order_and_all():
    order = {"ordered": ["A", "B", "C"], "on": ["m"]}
    assert decided(order, A=3 + NOISE, B=2 + NOISE[::-1], C=1 + NOISE) == "holds"
    assert decided(order, A=3 + NOISE, B=1 + NOISE[::-1], C=2 + NOISE) == "fails"
    both = {"all": [{"beats": ["B"], "rows": ["A"], "on": ["m"]}, {"beats": ["C"], "rows": ["B"], "on": ["m"]}]}
    assert decided(both, A=3 + NOISE, B=2 + NOISE[::-1], C=2 + NOISE[[1, 0, 3, 2]]) == "undecided"


def words(rule):
    """The words of a rule and of those within it."""
    for word in (w for w in RULES if w in rule):
        yield word, rule
        for inner in rule["all"] if word == "all" else ():
            yield from words(inner)


@pytest.mark.parametrize("own", CLAIMS.values(), ids=list(CLAIMS))
def test_each_claim_speaks_of_its_table(own):
    """One word a rule, metrics of the table's columns, rows that the paper prints (where it prints any)."""
    table_ = paper.TABLES[own.table]
    assert own.paper == table_.paper and own.text and own.place
    for word, rule in words(own.rule):
        assert sum(w in rule for w in RULES) == 1
        metrics = (*rule.get("on", ()), *rule.get("rank_over", ()))
        assert metrics or word == "all"
        assert table_.rows == {} or set(metrics) <= set(table_.metrics), own.id


def test_the_papers_own_numbers_do_not_bear_out_all_that_they_conclude():
    """Read off the printed tables: SCAFFOLD's 4.97 in Table 2; two ties with local training in Table 5; in OpenFedLLM
    FedAvgM's and FedAdam's ranks, and SCAFFOLD below local training on MT-Bench."""
    told = {name: printed(own) for name, own in CLAIMS.items()}
    fails = {name for name, one in told.items() if one and one.word == "fails"}
    assert fails == {
        "bench_t2_fedavg_fedprox_lead",
        "bench_t5_fl_beats_local",
        "open_t2_yogi_scaffold",
        "open_t6_fl_beats_local",
    }
    silent = {name for name, one in told.items() if one is None}
    assert silent == {name for name in CLAIMS if name.startswith(("bench_t3_", "bench_dp_"))}
    assert "2 below" in told["bench_t5_fl_beats_local"].evidence


def test_a_table_brings_all_its_claims_and_the_file_keeps_them(tmp_path):
    import pandas as pd

    results = table(LOCAL | ALL)
    told = verdicts(results)
    assert [v.claim.id for v in told] == [name for name, own in CLAIMS.items() if own.table == "table2_fed_aya"]
    path = write_verdicts(tmp_path, told, profile="smoke")
    write_verdicts(tmp_path, told[:1], profile="mini")
    lines = pd.read_csv(path)
    assert tuple(lines.columns) == COLUMNS and len(lines) == len(told)
    assert dict(zip(lines["id"], lines["profile"], strict=True))[told[0].claim.id] == "mini"
    assert dict(zip(lines["id"], lines["printed"], strict=True))["bench_t2_fedavg_fedprox_lead"] == "fails"
    assert verdicts(ResultsTable("43_of_no_paper", "none", "u")) == []


def test_mistakes_are_named():
    with pytest.raises(FedkitError, match="has no values"):
        verdict(BEATS, ResultsTable("41_table2_fed_aya", "none", "u"))
    with pytest.raises(FedkitError, match="unknown rule of a claim 'wins'"):
        decided({"wins": ["A"]}, A=[1.0])
    with pytest.raises(FedkitError, match="unknown claim 'mine'"):
        claim("mine")
