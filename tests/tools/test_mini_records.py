"""The package's records: exactly what the generators make, in the sizes that profiles use, and small."""

from __future__ import annotations

import itertools
import json

import pyarrow.parquet as pq
import pytest

from fedkit.common.errors import FedkitError
from fedkit.data.datasets.registry import SOURCES
from fedkit.data.place import Place, get_source
from fedkit.evaluation.benchmarks.registry import BENCHMARKS
from fedkit.mini import records as package
from fedkit.mini.records import embedded_records
from fedkit.profiles import get_profile
from tools.world import __main__ as command
from tools.world.corpora import CORPORA, LIMIT, Corpus, check, freeze, frozen, write

# The raw source of a federated dataset, where it is not the dataset's name.
RAW = {
    "fed_aya": "aya",
    "fed_chatbot_it": "arena",
    "fed_chatbot_pa": "arena",
    "fed_wildchat": "wildchat",
    "fed_wildchat_multi": "wildchat",
}
DOMAINS = ("alpaca", "mathinstruct", "code_alpaca", "fingpt")
EVERY = {**SOURCES} | {s.name: s for one in BENCHMARKS.values() for s in map(get_source, one.sources)}


def test_every_embedded_source_has_its_records() -> None:
    assert {name for name, source in EVERY.items() if source.embedded} == {*CORPORA, *package._SAME}


def test_frozen_records_are_what_is_generated() -> None:
    """Values, types, absent fields and the order of fields, of every file; `python -m tools.world freeze` mends it."""
    assert check() == []


def test_frozen_records_are_small() -> None:
    assert sum(path.stat().st_size for path in package.FOLDER.iterdir()) <= LIMIT == 5 * 2**20


@pytest.mark.parametrize("profile", ["smoke", "mini"])
def test_every_size_of_a_profile_is_the_corpus_generated_at_that_size(profile: str) -> None:
    """Where a size has no file of its own, it is the beginning of the largest corpus."""
    wanted = set()
    for name, spec in get_profile(profile).datasets.items():
        if name == "domains":
            wanted |= {(source, spec.raw_records // 4) for source in DOMAINS}
        else:
            wanted.add((RAW.get(name, name), spec.raw_records))
        if name in RAW and name != "fed_aya":
            wanted.add((RAW[name].replace("arena", "chatbot") + "_test", spec.test_questions))
    for source, n in wanted:
        if n is None or n in CORPORA[source].sizes:  # has a file of its own, checked above
            assert len(list(embedded_records(source, n))) == (n or CORPORA[source].sizes[0])
        else:
            assert list(embedded_records(source, n)) == CORPORA[source].records(n), (source, n)


def test_ayas_questions_of_any_number_are_the_first_of_each_language() -> None:
    every = list(embedded_records("aya_test"))
    for n in (2, 7, 20):
        first = {q["id"] for q in CORPORA["aya_test"].records(n)}
        kept = [q for _, own in itertools.groupby(every, lambda q: q["language"]) for q in list(own)[:n]]
        assert {q["id"] for q in kept} == first and kept == CORPORA["aya_test"].records(n)


def test_sizes() -> None:
    assert [len(list(embedded_records("arena", n))) for n in (None, 1500, 7)] == [15_000, 1500, 7]
    assert list(embedded_records("arena", 7)) == list(itertools.islice(embedded_records("arena"), 7))
    assert list(embedded_records("aya", 1200)) != list(itertools.islice(embedded_records("aya"), 1200))
    assert list(embedded_records("hh_rlhf_helpful", 9)) == list(embedded_records("hh_rlhf", 9))
    # A benchmark's questions are as many as they are, however many are wanted.
    assert len(list(embedded_records("mmlu", 10_000))) == len(list(embedded_records("mmlu"))) == 84


def test_more_than_the_largest_is_an_error_whose_remedy_works(tmp_path, monkeypatch, capsys) -> None:
    with pytest.raises(FedkitError, match=r"medical holds 2,000 records at most, not 2,500") as error:
        list(embedded_records("medical", 2500))
    words = str(error.value).partition("`python -m tools.world ")[2].partition("`")[0].split()
    assert command.main([str(tmp_path) if word == "DIR" else word for word in words]) == 0
    assert "--data-dir" in capsys.readouterr().out
    rows = list(Place(tmp_path, embedded=True).records("medical"))
    assert len(rows) == 2500 and rows[:2000] == list(embedded_records("medical"))


def test_errors(tmp_path, monkeypatch, capsys) -> None:
    with pytest.raises(FedkitError, match=r"unknown embedded corpus 'ayaa'; known: advbench, .*aya, .*hh_rlhf_helpful"):
        embedded_records("ayaa")
    monkeypatch.setattr(package, "FOLDER", tmp_path)
    with pytest.raises(FedkitError, match="missing in .*; reinstall fedkit"):
        embedded_records("aya")
    (tmp_path / "aya.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(FedkitError, match="aya.parquet cannot be read"):
        list(embedded_records("aya", world=package.World(folder=tmp_path)))
    assert command.main(["--out", str(tmp_path), "--only", "mmlu", "--n", "3"]) == 2
    assert "mmlu: of one size only" in capsys.readouterr().err
    assert command.main(["--out", str(tmp_path / "aya.parquet"), "--only", "mmlu"]) == 2
    assert "--out" in capsys.readouterr().err


def test_records_are_streamed() -> None:
    """The first record of the largest corpus without turning 15,000 into Python objects."""
    rows = embedded_records("arena")
    assert json.dumps(next(rows)) and len(list(rows)) == 14_999


def test_freezing_says_what_is_stale(tmp_path, monkeypatch) -> None:
    rows = [{"a": 1, "b": "x"}, {"a": 2, "b": "\u00e9"}]
    corpora = {"one": Corpus(lambda n, seed: iter(rows[:n]), "one/train.jsonl", (2, 1))}
    monkeypatch.setattr("tools.world.corpora.CORPORA", corpora)
    (tmp_path / "old.parquet").write_bytes(b"")
    assert check(tmp_path) == ["old.parquet", "one.parquet", "one-1.parquet"] and list(frozen()) == [
        "one.parquet",
        "one-1.parquet",
    ]
    assert 0 < freeze(tmp_path) < LIMIT and check(tmp_path) == []
    assert pq.read_metadata(tmp_path / "one-1.parquet").metadata[package.SIZE] == b"1"
    rows[1]["b"] = "y"
    assert check(tmp_path) == ["one.parquet"]
    rows[1]["b"] = None  # a field that one record lacks comes back as None, so such a corpus cannot be frozen
    del rows[1]["b"]
    with pytest.raises(FedkitError, match="one.parquet"):
        freeze(tmp_path)


def test_a_written_folder_is_read_in_place_of_the_embedded_world(tmp_path) -> None:
    """Every corpus whose upstream form is one table comes back as it was; a new seed gives others."""
    files = write(tmp_path, n=40, seed=5)
    assert len(files) == len({path.relative_to(tmp_path) for path in files})
    place = Place(tmp_path, offline=True, embedded=True)
    for name, corpus in CORPORA.items():
        located = place.locate(EVERY[name])
        assert located.kind == "local", name
        if corpus.file.endswith(".csv") or name in ("aya_test", "bbh"):
            continue
        generated = corpus.records(40 if corpus.training else None, 5)
        assert list(located.records()) == generated, name
        assert generated != corpus.records(40 if corpus.training else None, 6) or name in ("human_eval", "mmlu_dev")
