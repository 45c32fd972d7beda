"""What was read and from where: the log of a place, its words, and the way to tables, rows, pages and the console."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runner_tools import call, status, write_notebook

from fedkit.common.errors import FedkitError
from fedkit.common.files import visible
from fedkit.data import origins
from fedkit.data.origins import Origin, Origins, brief, origins_of, read_log, sentence
from fedkit.data.place import Place
from fedkit.evaluation.benchmarks import Column, Suite
from fedkit.report.site import index_html
from fedkit.report.tables import ResultsTable
from fedkit.session import Session

PROBLEMS = [{"question": f"q{i}", "answer": f"#### {i}"} for i in range(6)]


def put(path: Path, rows: list) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_place_notes_what_is_read_and_not_what_is_only_located(tmp_path):
    put(tmp_path / "gsm8k/train.jsonl", PROBLEMS)
    place = Place(tmp_path, embedded=True)
    place.locate("aya")
    assert place.origins.all == ()
    list(place.records("gsm8k", 2))
    list(place.real().locate("gsm8k").as_part("worked examples").records(1))  # places made of it share its log
    list(place.records("gsm8k_test", 1))
    train, shown, test = place.origins.all
    assert (train.part, train.kind, train.where) == ("records", "local", "gsm8k/train.jsonl") and not train.absent
    assert shown.part == "worked examples"
    assert (test.kind, test.where) == ("embedded", "") and "holds none of its files (gsm8k/test.jsonl" in test.absent


def test_words():
    local = Origin("gsm8k_test", "questions", "local", "gsm8k/test.jsonl")
    made = [Origin(name, "records", "embedded", absent="the folder holds none") for name in ("aya", "arena")]
    assert brief([local, *made]) == "questions: data folder, gsm8k/test.jsonl; records: embedded world"
    assert sentence([*made, local, local]) == (
        "from the data folder: gsm8k_test (questions, gsm8k/test.jsonl);"
        " from the embedded world: aya (records), arena (records); not in the data folder: aya, arena"
    )
    half = Origin("aya", "records", "local", "aya/train.jsonl", absent="it is the test split")
    assert sentence([*made, half]).endswith("not in the data folder: arena")
    assert sentence([]) == brief([]) == ""


def test_a_log_goes_to_a_file_and_back_and_hostile_lines_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv(origins.LOG, str(tmp_path / "log.jsonl"))
    log, one = Origins(), Origin("aya", "records", "embedded")
    log.add(one)
    log.add(one)
    with open(tmp_path / "log.jsonl", "a", encoding="utf-8") as file:
        file.write('{"source": "half\n[1]\n{"source": ["x"], "part": "records", "kind": "local"}\n')
        file.write('{"source": "x", "part": "records", "kind": "elsewhere"}\n')
    assert origins_of(read_log(tmp_path / "log.jsonl")) == [one]
    assert read_log(tmp_path / "nowhere") == [] and origins_of(None) == origins_of({"a": 1}) == []


def test_a_row_a_table_and_the_page_name_the_source_of_every_part(tmp_path):
    """Real problems with real worked examples, embedded chat questions: told apart in each, to the last cell."""
    put(tmp_path / "data/gsm8k/train.jsonl", PROBLEMS)
    put(tmp_path / "data/gsm8k/test.jsonl", PROBLEMS[:2])
    kit = Session("smoke", results_dir=tmp_path / "results", data_dir=tmp_path / "data", offline=True)
    columns = (Column("Math", ("gsm8k/exact",)), Column("Vicuna", ("vicuna/score",)), Column("Ref", ("ref/score",)))
    suite = Suite("mixed", "fed_aya", columns)
    row = kit.evaluate("fed_aya", suite, limit=2, questions=kit.questions("fed_aya")[:2])
    source = row.frame()["source"]
    assert source["Math"] == (
        "worked examples: data folder, gsm8k/train.jsonl; questions: data folder, gsm8k/test.jsonl"
    )
    assert source["Vicuna"] == "questions: embedded world" and source["Ref"] == "questions: caller"
    assert "gsm8k_test (questions, gsm8k/test.jsonl)" in row.foot and "not in the data folder: vicuna_bench" in row.foot
    table = kit.results("40_mixed", judge="none", unit="u")
    table.add_rows("base", {0: row})
    table.add("counted", "Math", 1.0)
    frame = table.frame().set_index(["row", "metric"])["source"]
    assert frame["base", "Math"] == source["Math"] and "questions: embedded world" in frame["counted", "Math"]
    kit.write(table)
    text = (tmp_path / "results/tables/40_mixed.md").read_text()
    assert "Data from the data folder: " in text and "not in the data folder: aya" in text
    page = index_html(tmp_path / "results").read_text()
    assert "questions: data folder, gsm8k/test.jsonl" in page
    assert set(ResultsTable("t", "none", "u").frame().columns) >= {"source"}


def test_a_data_folder_that_matches_nothing_is_refused_and_what_is_read_is_said_at_the_end(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(FedkitError, match=r"names looked for: aya/train\*.parquet"):
        Session("smoke", results_dir=tmp_path / "results", data_dir=tmp_path / "data")
    cell = "from fedkit.data.place import Place\n"
    cell += "place = Place(data_dir, embedded=True)\n"
    cell += "print(sum(1 for name in ('gsm8k', 'gsm8k_test') for _ in place.records(name, 2)))"
    write_notebook(tmp_path / "notebooks", "10", cell, datasets=["gsm8k"])
    done = call(tmp_path, "--data-dir", tmp_path / "data")
    assert done.returncode == 2 and "names looked for: gsm8k/train.jsonl, gsm8k/test.jsonl, " in done.stderr
    put(tmp_path / "data/gsm8k/train.jsonl", PROBLEMS)
    for told in ("1 ran", "0 ran, 1 unchanged"):  # a second call, that runs nothing, says the same
        done = call(tmp_path, "--data-dir", tmp_path / "data")
        assert done.returncode == 0 and told in done.stdout, done.stderr
        lines = done.stdout.splitlines()
        assert f"from the data folder {tmp_path / 'data'}: gsm8k (records, gsm8k/train.jsonl)" in lines
        assert "from the embedded world: gsm8k_test (records)" in lines
        assert f"not in the data folder {tmp_path / 'data'}: gsm8k_test" in lines
    assert [each["source"] for each in status(tmp_path)["10"]["origins"]] == ["gsm8k", "gsm8k_test"]
    assert "gsm8k_test (records)" in (tmp_path / "results/smoke/index.html").read_text()


def test_names_that_begin_with_a_dot_are_seen_nowhere(tmp_path):
    for name in ("a.csv", "._a.csv", ".git/b.csv", "under/c.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert [path.name for path in visible(tmp_path, "**/*.csv")] == ["a.csv", "c.csv"]
    hidden = tmp_path / ".hidden"  # a folder that one names oneself may begin with a dot
    hidden.mkdir()
    (hidden / "a.csv").write_text("x")
    assert [path.name for path in visible(hidden, "*.csv")] == ["a.csv"]
    (tmp_path / "results" / "tables").mkdir(parents=True)
    (tmp_path / "results" / "tables" / "._t.csv").write_bytes(b"\x00\x05\x16\x07")
    assert "._t" not in index_html(tmp_path / "results").read_text()
