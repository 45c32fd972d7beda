"""OpenFedLLM's sets: every rule with its count, the paper's splits, pairs drawn as published, held-out records."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_tools import build, session, test_records
from hypothesis import given, settings
from hypothesis import strategies as st
from openfed_tools import alpaca, folder, rows_of

from fedkit.analysis.summaries import label_shares, label_skew
from fedkit.common.errors import FedkitError
from fedkit.data.datasets.alpaca import ALPACA, MEDICAL
from fedkit.data.datasets.base import Dealt
from fedkit.data.datasets.built import Cut
from fedkit.data.datasets.domains import PARTS
from fedkit.data.datasets.fingpt import FINGPT
from fedkit.data.datasets.registry import DATASETS
from fedkit.data.place import Place
from fedkit.profiles import PROFILES, get_profile
from fedkit.report.paper import SETTINGS, TABLES

SHARED = Path(__file__).parents[3] / "shared" / "data"
MINI, SMOKE, PAPER = (get_profile(name) for name in ("mini", "smoke", "paper"))
needs_real_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data (../shared/data) is not here")
OPENFEDLLM = [name for name in DATASETS if not name.startswith("fed_") and name != "gsm8k"]
every = pytest.mark.parametrize("name", OPENFEDLLM)
SFT, PAIR = ["instruction", "response", "language"], ["instruction", "chosen", "rejected", "language"]


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
def test_what_a_dataset_reads_has_a_licence_and_a_place(name):
    sources = DATASETS[name].sources
    assert all(source.licence and source.description and source.files for source in sources)
    assert any(source.hub for source in sources)


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
        row, run = TABLES["openfedllm_datasets"].rows[name], SETTINGS[f"OpenFedLLM {script}"]
        assert counts.to_dict() == {what: row[what] for what in ("clients", "samples")}
        assert run.clients == row["clients"] and run.sampled == row.get("clients a round", run.sampled)
        spec = PAPER.dataset(name)
        assert (spec.n_clients or len(PARTS)) == run.clients and spec.train.clients_per_round == run.sampled
        assert (spec.train.lr_first, spec.train.lr_last, spec.train.rounds) == (run.lr_first, run.lr_last, run.rounds)
        assert spec.train.samples_per_round == run.batch_size * run.grad_accum * run.local_steps
        assert PAPER.model_of(name).lora.r == run.lora_r
        if spec.max_records_per_client:
            assert spec.max_records_per_client * run.clients == row["samples"]
    for profile in PROFILES.values():
        assert set(OPENFEDLLM) <= set(profile.datasets)


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
    assert built.dataset.clients == tuple(sorted(PARTS)) and built.dataset.sizes.tolist() == [500] * 4
    shares = label_shares(built.dataset, "domain")
    assert np.array_equal(shares.loc[list(PARTS), list(PARTS)].to_numpy(), np.eye(4))
    # Each client has its own label alone, a quarter of the whole: (|1 - 1/4| + 3 x 1/4) / 2.
    assert label_skew(built.dataset, "domain") == 0.75
    iid = build("domains", MINI, partition="iid").dataset
    assert label_skew(iid, "domain") < 0.1
    for domain, corpus in PARTS.items():
        own = {row["response"] for row in built.dataset.records(domain)}
        assert own <= {row["response"] for row in build(corpus.name, MINI).dataset.table.to_pylist()}


def test_drops_of_a_domain_are_its_own(tmp_path):
    for corpus in PARTS.values():
        folder(tmp_path, f"{corpus.name}/train.jsonl", [alpaca(i, input="it") for i in range(6)])
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


# --- held-out records


@pytest.mark.parametrize("name", [name for name in OPENFEDLLM if name != "domains"])
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
    located, records = FINGPT.tweets(session(MINI, SHARED).place)
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
        (lambda tmp: build("domains", MINI, n_clients=8), "its own 4 clients"),
        (lambda tmp: build("alpaca", MINI, part="all"), "unknown parameter of alpaca 'part'"),
        (lambda tmp: build("fingpt", PAPER, offline=True), "fingpt is not at hand and offline"),
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
CORPORA = [dataset for dataset in DATASETS.values() if isinstance(dataset, Dealt)]
FIELDS = st.sampled_from(["instruction", "input", "output", "completions", "chosen", "rejected", "source"])
TURNS = st.lists(st.sampled_from(["\n\nHuman:", "\n\nAssistant:", " a", "", "\ud800", "\n"]), max_size=8).map("".join)


@settings(max_examples=400, deadline=None)
@given(record=JSON | st.dictionaries(FIELDS, JSON | TURNS))
def test_no_record_is_too_odd(record):
    for corpus in CORPORA:
        row, owner = corpus.form.read(record)
        assert owner is None
        if isinstance(row, str):
            assert row in corpus.form.reasons
        else:
            assert row.pop("client_id") is None and list(row) == corpus.schema.names
            assert all(isinstance(text, str) and text.strip() and text.encode() for text in row.values())


def test_direct_use():
    assert len(MEDICAL.build(Place(embedded=True), Cut(n_clients=7), raw_records=70).dataset) == 7
    assert len(MEDICAL.build(Place(embedded=True), Cut(raw_records=70)).dataset) == 20  # where nobody says how many
    row = {"instruction": "do 0", "response": "done 0", "language": "en", "client_id": None}
    assert ALPACA.form.read(alpaca(0)) == (row, None)
