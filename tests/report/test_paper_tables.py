"""Tables 4 and 5 of FedLLM-Bench: cell by cell what the paper prints, and consistent with one another."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fedkit.report import paper

TEXT = Path(__file__).parents[3] / "shared" / "papers" / "fedllm_bench.txt"
printed = pytest.mark.skipif(not TEXT.exists(), reason="the paper's text is not beside this checkout")
METHODS = [paper.label(m) for m in ("fedavg", "fedprox", "scaffold", "fedavgm", "fedyogi", "fedadagrad", "fedadam")]


def lines_after(head):
    lines = [line.split("\t") for line in TEXT.read_text(encoding="utf-8").splitlines()]
    start = next(i for i, cells in enumerate(lines) if cells[0].startswith("Algorithm") and head in cells)
    return lines[start + 1 :]


def rows_of(lines, columns):
    """Rows of a printed table; the seven methods share one line, each cell holding seven numbers."""
    rows = {}
    for cells in lines:
        if len(cells) != columns + 1:
            break
        numbers = [cell.split() for cell in cells[1:]]
        names = re.sub(r"\s*\^?\[\d+\]", "|", cells[0]).strip("|").split("|")
        assert all(len(n) == len(names) for n in numbers)
        rows |= {name.strip(): [float(n[i]) for n in numbers] for i, name in enumerate(names)}
    return rows


@printed
def test_table5_is_what_the_paper_prints():
    rows = rows_of(lines_after("AdvBench"), 5)
    assert list(rows) == list(paper.TABLE5.rows) == [paper.label("base"), paper.label("local"), *METHODS]
    assert rows == {name: list(values.values()) for name, values in paper.TABLE5.rows.items()}


@printed
def test_table4_is_what_the_paper_prints():
    lines = [line.split("\t") for line in TEXT.read_text(encoding="utf-8").splitlines()]
    start = next(i for i, cells in enumerate(lines) if cells[0].startswith("Experiment Algorithm"))
    rows = rows_of(lines[start + 1 :], 7)
    assert list(rows) == [paper.label("local"), *METHODS]
    for name, values in rows.items():
        single, multi = paper.TABLE4_SINGLE.rows[name], paper.TABLE4_MULTI.rows[name]
        assert values == [*single.values(), *multi.values()], name


def test_averages_are_means_of_their_parts():
    for name, row in paper.TABLE5.rows.items():
        assert row["Average"] == pytest.approx((row["MT-Bench-1"] + row["Vicuna"]) / 2, abs=0.0101), name
    for name, row in paper.TABLE4_MULTI.rows.items():
        assert row["MT-Bench"] == pytest.approx((row["MT-1"] + row["MT-2"]) / 2, abs=0.0101), name


def test_suites_have_the_columns_of_their_tables():
    from fedkit.evaluation.benchmarks import SUITES

    for suite, table in (
        ("fed_aya", paper.TABLE2),
        ("chatbot_it", paper.TABLE3),
        ("wildchat", paper.TABLE4_SINGLE),
        ("wildchat_multi", paper.TABLE4_MULTI),
        ("chatbot_pa", paper.TABLE5),
    ):
        assert tuple(column.name for column in SUITES[suite].columns) == table.metrics, suite


def test_a_table_without_legible_numbers_has_none():
    assert paper.TABLE3.rows == {} and paper.TABLE3.value("FedAvg", "MMLU") is None
    assert paper.published("42_table3_chatbot_it") is paper.TABLE3
