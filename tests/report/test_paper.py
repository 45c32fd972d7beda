"""The published numbers: complete, and consistent with one another where the paper lets one check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fedkit.common.errors import FedkitError
from fedkit.report import paper
from fedkit.report.paper.table import as_rows

TEXT = Path(__file__).parents[3] / "shared" / "papers" / "fedllm_bench.txt"


def test_table2_averages_are_the_means_of_its_languages():
    """To 0.015: the paper prints 4.86 where FedAvgM's languages give 4.875, and 4.92 where FedProx's give 4.9125."""
    assert len(paper.TABLE2.rows) == 15
    for row, values in paper.TABLE2.rows.items():
        mean = sum(values[x] for x in paper.LANGUAGES) / 8
        assert values["Average"] == pytest.approx(mean, abs=0.0151), row


def test_table1_means_are_samples_over_clients():
    for row, values in paper.TABLE1.rows.items():
        assert abs(values["samples"] / values["clients"] - values["samples a client"]) < 1, row
    assert (paper.TABLE1.value("Fed-Aya", "clients"), paper.TABLE1.value("Fed-Aya", "samples")) == (38, 25513)


def test_clients_agree_between_tables_and_scripts():
    for row, values in paper.TABLE1.rows.items():
        assert paper.TABLE7[row].clients == values["clients"] == paper.SETTINGS[row].clients
    for row, setup in paper.TABLE7.items():
        script = paper.SETTINGS[row]
        assert (script.sampled, script.clients) == (setup.sampled, setup.clients)
        if row != "Fed-WildChat (Multi-Turn)":
            assert script.rounds == setup.rounds
        if setup.local_steps is not None:
            assert script.local_steps == setup.local_steps


def test_the_profile_of_the_paper_is_table_7():
    from fedkit.profiles import PROFILES

    train, setup, script = (
        PROFILES["paper"].dataset("fed_aya").train,
        paper.TABLE7["Fed-Aya"],
        paper.SETTINGS["Fed-Aya"],
    )
    assert (train.clients_per_round, train.local_steps, train.rounds) == (
        setup.sampled,
        setup.local_steps,
        setup.rounds,
    )
    for name in ("batch_size", "grad_accum", "max_length", "lr_first", "lr_last"):
        assert getattr(train, name) == getattr(script, name), name


@pytest.mark.skipif(not TEXT.exists(), reason="the paper's text is not beside this checkout")
def test_table2_is_what_the_paper_prints():
    lines = [line.split("\t") for line in TEXT.read_text(encoding="utf-8").splitlines()]
    start = next(i for i, cells in enumerate(lines) if cells[0].startswith("Algorithm") and "te" in cells)
    printed = {}
    for cells in lines[start + 1 : start + 16]:
        name = re.sub(r"\s*\^?\[\d+\]$", "", cells[0])
        printed[name] = dict(zip(lines[start][1:], map(float, cells[1:]), strict=True))
    assert printed == paper.TABLE2.rows


def test_lookup():
    assert paper.published("41_table2_fed_aya") is paper.TABLE2 is paper.published("table2_fed_aya")
    assert paper.published("99_of_our_own") is None
    assert paper.TABLE2.value("FedAvg", "te") == 2.0 and paper.TABLE2.value("Base Model", "te") is None
    assert paper.label("local", "ar") in paper.TABLE2.rows and paper.label("scaffold") in paper.TABLE2.rows
    assert paper.label("my_new_one") == "my_new_one"
    assert list(paper.TABLE2.frame().columns) == [*paper.LANGUAGES, "Average"]
    with pytest.raises(FedkitError, match="unknown claim 'x'"):
        paper.claim("x")


def test_rows_are_checked_against_their_columns():
    assert as_rows(("a", "b"), {"r": "1 -"}) == {"r": {"a": 1.0}}
    with pytest.raises(ValueError, match="has 1 cells"):
        as_rows(("a", "b"), {"r": "1"})
