"""Tables 4 and 5 of FedLLM-Bench: cell by cell what the paper prints, and consistent with one another."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fedkit.evaluation.specs import RIGHT
from fedkit.report import paper

TEXT = Path(__file__).parents[3] / "shared" / "papers" / "fedllm_bench.txt"
printed = pytest.mark.skipif(not TEXT.exists(), reason="the paper's text is not beside this checkout")
TABLE2, TABLE3, TABLE4_SINGLE, TABLE4_MULTI, TABLE5 = (
    paper.TABLES[f"table{key}"]
    for key in ("2_fed_aya", "3_chatbot_it", "4_wildchat", "4_wildchat_multi", "5_chatbot_pa")
)
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
    assert list(rows) == list(TABLE5.rows) == [paper.label("base"), paper.label("local"), *METHODS]
    assert rows == {name: list(values.values()) for name, values in TABLE5.rows.items()}


@printed
def test_table4_is_what_the_paper_prints():
    lines = [line.split("\t") for line in TEXT.read_text(encoding="utf-8").splitlines()]
    start = next(i for i, cells in enumerate(lines) if cells[0].startswith("Experiment Algorithm"))
    rows = rows_of(lines[start + 1 :], 7)
    assert list(rows) == [paper.label("local"), *METHODS]
    for name, values in rows.items():
        single, multi = TABLE4_SINGLE.rows[name], TABLE4_MULTI.rows[name]
        assert values == [*single.values(), *multi.values()], name


def test_averages_are_means_of_their_parts():
    for name, row in TABLE5.rows.items():
        assert row["Average"] == pytest.approx((row["MT-Bench-1"] + row["Vicuna"]) / 2, abs=0.0101), name
    for name, row in TABLE4_MULTI.rows.items():
        assert row["MT-Bench"] == pytest.approx((row["MT-1"] + row["MT-2"]) / 2, abs=0.0101), name


def test_suites_have_the_columns_of_their_tables():
    from fedkit.evaluation.benchmarks import SUITES

    for suite, table in (
        ("fed_aya", TABLE2),
        ("chatbot_it", TABLE3),
        ("wildchat", TABLE4_SINGLE),
        ("wildchat_multi", TABLE4_MULTI),
        ("chatbot_pa", TABLE5),
    ):
        columns = tuple(column.name for column in SUITES[suite].columns)
        assert tuple(name for name in columns if name != RIGHT) == table.metrics, suite  # which no paper has


def test_a_table_without_legible_numbers_has_none():
    assert TABLE3.rows == {} and TABLE3.value("FedAvg", "MMLU") is None
    assert paper.published("42_table3_chatbot_it") is TABLE3
