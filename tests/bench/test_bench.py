"""Every benchmark runs with a tiny setting and yields its JSON; the README's part is made from saved files alone."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

from fedkit.evaluation import RIGHT
from fedkit.evaluation.yardsticks import YARDSTICKS

BENCHMARKS = Path(__file__).resolve().parents[2] / "bench"
RECORD = {"benchmark", "rows", "settings", "targets", "notes", "data", "machine", "versions", "commit", "measured"}


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a script as its own program does; its exit code and what it printed."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def run(name, *words):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")
        return end.value.code or 0, capsys.readouterr()

    return run


@pytest.fixture
def record(call):
    """The JSON of a run that ended well: the last line of what it printed, below the table."""

    def run(name, *words):
        code, printed = call(name, *words)
        assert code == 0, printed.err
        lines = printed.out.strip().splitlines()
        result = json.loads(lines[-1])
        assert result["benchmark"] == name and result.keys() >= RECORD and result["rows"]
        assert all(key in printed.out for key in result["rows"][0])  # the table's header
        assert {"cpu", "cores", "load_before", "load_after"} <= result["machine"].keys()
        return result

    return run


def write_scores(folder, fedavg, local, base=2.0):
    """A seeds table as notebook 41 writes it: echo, FedAvg, two local rows and the base (one seed) by seed.

    Right facts are ten times the average; FedAvg has 9 in each language, and a local row its average in its own.
    """
    rows = [("echo", "Average", 0, 1.0), ("constant", "Average", 0, 1.2), ("Base Model", "Average", 0, base)]
    rows += [("FedAvg", "Average", s, v) for s, v in enumerate(fedavg)]
    rows += [(f"Local Training ({k})", "Average", s, v + d) for k, d in (("ar", -1), ("en", 1)) for s, v in local]
    rows += [(row, RIGHT, s, 10 * value) for row, metric, s, value in rows if row not in YARDSTICKS]
    rows += [("FedAvg", k, s, 9.0) for k in ("ar", "en") for s in range(len(fedavg))]
    rows += [(f"Local Training ({k})", k, s, v + d) for k, d in (("ar", -1), ("en", 1)) for s, v in local]
    frame = pd.DataFrame(rows, columns=["row", "metric", "seed", "value"])
    frame = frame.assign(table="41_table2_fed_aya", unit="score 1-10", judge="none")
    (folder / "tables").mkdir(parents=True)
    frame.to_csv(folder / "tables" / "41_table2_fed_aya_seeds.csv", index=False)


def test_claims(record):
    """The crossed interval covers more than the seeds' own where questions differ: `covers` of its second row."""
    result = record("claims", "--tables", 200, "--questions", 30)
    row = result["rows"][1]
    assert (row["seeds"], row["sd of questions"]) == (3, 1.0)
    assert float(row["crossed: covers"]) > float(row["seeds: covers"])


def test_overhead(record):
    """The bare loop ends with the adapter that the simulation's round ends with, so both did the same steps."""
    result = record("overhead", "--pairs", 1, "--clients", 2, "--steps", 2, "--batch", 2)
    (pair,) = result["data"]["pairs"]
    assert len(pair["seconds"]) == 5 and all(len(s) == 1 and s[0] > 0 for s in pair["seconds"].values())
    apart = pair["largest_difference"]
    assert apart["bare loop, answer-only loss"] < 1e-6 and apart["bare loop, transformers' loss"] < 1e-4
    (target,) = result["targets"]
    assert target["bound"] == 1.1 and target["met"] == (target["value"] <= 1.1)


def test_draws(record):
    """A row for each way of each draw; the promise is about a million clients and stays open below."""
    result = record("draws", "--clients", 50, 2_000, "--entries", 1_000, "--turns", 2)
    draws, noise = ["before", "by coins", "by number"], ["before", "from the key"]
    assert [row["way"] for row in result["rows"]] == draws * 2 + noise
    assert all(len(times) == 2 for took in result["data"].values() for times in took.values())
    assert result["targets"][0]["met"] is None


