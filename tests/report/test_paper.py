"""The published numbers: complete, and consistent with one another where the paper lets one check."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fedkit.report import paper

T1, T2 = (paper.TABLES[key] for key in ("table1_datasets", "table2_fed_aya"))
LANGUAGES = T2.metrics[:-1]
TEXT = Path(__file__).parents[3] / "shared" / "papers" / "fedllm_bench.txt"


def test_table2_averages_are_the_means_of_its_languages():
    """To 0.015: the paper prints 4.86 where FedAvgM's languages give 4.875, and 4.92 where FedProx's give 4.9125."""
    assert len(T2.rows) == 15
    for row, values in T2.rows.items():
        mean = sum(values[x] for x in LANGUAGES) / 8
        assert values["Average"] == pytest.approx(mean, abs=0.0151), row


def test_table1_means_are_samples_over_clients():
    for row, values in T1.rows.items():
        assert abs(values["samples"] / values["clients"] - values["samples a client"]) < 1, row
    assert (T1.value("Fed-Aya", "clients"), T1.value("Fed-Aya", "samples")) == (38, 25513)


def test_clients_agree_between_tables_and_scripts():
    for row, values in T1.rows.items():
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
    assert printed == T2.rows


def test_lookup():
    assert paper.published("41_table2_fed_aya") is T2 is paper.published("table2_fed_aya")
    assert paper.published("99_of_our_own") is None
    assert T2.value("FedAvg", "te") == 2.0 and T2.value("Base Model", "te") is None
    assert paper.label("local", "ar") in T2.rows and paper.label("scaffold") in T2.rows
    assert paper.label("my_new_one") == "my_new_one"
    assert list(T2.frame().columns) == [*LANGUAGES, "Average"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["t,r,c,1,"], "table 't' has no column 'c'"),
        (["u,r,a,1,"], "table 'u' has no column 'a'"),
        (["t,r,a,1,", "t,r,a,2,"], "table 't' has 'r', 'a' twice"),
    ],
)
def test_a_number_without_a_place_is_refused(tmp_path, lines, said):
    with pytest.raises(ValueError, match=said):
        read(tmp_path, lines)


def test_second_hand_numbers_name_their_source(tmp_path):
    table = read(tmp_path, ["t,r,a,1.50,", "t,r,b,2,copied in paper X"])["t"]
    assert table.rows == {"r": {"a": 1.5, "b": 2.0}} and table.sources == {("r", "b"): "copied in paper X"}
    assert table.value("r", "a") == 1.5 and table.value("other", "a") is None


def read(folder, lines):
    (folder / "paper.csv").write_text("\n".join(["table,row,metric,value,source", *lines]) + "\n")
    head = {name: "x" for name in ("paper", "place", "title", "unit", "judge")}
    return paper.read_tables({"table": [{"key": "t", "metrics": ["a", "b"], **head}]}, folder / "paper.csv")


def test_the_files_of_the_paper_are_read_when_first_asked_for():
    said = "import sys, fedkit.report.paper as p; assert not p._words.cache_info().misses; p.TABLES; p.TABLES;"
    said += "assert p._words.cache_info().misses == 1 and p.TABLES is p.TABLES"
    subprocess.run([sys.executable, "-c", said], check=True)


def test_digits_are_as_printed():
    """A trailing zero is the paper's: 4.90, 11.0 stay so in the file."""
    text = paper.NUMBERS.read_text(encoding="utf-8")
    assert "table2_fed_aya,FedAvg,Average,4.90," in text and "table5_chatbot_pa,Local Training,AdvBench,11.0," in text
    assert "table1_datasets,Fed-Aya,samples,25513," in text
