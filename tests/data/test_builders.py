"""Builders: every drop counted under its rule, the published rule applied, and test questions never trained on."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from data_tools import build, question_source, questions, test_records

from fedkit.common.errors import FedkitError
from fedkit.data.datasets.built import Cut, DropReport
from fedkit.data.datasets.fed_aya import FED_AYA, LANGUAGES, two_letter
from fedkit.data.datasets.questions import Question
from fedkit.data.datasets.registry import DATASETS, SOURCES
from fedkit.data.federated import FederatedDataset
from fedkit.data.place import Place
from fedkit.data.rules import fault, reasons
from fedkit.profiles import get_profile

SHARED = Path(__file__).parents[3] / "shared" / "data"
MINI, SMOKE, PAPER = (get_profile(name) for name in ("mini", "smoke", "paper"))
needs_real_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data (../shared/data) is not here")


def aya(user: str, i: int = 0, language: str = "English", **changes) -> dict:
    code = "zho" if "Chinese" in language else "eng"
    record = {"inputs": f"ask {user} {i}", "targets": f"say {i}", "language": language, "language_code": code}
    return {**record, "annotation_type": "original-annotations", "user_id": user, **changes}


def people(sizes: dict[str, int], language: str = "English") -> list[dict]:
    return [aya(user, i, language) for user, n in sizes.items() for i in range(n)]


def folder(tmp_path: Path, rows: list, name: str = "aya/train.jsonl") -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


def two_a_round(profile, name="fed_aya", **spec):
    """The profile with rounds of two clients, so that few clients are enough."""
    own = profile.dataset(name)
    changed = replace(own, train=replace(own.train, clients_per_round=2), **spec)
    return replace(profile, datasets=MappingProxyType({**profile.datasets, name: changed}))


def texts(dataset: FederatedDataset) -> Counter:
    return Counter((row["instruction"], row["response"]) for row in dataset.table.to_pylist())


# --- Fed-Aya


def test_every_rule_of_fed_aya_with_its_count(tmp_path):
    rows = [
        *people({"big": 6, "also": 5}),
        *people({"small": 2, "tiny": 1}, "French"),
        *people({"taipei": 6}, "Traditional Chinese"),  # shares language_code zho with Simplified Chinese
        aya("berlin", 0, "German", targets=" "),  # another language first, blank second
        ["not", "a", "record"],
        {key: value for key, value in aya("big").items() if key != "targets"},
        aya("big", targets=None),
        aya("big", inputs=7),
        aya("big", inputs="\n"),
        aya("blank", targets=""),
        aya("big", targets="\ud800"),
        aya("", 0),
        aya("big", inputs=" ask big 0 "),
    ]
    built = build(
        "fed_aya", two_a_round(MINI), data_dir=folder(tmp_path, rows), minimum=4, excluded=["ask big 0", "ask also 1"]
    )
    assert built.drops.rows == [
        ("not a record", 1, 0),
        ("missing 'targets'", 2, 0),
        ("wrong type of 'inputs'", 1, 0),
        ("other language", 7, 2),
        ("empty 'inputs'", 1, 0),
        ("empty 'targets'", 1, 1),
        ("empty 'user_id'", 1, 0),
        ("broken text in 'targets'", 1, 0),
        ("held out as a test question", 3, 0),
        ("annotator with fewer than 4", 3, 2),
    ]
    assert built.dataset.clients == ("also", "big") and built.dataset.sizes.tolist() == [4, 5]


def test_drop_report_adds_up(tmp_path):
    built = build("fed_aya", MINI)
    frame = built.drops.frame()
    assert frame["reason"].iloc[0] == "read" and frame["reason"].iloc[-1] == "kept"
    for column in ("records", "clients"):
        assert frame[column].iloc[0] == frame[column].iloc[1:].sum()
    assert built.drops.read == 4000 == built.drops.kept + built.drops.dropped
    assert built.dataset.info["kept"] == built.dataset.n_records == built.drops.kept
    assert sum(built.dataset.info["dropped"].values()) == built.drops.dropped


def test_report_refuses_to_lose_a_record():
    report = DropReport()
    list(report.reading(range(3)))
    report.add("gone")
    with pytest.raises(RuntimeError, match="3 records read, but 1 kept and 1 dropped"):
        report.keep(1)


@pytest.mark.parametrize(("profile", "samples"), [(MINI, 3000), (SMOKE, 900)])
def test_the_embedded_world_leaves_the_papers_38_clients(profile, samples):
    built = build("fed_aya", profile)
    assert len(built.dataset) == 38 and built.dataset.n_records > samples
    assert built.dataset.sizes.min() >= profile.dataset("fed_aya").minimum
    assert set(built.dataset.table["language"].to_pylist()) == set(LANGUAGES.values())
    assert built.dataset.table.column_names == ["instruction", "response", "language"]
    assert built.located.kind == "embedded"
    counts = built.counts()
    assert counts["ours"].tolist() == [38, built.dataset.n_records] and counts["paper"].tolist() == [38, 25513]


def test_the_published_counts_are_those_of_the_papers_table():
    table = pytest.importorskip("fedkit.report.paper").TABLES["table1_datasets"]
    counts = build("fed_aya", SMOKE).counts().set_index("what")["paper"]
    assert counts.to_dict() == {what: table.value("Fed-Aya", what) for what in ("clients", "samples")}


def test_a_client_is_its_annotator(tmp_path):
    rows = people({"ann": 3, "bob": 2, "cy": 1})
    rows = [rows[i] for i in (5, 0, 3, 1, 4, 2)]
    built = build("fed_aya", two_a_round(MINI), data_dir=folder(tmp_path, rows), minimum=2)
    assert built.dataset.clients == ("ann", "bob")
    for user in ("ann", "bob"):
        wanted = [
            {"instruction": r["inputs"], "response": r["targets"], "language": "en"}
            for r in rows
            if r["user_id"] == user
        ]
        assert built.dataset.records(user) == wanted


@pytest.mark.parametrize("partition", ["iid", "dirichlet", "quantity_skew", "by_language"])
def test_controls_share_out_the_very_same_records(partition):
    own = build("fed_aya", SMOKE, max_records_per_client=30).dataset
    control = build("fed_aya", SMOKE, max_records_per_client=30, partition=partition, alpha=0.3).dataset
    assert texts(control) == texts(own)
    assert len(control) == (8 if partition == "by_language" else 38)
    again = build("fed_aya", SMOKE, max_records_per_client=30, partition=partition, alpha=0.3).dataset
    assert control.fingerprint == again.fingerprint
    if partition == "by_language":
        return
    other = build("fed_aya", SMOKE, max_records_per_client=30, partition=partition, alpha=0.3, seed=1).dataset
    assert control.fingerprint != other.fingerprint
    assert len(build("fed_aya", SMOKE, partition=partition, n_clients=5).dataset) == 5


def test_the_cap_keeps_clients_and_counts_what_it_took():
    full, cut = (build("fed_aya", MINI, max_records_per_client=cap) for cap in (None, 40))
    assert cut.dataset.clients == full.dataset.clients
    assert cut.dataset.sizes.tolist() == [min(n, 40) for n in full.dataset.sizes]
    assert not texts(cut.dataset) - texts(full.dataset)
    taken = full.dataset.n_records - cut.dataset.n_records
    assert cut.drops.rows[-1] == ("over the cap of 40 a client", taken, 0)


def test_the_cap_keeps_the_order(tmp_path):
    data = folder(tmp_path, people({"ann": 30, "bob": 30}))
    built = build("fed_aya", two_a_round(MINI), data_dir=data, max_records_per_client=9)
    places = [int(row["instruction"].split()[-1]) for row in built.dataset.records("ann")]
    assert places == sorted(set(places)) and len(places) == 9 and places != list(range(9))


def test_fedllm_benchs_release_is_taken_as_it_is(tmp_path):
    release = {f"user{i}": [{"instruction": f"q{i}{j}", "response": "a"} for j in range(3)] for i in range(4)}
    release["user0"].append({"instruction": "q", "response": ""})
    path = tmp_path / "Fed-Aya" / "aya_38c_25k.json"
    path.parent.mkdir()
    path.write_text(json.dumps(release))
    built = build("fed_aya", MINI, data_dir=tmp_path, minimum=3)
    assert built.dataset.clients == ("user0", "user1", "user2", "user3") and built.dataset.n_records == 12
    assert str(path) in built.located.describe()
    assert built.drops.rows == [("empty 'response'", 1, 0)]


def test_export_and_import_of_a_built_dataset(tmp_path):
    dataset = build("fed_aya", SMOKE).dataset
    assert FederatedDataset.import_json(dataset.export_json(tmp_path / "x.json.tmp.json")).fingerprint == (
        dataset.fingerprint
    )


def test_language_names():
    assert two_letter("Standard_Arabic") == two_letter("Standard Arabic") == "ar"
    assert two_letter("Traditional Chinese") is None and two_letter("Egyptian Arabic") is None


# --- GSM8K


def test_gsm8k_is_dealt_evenly():
    built = build("gsm8k", MINI)
    assert len(built.dataset) == 20 and built.dataset.n_records == 1000
    assert set(built.dataset.sizes.tolist()) == {50}
    assert set(built.dataset.table["language"].to_pylist()) == {"en"}
    assert build("gsm8k", MINI, seed=1).dataset.fingerprint != built.dataset.fingerprint
    assert texts(build("gsm8k", MINI, seed=1).dataset) == texts(built.dataset)
    assert build("gsm8k", MINI, n_clients=7, max_records_per_client=9).dataset.sizes.tolist() == [9] * 7


@needs_real_data
def test_real_gsm8k():
    built = build("gsm8k", MINI, data_dir=SHARED, offline=True)
    assert built.located.kind == "local" and built.drops.dropped == 0
    assert len(built.dataset) == 20 and set(built.dataset.sizes.tolist()) == {373, 374}
    raw = [json.loads(line) for line in (SHARED / "gsm8k/train.jsonl").read_text(encoding="utf-8").splitlines()]
    assert texts(built.dataset) == Counter((row["question"], row["answer"]) for row in raw)
    assert built.counts().set_index("what").loc["samples"].tolist() == [7473, 7473]
    located, records = test_records("gsm8k", MINI, data_dir=SHARED)
    assert located.kind == "local" and len(records) == 1319
    assert list(records[0]) == ["instruction", "response", "language"]
    assert len(test_records("gsm8k", MINI, data_dir=SHARED, limit=3)[1]) == 3


def test_gsm8k_test_set_is_of_the_training_sets_kind(tmp_path):
    assert test_records("gsm8k", MINI)[0].kind == "embedded"
    folder(tmp_path, [{"question": "q", "answer": "a"}], "gsm8k/train.jsonl")
    with pytest.raises(FedkitError, match="one half of gsm8k; put gsm8k/test.jsonl"):
        test_records("gsm8k", MINI, data_dir=tmp_path)
    (tmp_path / "gsm8k/train.jsonl").rename(tmp_path / "gsm8k/test.jsonl")
    located, records = test_records("gsm8k", MINI, data_dir=tmp_path)  # the training set is embedded, so both are
    assert located.kind == "embedded" and len(records) > 1 and "holds gsm8k/test.jsonl without" in located.describe()


# --- what cannot be built


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: build("fed_ayaa", MINI), "unknown dataset 'fed_ayaa'; known: .*fed_aya, .*gsm8k"),
        (lambda: build("fed_aya", MINI, partition="random"), "unknown partition 'random'; known: by_language"),
        (lambda: build("fed_aya", MINI, minimun=3), "unknown parameter of fed_aya 'minimun'"),
        (lambda: build("gsm8k", MINI, excluded=()), "unknown parameter of gsm8k 'excluded'"),
        (lambda: build("fed_aya", PAPER, offline=True), "aya is not at hand and offline"),
        (lambda: build("fed_aya", MINI, data_dir="nowhere"), "--data-dir .*nowhere: it does not exist"),
        (lambda: build("fed_aya", MINI, minimum=10**6), "no client has the 1000000 records"),
        (lambda: build("fed_aya", MINI, minimum=400), "a round of profile mini samples 4"),
        (lambda: build("fed_aya", MINI, n_clients=9), "partition='iid'"),
        (lambda: build("fed_aya", MINI, n_clients=9999, partition="iid"), "do not make 9999 clients"),
        (lambda: build("gsm8k", MINI, n_clients=1001), "1000 records do not make 1001 clients"),
        (lambda: build("gsm8k", MINI, minimum=51), "at least 51"),
        (lambda: build("fed_aya", MINI, max_records_per_client=0), "must be at least 1"),
        (lambda: test_records("fed_aya", MINI), "fed_aya has no test records; take its Ref questions"),
        (lambda: questions("gsm8k", MINI, per_language=1), "unknown dataset with Ref questions"),
        (lambda: questions("fed_aya", MINI, per_language=0), "at least 1"),
    ],
)
def test_a_mistake_is_one_sentence(make, says):
    with pytest.raises(FedkitError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "it is empty"),
        ([{"prompt": "a"}] * 3, r"all 3 were dropped: 3 missing 'question'.*needs the fields question \(str\)"),
        ([{"question": 1, "answer": "a"}], "1 wrong type of 'question'"),
        ([{"question": "q", "answer": " "}], "1 empty 'answer'"),
        ([1, [2], "three"], "3 not a record"),
    ],
)
def test_a_source_with_nothing_usable_names_file_field_and_remedy(tmp_path, rows, says):
    data = folder(tmp_path, rows, "gsm8k/train.jsonl")
    with pytest.raises(FedkitError, match=says) as caught:
        build("gsm8k", MINI, data_dir=data)
    assert "gsm8k/train.jsonl" in str(caught.value) and "check that" in str(caught.value)


def test_every_fault_is_among_the_reasons():
    fields = SOURCES["gsm8k"].fields
    good = {"question": "q", "answer": "a"}
    bad = [3, {}, {**good, "answer": 1}, {**good, "question": ""}, {**good, "answer": "\udfff"}]
    found = [fault(record, fields) for record in bad]
    assert None not in found and len(set(found)) == 5 and set(found) <= set(reasons(fields))
    assert fault(good, fields) is None


# --- questions


def test_embedded_questions():
    found = questions("fed_aya", MINI)
    assert Counter(q.language for q in found) == dict.fromkeys(LANGUAGES.values(), 20)
    assert len({q.id for q in found}) == 160 and all(isinstance(q, Question) and q.reference for q in found)
    assert len(questions("fed_aya", SMOKE)) == 16
    assert question_source("fed_aya", MINI).kind == "embedded"


def test_embedded_questions_are_not_trained_on():
    asked = {q.instruction for q in questions("fed_aya", MINI)}
    assert not asked & set(build("fed_aya", MINI).dataset.table["instruction"].to_pylist())


@needs_real_data
@pytest.mark.parametrize("profile", [MINI, PAPER])
def test_real_questions(profile):
    found = questions("fed_aya", profile, data_dir=SHARED, offline=True)
    assert Counter(q.language for q in found) == dict.fromkeys(LANGUAGES.values(), 20)
    raw = json.loads((SHARED / "fedllm_bench/aya_test.json").read_text(encoding="utf-8"))
    assert {(q.instruction, q.reference) for q in found} == {
        (row["instruction"], row["reference"]) for rows in raw.values() for row in rows
    }
    assert len(questions("fed_aya", profile, data_dir=SHARED, per_language=3)) == 24


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda raw: raw.pop("French"), "no question in fr"),
        (lambda raw: raw["French"][0].pop("reference"), "malformed .missing 'reference'"),
        (lambda raw: raw.update(Klingon=raw["French"]), "unknown language 'Klingon'"),
    ],
)
def test_a_test_set_with_a_fault_is_refused(tmp_path, change, says):
    raw = {name: [{"instruction": f"q {name}", "reference": "a"}] for name in LANGUAGES}
    change(raw)
    (tmp_path / "aya_test.json").write_text(json.dumps(raw))
    with pytest.raises(FedkitError, match=says):
        questions("fed_aya", MINI, data_dir=tmp_path)


def test_hub_questions_are_held_out_from_training(monkeypatch):
    """Aya's test split has no Spanish, French or Russian: those come from annotators below the minimum."""
    datasets = pytest.importorskip("datasets")
    lacking = ("Spanish", "French", "Russian")
    train = [
        row for language in LANGUAGES for row in people({f"{language} client": 100, f"{language} small": 30}, language)
    ]
    test = [row for language in LANGUAGES if language not in lacking for row in people({f"{language} t": 25}, language)]
    splits = {"train": train, "test": [*test, *people({"t": 25}, "Turkish")]}
    monkeypatch.setattr(datasets, "load_dataset", lambda path, config, *, split, streaming: iter(splits[split]))
    found = questions("fed_aya", PAPER)
    assert Counter(q.language for q in found) == dict.fromkeys(LANGUAGES.values(), 20)
    built = build("fed_aya", PAPER)
    assert len(built.dataset) == 8 and built.located.kind == "hub"
    assert not {q.instruction for q in found} & set(built.dataset.table["instruction"].to_pylist())
    assert questions("fed_aya", PAPER) == found  # the same draw every time


def test_registry_and_direct_use():
    assert {"fed_aya", "fed_chatbot_it", "fed_chatbot_pa", "fed_wildchat", "fed_wildchat_multi", "gsm8k"} <= set(
        DATASETS
    )
    assert len(FED_AYA.build(Place(embedded=True), Cut(minimum=20), raw_records=4000).dataset) == 38