def test_memory(record):
    result = record("memory", "--clients", 6, "--rounds", 1, "--algorithms", "scaffold")
    (point,) = result["data"]["points"]
    assert point["clients"] == 6 and point["trained"] == 4
    assert 100 < point["loaded_mb"] <= point["peak_mb"] < 4000
    assert [t["met"] for t in result["targets"]] == [None, None]  # one number of clients has no spread


def test_data(record, tmp_path):
    result = record("data", "--records", 1200, "--clients", 30, "--slices", 5, "--data-dir", tmp_path)
    assert {"embedded_seconds", "fed_aya_seconds", "save_seconds", "load_seconds", "slice_seconds"} <= result[
        "data"
    ].keys()
    assert "gsm8k_seconds" not in result["data"] and "gsm8k" in result["notes"][0]
    assert result["targets"][0]["met"] is None  # fewer records than the target speaks of


def test_generation(record):
    result = record("generation", "--prompts", 3, "--new-tokens", 2, "--threads", 1)
    assert result["data"]["results"][0]["equal_answers"] == 3
    assert result["targets"][0]["bound"] == 8


def test_learning_differences_are_paired_by_seed(record, tmp_path):
    """Gains of 1, 2, 3 over the local mean: mean 2, half width t(0.975, 2) / sqrt(3) = 4.30265 / 1.73205."""
    write_scores(tmp_path, [4.0, 4.5, 5.0], [(0, 3.0), (1, 2.5), (2, 2.0)])
    result = record("learning", "--results", tmp_path)
    local, base = result["data"]["local"], result["data"]["base"]
    assert local["by_seed"] == pytest.approx({"0": 1.0, "1": 2.0, "2": 3.0})
    assert (local["mean"], local["high"] - local["mean"]) == pytest.approx((2.0, 4.30265 / 3**0.5), rel=1e-5)
    assert base["mean"] == pytest.approx(2.5) and all(t["met"] for t in result["targets"])
    assert result["data"]["own"]["by_seed"] == pytest.approx({"0": 6.0, "1": 6.5, "2": 7.0})  # 9 less 3.0, 2.5, 2.0
    assert result["data"]["rank"] == {"spearman": pytest.approx(1.0), "models": 10}


def test_learning_says_where_a_target_is_missed_and_where_it_is_open(record, tmp_path):
    write_scores(tmp_path / "poor", [3.0, 3.1, 3.2], [(0, 3.0), (1, 3.0), (2, 3.0)])
    assert [t["met"] for t in record("learning", "--results", tmp_path / "poor")["targets"]][:2] == [False, False]
    write_scores(tmp_path / "short", [9.0], [(0, 3.0)])
    assert [t["met"] for t in record("learning", "--results", tmp_path / "short")["targets"]][:3] == [None] * 3


def test_worlds(record, tmp_path):
    """Another world's questions and records, measured as notebook 41 measures its own; smoke proves no target."""
    result = record("worlds", "--profile", "smoke", "--worlds", 1, "--results", tmp_path)
    numbers = result["data"]["1"]
    assert numbers["echo"] == 1.0 and numbers["fedavg"] >= 1.0 and [t["met"] for t in result["targets"]] == [None, None]
    assert (tmp_path / "world-1" / "runs").is_dir() and result["rows"][0]["world"] == 1


def test_learning_without_a_run_names_the_remedy(call, tmp_path):
    code, printed = call("learning", "--results", tmp_path)
    assert code == 2 and not printed.out
    assert len(printed.err.splitlines()) == 1 and "make reproduce" in printed.err


