"""Tables: the interval, the files, and two processes that write one ledger."""

from __future__ import annotations

import multiprocessing
import os

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fedkit.common.errors import FedkitError
from fedkit.common.files import write_text
from fedkit.common.intervals import interval
from fedkit.report import verdicts
from fedkit.report.claims import claim as the_claim
from fedkit.report.tables import COLUMNS, ResultsTable, save_figure
from fedkit.report.verdicts import Verdict, write_verdicts


def filled():
    table = ResultsTable("41_table2_fed_aya", "chrF reference (offline)", "score 1-10")
    table.add("Base Model", "ar", 1.0)
    table.add("FedAvg", "ar", [1.0, 2.0, 3.0], [0, 1, 2])
    table.add("FedAvg", "Average", [4.0, 4.0, 4.0], [0, 1, 2])
    return table


def test_interval_by_hand():
    """1, 2, 3: mean 2, s = 1, t(0.975, 2) = 4.302653, so 2 -+ 4.302653 / sqrt(3)."""
    mean, low, high = interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert (low, high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), abs=1e-5)


def test_interval_is_scipys():
    values = np.random.default_rng(0).normal(size=7)
    expected = stats.t.interval(0.9, 6, values.mean(), stats.sem(values))
    assert interval(values, 0.9)[1:] == pytest.approx(expected)


def test_one_seed_has_no_interval_and_equal_seeds_a_narrow_one():
    assert interval([3.5]) == (3.5, None, None)
    assert interval([3.5, 3.5]) == (3.5, 3.5, 3.5)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [[1.0]]])
def test_interval_of_no_numbers(values):
    with pytest.raises(FedkitError, match="finite numbers"):
        interval(values)


def test_coverage_of_the_interval():
    """Of 2,000 intervals over 3 normal values, 95 % hold the true mean (within 4 standard deviations)."""
    rng = np.random.default_rng(1)
    hits = sum(low <= 0 <= high for _, low, high in (interval(rng.normal(size=3)) for _ in range(2000)))
    assert abs(hits / 2000 - 0.95) < 4 * (0.95 * 0.05 / 2000) ** 0.5


def test_frame_has_the_columns_and_the_papers_numbers():
    frame = filled().frame()
    assert tuple(frame.columns) == COLUMNS
    cell = frame[(frame.row == "FedAvg") & (frame.metric == "ar")].iloc[0]
    assert (cell.value, cell.seeds, cell.paper, cell.judge) == (2.0, 3, 2.5, "chrF reference (offline)")
    base = frame[frame.row == "Base Model"].iloc[0]
    assert base.seeds == 1 and np.isnan(base.low) and np.isnan(base.paper)


def test_files_and_the_way_back(tmp_path):
    table = filled()
    path = table.write(tmp_path / "tables")
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "41_table2_fed_aya.csv",
        "41_table2_fed_aya.md",
        "41_table2_fed_aya_seeds.csv",
    ]
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)
    pd.testing.assert_frame_equal(pd.read_csv(path), table.frame(), check_dtype=False)
    seeds = pd.read_csv(path.with_name("41_table2_fed_aya_seeds.csv"))
    assert seeds[(seeds.row == "FedAvg") & (seeds.metric == "ar")].value.tolist() == [1.0, 2.0, 3.0]


def test_markdown_shows_ours_then_the_papers_then_what_was_not_run():
    text = filled().markdown()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines[0] == "| row | ar | Average |"
    ours = next(i for i, line in enumerate(lines) if line.startswith("| **FedAvg**"))
    assert lines[ours] == "| **FedAvg** | 2.00 [-0.48, 4.48] | 4.00 [4.00, 4.00] |"
    assert lines[ours + 1] == "| *paper* | *2.50* | *4.90* |"
    assert "| SCAFFOLD, *paper only* | *2.65* | *4.97* |" in lines
    assert "rated by: chrF reference (offline)" in text and "GPT-4" in text and "not on one scale" in text


def test_counts_are_whole_and_small_measures_keep_a_third_digit():
    table = ResultsTable("38_dpo", "none", "u")
    for metric, value in (("accuracy", 0.6923), ("margin", 3.38), ("pairs", 195), ("ties", 0), ("p", 0.001)):
        table.add("FedAvg", metric, value)
    table.add("FedAvg", "less", [0.0002, 0.0006], [0, 1])
    line = table.markdown().splitlines()[-1]
    assert line == "| **FedAvg** | 0.692 | 3.38 | 195 | 0 | 0.001 | 0.000 [-0.002, 0.003] |"
    rated = ResultsTable("t", "refusal phrases", "per cent")
    rated.add("FedAvg", "AdvBench", 50.0)
    assert rated.markdown().splitlines()[-1] == "| **FedAvg** | 50.00 |"


def test_the_papers_numbers_keep_the_digits_that_it_prints():
    """Beside a measure of three digits, and where only the paper's rows are not whole."""
    table = ResultsTable("20_table1_datasets", "none", "u")
    table.add("Fed-Aya", "quality (sd)", 0.2264)
    table.add("Fed-Aya", "clients", 38)
    table.add("Fed-Aya", "quality", 1)  # the paper's 0.63 and the rows of the paper alone are no whole numbers
    table.add("Fed-Aya", "samples a client", 97.42)
    lines = [line for line in table.markdown().splitlines() if line.startswith("| ")]
    assert lines[1] == "| **Fed-Aya** | 0.226 | 38 | 1.000 | 97.42 |"
    assert lines[2] == "| *paper* | *0.28* | *38* | *0.63* | *671* |"
    assert "| Fed-WildChat, *paper only* | *0.37* | *100* | *0.79* | *527* |" in lines


