"""OpenFedLLM's sets: every rule with its count, the paper's splits, pairs drawn as published, held-out records."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedkit.builders import Cut, build, openfed, test_records
from fedkit.builders.openfed.domains import DOMAINS
from fedkit.builders.openfed.instructions import INSTRUCTION_SETS, alpaca_row
from fedkit.builders.openfed.pairs import HH_RLHF, ULTRAFEEDBACK, hh_row, ultrafeedback_row
from fedkit.errors import FedkitError
from fedkit.heterogeneity import label_shares, label_skew
from fedkit.paper import OPENFEDLLM_DATASETS, SETTINGS
from fedkit.profiles import PROFILES, get_profile
from fedkit.sources import SOURCES

SHARED = Path(__file__).parents[2] / "shared" / "data"
MINI, SMOKE, PAPER = (get_profile(name) for name in ("mini", "smoke", "paper"))
needs_real_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data (../shared/data) is not here")
every = pytest.mark.parametrize("name", openfed.BUILDERS)
SFT, PAIR = ["instruction", "response", "language"], ["instruction", "chosen", "rejected", "language"]


def folder(tmp_path: Path, name: str, rows: list) -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


def alpaca(i: int, **changes) -> dict:
    return {"instruction": f"do {i}", "input": "", "output": f"done {i}", **changes}


def rows_of(built) -> Counter:
    return Counter(tuple(row.values()) for row in built.dataset.table.to_pylist())


# --- all of them


@every
def test_the_embedded_sets_have_the_papers_clients(name):
    for profile in (SMOKE, MINI):
        built = build(name, profile)
        spec, published = profile.dataset(name), built.paper["clients"]
        assert len(built.dataset) == (published or 20) and built.located.kind == "embedded"
        assert built.drops.read == built.drops.kept + built.drops.dropped == spec.raw_records
        columns = PAIR if name in ("ultrafeedback", "hh_rlhf") else SFT
        assert built.dataset.table.column_names == [*columns, *(["domain"] if name == "domains" else [])]
        assert set(built.dataset.table["language"].to_pylist()) == {"en"}
        assert np.ptp(built.dataset.sizes) <= 1


@every
def test_another_seed_deals_the_same_records_anew(name):
    one, two = build(name, SMOKE), build(name, SMOKE, seed=1)
    assert rows_of(one) == rows_of(two)
    assert (one.dataset.fingerprint == two.dataset.fingerprint) == (name == "domains")
    assert build(name, SMOKE).dataset.fingerprint == one.dataset.fingerprint


@every
@pytest.mark.parametrize("partition", ["iid", "quantity_skew"])
def test_controls_share_out_the_very_same_records(name, partition):
    own, control = build(name, SMOKE), build(name, SMOKE, partition=partition)
    assert rows_of(own) == rows_of(control) and len(own.dataset) == len(control.dataset)


@every
def test_what_a_builder_reads_is_in_the_catalog(name):
    sources = openfed.BUILDERS[name].sources
    assert set(sources) <= set(SOURCES) and all(SOURCES[s].licence and SOURCES[s].description for s in sources)
    assert any(SOURCES[s].hub for s in sources)


def test_counts_are_those_of_the_papers_text_profile_and_scripts():
    scripts = {
        "alpaca_gpt4": "general",
        "fingpt": "finance",
        "domains": "domains",
        "ultrafeedback": "FedVA",
        "hh_rlhf": "FedVA",
    }
    for name, script in scripts.items():
        counts = build(name, SMOKE).counts().set_index("what")["paper"]
        row, run = OPENFEDLLM_DATASETS.rows[name], SETTINGS[f"OpenFedLLM {script}"]
        assert counts.to_dict() == {what: row[what] for what in ("clients", "samples")}
        assert run.clients == row["clients"] and run.sampled == row.get("clients a round", run.sampled)
        spec = PAPER.dataset(name)
        assert (spec.n_clients or len(DOMAINS)) == run.clients and spec.train.clients_per_round == run.sampled
        assert (spec.train.lr_first, spec.train.lr_last, spec.train.rounds) == (run.lr_first, run.lr_last, run.rounds)
        assert spec.train.samples_per_round == run.batch_size * run.grad_accum * run.local_steps
        assert PAPER.model_of(name).lora.r == run.lora_r
        if spec.max_records_per_client:
            assert spec.max_records_per_client * run.clients == row["samples"]
    for profile in PROFILES.values():
        assert set(openfed.BUILDERS) <= set(profile.datasets)


@pytest.mark.parametrize(
    ("name", "records", "sizes"), [("alpaca_gpt4", 20_300, (20, 1000)), ("fingpt", 10_070, (50, 200))]
)
def test_the_paper_profile_cuts_to_the_papers_samples(tmp_path, name, records, sizes):
    data = folder(tmp_path, f"{name}/train.jsonl", [alpaca(i, input="it") for i in range(records)])
    built = build(name, PAPER, data_dir=data, offline=True)
    clients, each = sizes
    assert built.dataset.sizes.tolist() == [each] * clients
    assert built.drops.rows == [(f"over the cap of {each} a client", records - clients * each, 0)]
    assert built.counts().set_index("what")["ours"].tolist() == [clients, clients * each]


# --- instruction sets


def test_input_is_joined_by_a_space(tmp_path):
    rows = [alpaca(0), alpaca(1, input="this"), alpaca(2, input=" \n"), alpaca(3, input=None), alpaca(4)]
    del rows[4]["input"]
    built = build("alpaca", SMOKE, data_dir=folder(tmp_path, "alpaca/train.jsonl", rows), n_clients=2)
    texts = {row["instruction"]: row["response"] for row in built.dataset.table.to_pylist()}
    assert texts == {"do 0": "done 0", "do 1 this": "done 1", "do 2": "done 2", "do 3": "done 3", "do 4": "done 4"}


def test_every_rule_of_alpaca_with_its_count(tmp_path):
    rows = [
        *(alpaca(i) for i in range(4)),
        "text",
        {"instruction": "a"},
        alpaca(5, output=5),
        alpaca(6, input=["x"]),
        alpaca(7, input=3, output=" "),  # its type before its emptiness
        alpaca(8, output="\t"),
        alpaca(9, instruction="\udc00"),
        alpaca(9, input="\ud800"),
    ]
    built = build("alpaca", SMOKE, data_dir=folder(tmp_path, "alpaca/train.jsonl", rows), n_clients=2)
    assert built.drops.rows == [
        ("not a record", 1, 0),
        ("missing 'output'", 1, 0),
        ("wrong type of 'output'", 1, 0),
        ("wrong type of 'input'", 2, 0),
        ("broken text in 'input'", 1, 0),
        ("empty 'output'", 1, 0),
        ("broken text in 'instruction'", 1, 0),
    ]
    assert built.dataset.n_records == 4


def test_mathinstruct_keeps_the_first_of_each_instruction(tmp_path):
    rows = [alpaca(i % 3, output=f"way {i}", source="data/CoT/x.json") for i in range(7)]
    built = build("mathinstruct", SMOKE, data_dir=folder(tmp_path, "mathinstruct/train.jsonl", rows), n_clients=2)
    assert built.drops.rows == [("repeated 'instruction'", 4, 0)]
    assert {row["response"] for row in built.dataset.table.to_pylist()} == {"way 0", "way 1", "way 2"}


def test_a_flashcard_asks_its_input(tmp_path):
    card = {"instruction": "Answer this question truthfully", "input": "What is it?", "output": "This."}
    rows = [card, {**card, "input": "And that?", "instruction": None}, {**card, "input": ""}]
    built = build("medical", SMOKE, data_dir=folder(tmp_path, "medical/train.jsonl", rows), n_clients=2)
    assert {row["instruction"] for row in built.dataset.table.to_pylist()} == {"What is it?", "And that?"}
    assert built.drops.rows == [("empty 'input'", 1, 0)]


def test_a_headline_needs_its_input(tmp_path):
    rows = [alpaca(0, input="up 3 %", output="positive"), alpaca(1), alpaca(2, input="down", output="negative")]
    built = build("fingpt", SMOKE, data_dir=folder(tmp_path, "fingpt/train.jsonl", rows), n_clients=2)
    assert {row["instruction"]: row["response"] for row in built.dataset.table.to_pylist()} == {
        "do 0 up 3 %": "positive",
        "do 2 down": "negative",
    }
    assert built.drops.rows == [("empty 'input'", 1, 0)]


# --- domains


def test_a_domain_is_a_client():
    built = build("domains", MINI)
    assert built.dataset.clients == tuple(sorted(DOMAINS)) and built.dataset.sizes.tolist() == [500] * 4
    shares = label_shares(built.dataset, "domain")
    assert np.array_equal(shares.loc[list(DOMAINS), list(DOMAINS)].to_numpy(), np.eye(4))
    # Each client has its own label alone, a quarter of the whole: (|1 - 1/4| + 3 x 1/4) / 2.
    assert label_skew(built.dataset, "domain") == 0.75
    iid = build("domains", MINI, partition="iid").dataset
    assert label_skew(iid, "domain") < 0.1
    for domain, corpus in DOMAINS.items():
        own = {row["response"] for row in built.dataset.records(domain)}
        assert own <= {row["response"] for row in build(corpus, MINI).dataset.table.to_pylist()}


def test_drops_of_a_domain_are_its_own(tmp_path):
    for corpus in DOMAINS.values():
        folder(tmp_path, f"{corpus}/train.jsonl", [alpaca(i, input="it") for i in range(6)])
    folder(tmp_path, "code_alpaca/train.jsonl", [alpaca(0), alpaca(1, output=""), alpaca(2, output=None)])
    profile = replace(MINI, datasets={**MINI.datasets, "domains": two_a_round("domains")})
    built = build("domains", profile, data_dir=tmp_path, minimum=2)
    assert built.located.kind == "local" and "code_alpaca/train.jsonl" in built.located.describe()
    assert built.dataset.clients == ("finance", "general", "math") and built.drops.read == 21
    assert built.drops.rows == [
        ("missing 'output'", 1, 0),
        ("empty 'output'", 1, 0),
        ("domain with fewer than 2 records", 1, 1),
    ]
    assert "CC BY-NC 4.0" in built.dataset.info["licence"]


def two_a_round(name: str):
    spec = MINI.dataset(name)
    return replace(spec, train=replace(spec.train, clients_per_round=2))


# --- UltraFeedback


def feedback(scores: list, i: int = 0) -> dict:
    answers = [{"response": f"answer {j}", "overall_score": score} for j, score in enumerate(scores)]
    return {"instruction": f"ask {i}", "completions": answers}


FEEDBACK = SOURCES["ultrafeedback"].fields


def test_the_best_is_chosen_and_another_at_random_rejected():
    drawn = Counter()
    for i in range(3000):
        row = ultrafeedback_row(feedback([5.0, 1, 8.5, 3.0], i), FEEDBACK)
        assert row["chosen"] == "answer 2" and row["instruction"] == f"ask {i}"
        drawn[row["rejected"]] += 1
    assert set(drawn) == {"answer 0", "answer 1", "answer 3"}
    # Each with a chance of 1/3: 1,000 of 3,000, standard deviation 26.
    assert all(abs(count - 1000) < 4 * 26 for count in drawn.values())


def test_the_draw_depends_on_seed_and_instruction_alone():
    rows = [ultrafeedback_row(feedback([1, 2, 3, 4], i), FEEDBACK, 0) for i in range(50)]
    assert rows == [ultrafeedback_row(feedback([1, 2, 3, 4], i), FEEDBACK, 0) for i in range(50)]
    assert rows != [ultrafeedback_row(feedback([1, 2, 3, 4], i), FEEDBACK, 1) for i in range(50)]
    one, two = (build("ultrafeedback", SMOKE, pair_seed=seed) for seed in (0, 1))
    chosen = [Counter(built.dataset.table["chosen"].to_pylist()) for built in (one, two)]
    assert chosen[0] == chosen[1] and rows_of(one) != rows_of(two)


def test_ties_scores_that_are_none_and_too_few_completions():
    assert ultrafeedback_row(feedback([4, 4, 4, 4]), FEEDBACK)["chosen"] == "answer 0"
    for bad in (None, "9", True, float("nan"), float("inf"), 10**400):
        assert ultrafeedback_row(feedback([bad, 1, 2]), FEEDBACK)["chosen"] == "answer 2"
        assert ultrafeedback_row(feedback([bad, 1]), FEEDBACK) == "fewer than two scored completions"
    broken = feedback([3, 2, 1])
    broken["completions"][0] = {"response": " ", "overall_score": 9}
    assert ultrafeedback_row(broken, FEEDBACK)["chosen"] == "answer 1"
    same = feedback([2, 1])
    same["completions"][1]["response"] = "answer 0 "
    assert ultrafeedback_row(same, FEEDBACK) == "chosen and rejected are the same"
    assert ultrafeedback_row({"instruction": "a", "completions": "b"}, FEEDBACK) == "wrong type of 'completions'"


# --- HH-RLHF


def dialogue(*turns: str) -> str:
    return "".join(f"\n\n{('Human', 'Assistant')[i % 2]}: {text}" for i, text in enumerate(turns))


HH = SOURCES["hh_rlhf"].fields


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
    row = hh_row({"chosen": chosen, "rejected": rejected}, HH)
    assert (row if isinstance(row, str) else tuple(row.values())[:3]) == wanted


def test_a_pair_gives_its_dialogues_back():
    from fedkit.mini.pairs import hh_records

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


# --- held-out records


@pytest.mark.parametrize("name", [name for name in openfed.TEST_SETS if name != "tfns"])
def test_held_out_records_are_of_the_training_sets_columns_and_not_in_it(name):
    located, records = test_records(name, MINI)
    assert located.kind == "embedded" and len(records) >= 50
    training = build(name, MINI).dataset.table
    assert list(records[0]) == training.column_names
    assert not {r["instruction"] for r in records} & set(training["instruction"].to_pylist())


def test_one_half_of_a_set_is_refused(tmp_path):
    folder(tmp_path, "medical/train.jsonl", [{"input": "q", "output": "a"}])
    with pytest.raises(FedkitError, match="one half of medical; put medical/data/test"):
        test_records("medical", MINI, data_dir=tmp_path)
    with pytest.raises(FedkitError, match="medical_test is read from local files only"):
        test_records("medical", PAPER, offline=True)


@needs_real_data
def test_tfns_in_the_form_of_fingpt(tmp_path):
    located, records = test_records("tfns", MINI, data_dir=SHARED)
    assert located.kind == "local" and len(records) == 2388
    with open(SHARED / "tfns/sent_valid.csv", encoding="utf-8", newline="") as file:
        labels = Counter(row["label"] for row in csv.DictReader(file))
    names = {"0": "negative", "1": "positive", "2": "neutral"}
    assert Counter(r["response"] for r in records) == {names[label]: n for label, n in labels.items()}
    assert test_records("fingpt", MINI, data_dir=SHARED)[0].source.name == "fingpt_test"  # both embedded
    # Real headlines are tested on TFNS, unless the folder has a test file of its own.
    headline = alpaca(0, input="up", output="positive")
    data = folder(tmp_path, "fingpt/train.jsonl", [headline])
    folder(tmp_path, "tfns/validation.jsonl", [{"text": "down", "label": 0}, {"text": "?", "label": 3}])
    located, records = test_records("fingpt", MINI, data_dir=data)
    assert located.source.name == "tfns" and [r["response"] for r in records] == ["negative"]
    folder(tmp_path, "fingpt/test.jsonl", [headline] * 2)
    assert test_records("fingpt", MINI, data_dir=data)[0].source.name == "fingpt_test"


# --- what cannot be built


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda tmp: build("alpaca", MINI, n_clients=None), "gives alpaca no n_clients"),
        (lambda tmp: build("domains", MINI, n_clients=8), "its own 4 clients"),
        (lambda tmp: build("alpaca", MINI, part="all"), "unknown parameter of alpaca 'part'"),
        (lambda tmp: build("fingpt", PAPER, offline=True), "fingpt is not at hand and offline"),
        (lambda tmp: build("domains", MINI, data_dir=folder(tmp, "alpaca/train.jsonl", [alpaca(0)])), "only some of"),
        (
            lambda tmp: build("medical", MINI, data_dir=folder(tmp, "medical/train.jsonl", [{}] * 2)),
            "2 missing 'input'",
        ),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, make, says):
    with pytest.raises(FedkitError, match=says) as caught:
        make(tmp_path)
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["response", "overall_score", "x"]), inner)
    ),
    max_leaves=8,
)
CORPORA = [*INSTRUCTION_SETS.values(), ULTRAFEEDBACK, HH_RLHF]
FIELDS = st.sampled_from(["instruction", "input", "output", "completions", "chosen", "rejected", "source"])
TURNS = st.lists(st.sampled_from(["\n\nHuman:", "\n\nAssistant:", " a", "", "\ud800", "\n"]), max_size=8).map("".join)


@settings(max_examples=400, deadline=None)
@given(record=JSON | st.dictionaries(FIELDS, JSON | TURNS))
def test_no_record_is_too_odd(record):
    for corpus in CORPORA:
        fields = SOURCES[corpus.name].fields
        row = corpus.row(record, fields)
        if isinstance(row, str):
            assert row in corpus.reasons(fields)
        else:
            assert list(row) == corpus.schema.names
            assert all(isinstance(text, str) and text.strip() and text.encode() for text in row.values())


def test_direct_use():
    assert len(INSTRUCTION_SETS["medical"](MINI, Cut(n_clients=7), raw_limit=70).dataset) == 7
    assert alpaca_row(alpaca(0), SOURCES["alpaca"].fields) == {
        "instruction": "do 0",
        "response": "done 0",
        "language": "en",
    }