def test_readme_is_made_from_saved_files(call, record, tmp_path):
    write_scores(tmp_path / "run", [4.0, 4.5, 5.0], [(0, 3.0), (1, 2.5), (2, 2.0)])
    record("learning", "--results", tmp_path / "run", "--save", tmp_path / "saved")
    readme = tmp_path / "README.md"
    readme.write_text((BENCHMARKS / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    words = ("--results", tmp_path / "saved", "--readme", readme)
    assert call("readme", *words, "--check")[0] == 1
    assert call("readme", *words)[0] == 0
    text = readme.read_text(encoding="utf-8")
    assert "| FedAvg less the mean of the local runs | +2.000 |" in text and "- **met**" in text
    assert "### memory\n\nNot measured yet" in text
    assert call("readme", *words, "--check")[0] == 0  # a second time changes nothing


def test_the_readme_is_that_of_the_saved_files(call):
    assert call("readme", "--check")[0] == 0, "run `python bench/readme.py`"


def test_a_broken_record_is_named(call, tmp_path):
    (tmp_path / "data.json").write_text("{}")
    code, printed = call("readme", "--results", tmp_path)
    assert code == 2 and "data.json" in printed.err


def test_a_target_is_met_at_its_bound(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from _common import Target

    assert Target("a", 1.1, "at most", 1.1).met and Target("a", 8.0, "at least", 8.0).met
    assert not Target("a", 1.2, "at most", 1.1).met and not Target("a", 7.9, "at least", 8.0).met


def test_scale(record):
    """Every dataset is built, and every raw vote of the large file is read; the share kept follows from the block."""
    from fedkit.data.datasets.registry import DATASETS

    words = ("--records", 3000, "--voters", 100, "--profile", "smoke", "--clients", 30, 300)
    result = record("scale", *words)
    assert {row["build"] for row in result["rows"]} == {*DATASETS, "arena votes, Parquet", "a client's turn"}
    assert result["data"]["300 clients"].keys() == result["data"]["30 clients"].keys() >= {"commit", "size"}
    large = result["data"]["large"]
    assert large["read"] == 3000 and 0 < large["kept"] < 3000 and 0 < large["clients"] <= 100
    assert [target["met"] is None for target in result["targets"]] == [False, True, False]


def test_judge(record, tmp_path):
    result = record("judge", "--items", 20, "--data-dir", tmp_path)
    assert [t["met"] for t in result["targets"]] == [True] * 3 and "not measured" in result["notes"][0]


def test_real(record, tmp_path):
    """The base and a FedAvg run that is found; an untouched adapter answers as the base does. No answer is a chance."""
    from fedkit.profiles import get_profile
    from fedkit.training.models import adapter_state, load_model, save_state

    data, run = tmp_path / "data", tmp_path / "mini" / "runs" / "one"
    (data / "tfns").mkdir(parents=True), run.mkdir(parents=True)
    lines = [f"Shares of {n} rise,{n % 3}" for n in range(9)]
    (data / "tfns" / "sent_valid.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    config = {"algorithm": "fedavg", "dataset": "fed_chatbot_it", "seed": 0, "train": {"template": "alpaca"}}
    (run / "config.json").write_text(json.dumps(config))
    save_state(adapter_state(load_model(get_profile("mini").model).model), run / "adapter.safetensors")
    words = ("--data-dir", data, "--results", tmp_path / "mini", "--only", "tfns", "--limit", 6)
    result = record("real", *words)
    rows = result["rows"]
    assert [(r["model"], r["benchmark"]) for r in rows] == [
        (who, f"TFNS, {part}") for who in ("base", "FedAvg") for part in ("acc", "f1")
    ]
    assert all(r["items"] == 6 and "6 of 9 items" in r["note"] and r["chance"] and r["95 % interval"] for r in rows)
    assert [r["score"] for r in rows[:2]] == [r["score"] for r in rows[2:]]
    assert {r["verdict"] for r in rows} <= {"near chance", "below chance", "above chance"}
    assert result["data"]["base, tfns"]["acc"]["count"] == 6 and result["targets"][0]["met"]


def write_alignment(folder, accuracies, metrics=("accuracy", "low", "high", "margin", "pairs", "skipped")):
    """A seeds table as notebook 38 writes it; every interval 0.04 to both sides."""
    rows = []
    for seed, share in enumerate(accuracies):
        line = {
            "accuracy": share,
            "low": share - 0.04,
            "high": share + 0.04,
            "margin": 0.2,
            "pairs": 300,
            "skipped": 90,
        }
        rows += [("fedavg", m, seed, line[m]) for m in metrics]
        rows += [("fedavg", "shorter", seed, 0.56), ("fedavg", "longer", seed, 0.44)]
    frame = pd.DataFrame(rows, columns=["row", "metric", "seed", "value"])
    frame = frame.assign(table="38_hh_rlhf", unit="held-out pairs; margin in nats; local pairs", judge="none")
    (folder / "tables").mkdir(parents=True)
    frame.to_csv(folder / "tables" / "38_hh_rlhf_seeds.csv", index=False)


def test_alignment_has_two_intervals_and_two_length_rules(record, tmp_path):
    """0.60, 0.62, 0.64: mean 0.62, half width t(0.975, 2) 0.02 / sqrt(3); the lower ends are 0.56, 0.58 and 0.60."""
    write_alignment(tmp_path / "run", [0.60, 0.62, 0.64])
    result = record("alignment", "--results", tmp_path / "run")
    seeds, over = result["targets"]
    assert seeds["value"] == pytest.approx(0.56) and seeds["met"]
    assert over["value"] == pytest.approx(0.62 - 4.30265 * 0.02 / 3**0.5, abs=1e-4) and over["met"]
    assert [row["accuracy"] for row in result["rows"]] == ["0.600", "0.620", "0.640", "0.620", "0.560", "0.440"]
    assert result["notes"][0].startswith("Scored: local pairs,")
    assert result["notes"][1] == "The interval of 2 of 3 seeds lies above the better length rule (0.560)."


def test_alignment_says_where_a_target_is_missed_open_or_without_its_table(call, record, tmp_path):
    write_alignment(tmp_path / "poor", [0.50, 0.51, 0.52])
    assert [t["met"] for t in record("alignment", "--results", tmp_path / "poor")["targets"]] == [False, False]
    write_alignment(tmp_path / "short", [0.7])
    assert [t["met"] for t in record("alignment", "--results", tmp_path / "short")["targets"]] == [True, None]
    write_alignment(tmp_path / "old", [0.7], metrics=("accuracy", "margin", "pairs", "skipped"))
    for folder, told in (("old", "metric low is missing"), ("none", "is not there")):
        code, printed = call("alignment", "--results", tmp_path / folder)
        assert code == 2 and told in printed.err and "reproduce.py --only 38" in printed.err


def test_dpo_counts_what_the_reference_scored(record):
    """Whoever takes part in every round has read its pairs before; without keeping, all that is drawn is scored."""
    result = record("dpo", "--rounds", 2, "--steps", 1, "--clients", 2, "--turns", 1, "--profile", "smoke")
    (_, all_rounds) = result["data"].values()
    kept, again = (all_rounds["scored"][way] for way in ("kept", "computed again"))
    assert 0 < kept < again <= all_rounds["drawn"] == 2 * 2 * 4
    for case in result["data"].values():
        assert case["scored"]["kept"] <= case["scored"]["computed again"]
        assert all(len(times) == 1 and times[0] > 0 for times in case["seconds"].values())
    (promise,) = result["targets"]  # of the second case alone
    assert promise["bound"] == 1.0 and promise["what"].startswith("2 clients, all in every round")


def test_algorithms(record):
    """Local training stands beside FedAvg of one client; a bound is judged by the interval's upper end.

    SCAFFOLD sends its variates beside the adapter: twice the bytes.
    """
    words = ("--turns", 2, "--clients", 2, "--steps", 1, "--batch", 2)
    result = record("algorithms", *words, "--algorithms", "local", "scaffold", "published")
    together, alone = result["data"]["parts"]
    assert (list(together["seconds"]), together["clients"]) == (["fedavg", "scaffold", "published"], 2)
    assert (list(alone["seconds"]), alone["clients"]) == (["fedavg", "local"], 1)
    assert all(len(s) == 2 for part in result["data"]["parts"] for s in part["seconds"].values())
    assert alone["bytes_up_down"]["local"] == alone["bytes_up_down"]["fedavg"]
    assert together["bytes_up_down"]["scaffold"][0] / together["bytes_up_down"]["fedavg"][0] > 1.9
    assert sorted(t["bound"] for t in result["targets"]) == [1.15, 1.15, 1.3]
    for target, row in zip(result["targets"], (r for r in result["rows"] if r["over fedavg"] != "1"), strict=True):
        high = float(row["over fedavg"].rstrip("]").split(", ")[1])
        assert target["value"] == pytest.approx(high, abs=1e-3) and target["met"] == (
            target["value"] <= target["bound"]
        )
    once = record("algorithms", *words[2:], "--turns", 1, "--algorithms", "fedprox")
    assert {t["met"] for t in once["targets"]} == {None}  # one turn has no interval