def test_a_judge_may_be_given_itself():
    from fedkit.evaluation.judges import ReferenceJudge

    assert ResultsTable("t", ReferenceJudge(), "u").judge == "chrF of added words (offline)"


def test_rows_bring_their_questions():
    """The questions' scores of a column have its value as their mean; F1, which is no mean, brings none."""
    from fedkit.evaluation.benchmarks import SUITES, Row, Score

    def row(first, second):
        parts = {"fpb/acc": Score(0.5, 2, values=(first, 1 - first)), "fpb/f1": Score(0.4, 2, values=(first, second))}
        return Row(SUITES["openfed_finance"], "none", parts, {"fpb": [{}, {}]}, {"fpb": ["", ""]})

    table = ResultsTable("t", "none", "u")
    table.add_rows("FedAvg", {0: row(1.0, 0.0), 3: row(0.0, 1.0)})
    items = table.by_item()
    assert set(items.metric) == {"FPB Acc"} and items.seed.tolist() == [0, 0, 3, 3]
    assert items.value.tolist() == [1.0, 0.0, 0.0, 1.0]
    assert table.by_seed().value.tolist() == [0.5, 0.5, 0.4, 0.4]


def test_second_hand_numbers_carry_a_mark_and_their_source():
    table = ResultsTable("46_table8_dp", "none", "u")
    table.add("FedAvg", "MT-Bench", [2.0], [0])
    text = table.markdown()
    assert "| *paper* | *4.69* [1] |" in text and "\n[1] second-hand: " in text
    assert "[1]" not in ResultsTable("41_table2_fed_aya", "none", "u").markdown()


@pytest.mark.parametrize(
    ("values", "seeds", "message"),
    [([1.0, 2.0], [0], "2 values for seeds"), ([1.0, 2.0], [0, 0], "different seeds"), (float("nan"), 0, "not finite")],
)
def test_add_refuses(values, seeds, message):
    with pytest.raises(FedkitError, match=message):
        filled().add("FedAvg", "en", values, seeds)


def told(claim="bench_t2_fl_beats_local", outcome="holds"):
    return Verdict(the_claim(claim), outcome, "Evidence, with a comma.", "holds", None, "41_table2_fed_aya")


def test_claims_are_updated_in_place(tmp_path):
    write_verdicts(tmp_path, [told(), told("bench_t2_no_best_everywhere")], profile="mini")
    write_verdicts(tmp_path, [told(outcome="undecided")], profile="mini")
    first = (tmp_path / "claims.csv").read_text()
    path = write_verdicts(tmp_path, [told(outcome="undecided")], profile="mini")
    assert path.read_text() == first
    frame = pd.read_csv(path)
    assert tuple(frame.columns) == verdicts.COLUMNS
    assert dict(zip(frame.id, frame.verdict, strict=True)) == {
        "bench_t2_fl_beats_local": "undecided",
        "bench_t2_no_best_everywhere": "holds",
    }


def _write_many(folder, numbers):
    from dataclasses import replace

    for n in numbers:
        one = told()
        write_verdicts(folder, [replace(one, claim=replace(one.claim, id=f"claim_{n:02d}"))], profile="mini")


def test_two_processes_lose_no_claim(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(tmp_path, range(k, 20, 2))) for k in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert pd.read_csv(tmp_path / "claims.csv").id.tolist() == [f"claim_{n:02d}" for n in range(20)]


def test_a_broken_ledger_is_named_and_left_alone(tmp_path):
    (tmp_path / "claims.csv").write_text("id,verdict\nx,holds\n")
    with pytest.raises(FedkitError, match="claims.csv: column 'paper' is missing"):
        write_verdicts(tmp_path, [told()], profile="mini")
    assert (tmp_path / "claims.csv").read_text() == "id,verdict\nx,holds\n"


def test_writing_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = write_text(tmp_path / "a" / "x.txt", "old")

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_text", full)
        with pytest.raises(FedkitError, match=r"cannot write .*x\.txt \(No space left on device\)"):
            write_text(path, "new")
    assert path.read_text() == "old" and os.listdir(path.parent) == ["x.txt"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FedkitError, match="cannot write .*tables"):
        filled().write(tmp_path / "file" / "tables")
    with pytest.raises(FedkitError, match="cannot be written .*give another --results folder"):
        write_verdicts(tmp_path / "file", [told()], profile="mini")


def test_figures_as_png_and_svg(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1])
    path = save_figure(figure, tmp_path, "line")
    assert path.read_bytes()[:4] == b"\x89PNG" and "<svg" in path.with_suffix(".svg").read_text()


def test_equal_figures_are_equal_files(tmp_path):
    """Also as SVG, whose clip paths matplotlib names by chance unless it is told not to."""
    from matplotlib.figure import Figure

    files = []
    for folder in ("first", "second"):
        figure = Figure(figsize=(2, 1))
        figure.subplots().plot([0, 1])
        save_figure(figure, tmp_path / folder, "line")
        files.append({path.suffix: path.read_bytes() for path in (tmp_path / folder).iterdir()})
    assert files[0] == files[1] and set(files[0]) == {".png", ".svg"}
