"""Preference pairs of OpenFedLLM: the best of four against another at random, and dialogues that part at their end."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from data_tools import build, test_records
from openfed_tools import folder, rows_of

from fedkit.common.errors import FedkitError
from fedkit.data.datasets.hh_rlhf import HH_RLHF
from fedkit.data.datasets.ultrafeedback import ULTRAFEEDBACK, ultrafeedback_row
from fedkit.profiles import get_profile

SHARED = Path(__file__).parents[3] / "shared" / "data"
MINI, SMOKE, PAPER = (get_profile(name) for name in ("mini", "smoke", "paper"))
needs_real_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data (../shared/data) is not here")


# --- UltraFeedback


def feedback(scores: list, i: int = 0) -> dict:
    answers = [{"response": f"answer {j}", "overall_score": score} for j, score in enumerate(scores)]
    return {"instruction": f"ask {i}", "completions": answers}


def read(record: object) -> dict | str:
    return ULTRAFEEDBACK.form.read(record)[0]


def test_the_best_is_chosen_and_another_at_random_rejected():
    drawn = Counter()
    for i in range(3000):
        row = read(feedback([5.0, 1, 8.5, 3.0], i))
        assert row["chosen"] == "answer 2" and row["instruction"] == f"ask {i}"
        drawn[row["rejected"]] += 1
    assert set(drawn) == {"answer 0", "answer 1", "answer 3"}
    # Each with a chance of 1/3: 1,000 of 3,000, standard deviation 26.
    assert all(abs(count - 1000) < 4 * 26 for count in drawn.values())


def test_the_draw_depends_on_seed_and_instruction_alone():
    rows = [ultrafeedback_row(feedback([1, 2, 3, 4], i), print, 0) for i in range(50)]
    assert rows == [ultrafeedback_row(feedback([1, 2, 3, 4], i), print, 0) for i in range(50)]
    assert rows != [ultrafeedback_row(feedback([1, 2, 3, 4], i), print, 1) for i in range(50)]
    one, two = (build("ultrafeedback", SMOKE, pair_seed=seed) for seed in (0, 1))
    chosen = [Counter(built.dataset.table["chosen"].to_pylist()) for built in (one, two)]
    assert chosen[0] == chosen[1] and rows_of(one) != rows_of(two)


def test_ties_scores_that_are_none_and_too_few_completions():
    assert read(feedback([4, 4, 4, 4]))["chosen"] == "answer 0"
    for bad in (None, "9", True, float("nan"), float("inf"), 10**400):
        assert read(feedback([bad, 1, 2]))["chosen"] == "answer 2"
        assert read(feedback([bad, 1])) == "fewer than two scored completions"
    broken = feedback([3, 2, 1])
    broken["completions"][0] = {"response": " ", "overall_score": 9}
    assert read(broken)["chosen"] == "answer 1"
    same = feedback([2, 1])
    same["completions"][1]["response"] = "answer 0 "
    assert read(same) == "chosen and rejected are the same"
    assert read({"instruction": "a", "completions": "b"}) == "wrong type of 'completions'"


# --- HH-RLHF


def dialogue(*turns: str) -> str:
    return "".join(f"\n\n{('Human', 'Assistant')[i % 2]}: {text}" for i, text in enumerate(turns))


@pytest.mark.parametrize(
    ("chosen", "rejected", "wanted"),
    [
        (dialogue("q", "yes"), dialogue("q", "no"), ("q", "yes", "no")),
        (dialogue("q", "a", "r", "yes"), dialogue("q", "a", "r", "no"), ("q\n\nAssistant: a\n\nHuman: r", "yes", "no")),
        (dialogue("q", "same start, yes"), dialogue("q", "same start, no"), ("q", "same start, yes", "same start, no")),
        (dialogue("q", "a\n\nb"), dialogue("q", "c"), ("q", "a\n\nb", "c")),
        (dialogue("q", "a", "r", "yes"), dialogue("q", "b", "r", "no"), "dialogues differ before the last answer"),
        (dialogue("q", "a", "r", "yes"), dialogue("q", "no"), "dialogues differ before the last answer"),
        (dialogue("q", "yes"), dialogue("q", " "), "empty last answer"),
        (dialogue(" ", "yes"), dialogue(" ", "no"), "empty question"),
        (dialogue("q", "yes"), dialogue("q", " yes"), "chosen and rejected are the same"),
        (dialogue("q"), dialogue("q", "no"), "not a dialogue that a human begins and the assistant ends"),
        ("plain text", dialogue("q", "no"), "not a dialogue that a human begins and the assistant ends"),
        (dialogue("q", "a", "r"), dialogue("q", "no"), "not a dialogue that a human begins and the assistant ends"),
        (f"so: {dialogue('q', 'a')}", dialogue("q", "b"), "not a dialogue that a human begins and the assistant ends"),
        ("", dialogue("q", "no"), "empty 'chosen'"),
        (None, dialogue("q", "no"), "missing 'chosen'"),
    ],
)
def test_two_dialogues_as_a_pair(chosen, rejected, wanted):
    row = HH_RLHF.form.read({"chosen": chosen, "rejected": rejected})[0]
    assert (row if isinstance(row, str) else tuple(row.values())[:3]) == wanted


def test_a_pair_gives_its_dialogues_back():
    from tools.world.pairs import hh_records

    raw = Counter((r["chosen"], r["rejected"]) for r in hh_records(200))
    built = build("hh_rlhf", SMOKE)
    for row in built.dataset.table.to_pylist():
        start = f"\n\nHuman: {row['instruction']}\n\nAssistant: "
        assert raw[start + row["chosen"], start + row["rejected"]]


@needs_real_data
def test_real_hh_rlhf():
    built = build("hh_rlhf", MINI, data_dir=SHARED, offline=True)
    assert built.located.kind == "local" and "this is the test split" in built.located.describe()
    assert built.drops.read == 2312 and built.dataset.n_records == built.drops.kept
    with gzip.open(SHARED / "hh_rlhf/harmless-base/test.jsonl.gz", "rt", encoding="utf-8") as file:
        raw = [json.loads(line) for line in file]
    halves = [[r[side].rpartition("\n\nAssistant:") for side in ("chosen", "rejected")] for r in raw]
    parted = sum(a[0] != b[0] for a, b in halves)
    silent = sum(a[0] == b[0] and not (a[2].strip() and b[2].strip()) for a, b in halves)
    assert dict((reason, n) for reason, n, _ in built.drops.rows) == {
        "dialogues differ before the last answer": parted,
        "empty last answer": silent,
    }
    assert rows_of(build("hh_rlhf", MINI, data_dir=SHARED, part="harmless")) == rows_of(built)
    with pytest.raises(FedkitError, match="only the test split of hh_rlhf"):
        test_records("hh_rlhf", MINI, data_dir=SHARED)
    assert build("fingpt", MINI, data_dir=SHARED).located.kind == "embedded"


def test_training_files_come_before_the_test_split(tmp_path):
    pair = {"chosen": dialogue("q", "yes"), "rejected": dialogue("q", "no")}
    for part, rows in (("helpful-base/train", 3), ("harmless-base/test", 4), ("red-team-attempts/train", 9)):
        folder(tmp_path, f"hh_rlhf/{part}.jsonl", [pair] * rows)
    built = build("hh_rlhf", MINI, data_dir=tmp_path, n_clients=2)
    assert built.drops.read == 3 and "test split" not in built.located.describe()
    assert len(test_records("hh_rlhf", MINI, data_dir=tmp_path)[1]) == 4
    with pytest.raises(FedkitError, match="unknown part of hh_rlhf 'both'; known: all, harmless, helpful"):
        build("hh_rlhf", MINI, part="both")


def test_a_part_of_hh_is_a_folder_of_the_hub(monkeypatch):
    datasets = pytest.importorskip("datasets")
    pair = {"chosen": dialogue("q", "yes"), "rejected": dialogue("q", "no")}
    calls = []

    def fake(path, config, *, split, streaming, **part):
        calls.append((path, config, split, part))
        return iter([pair] * 12)

    monkeypatch.setattr(datasets, "load_dataset", fake)
    for part in ("all", "harmless", "helpful"):
        assert build("hh_rlhf", PAPER, part=part).dataset.n_records == 12
    assert calls == [
        ("Anthropic/hh-rlhf", None, "train", {}),
        ("Anthropic/hh-rlhf", None, "train", {"data_dir": "harmless-base"}),
        ("Anthropic/hh-rlhf", None, "train", {"data_dir": "helpful-base"}),
    ]
