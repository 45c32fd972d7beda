"""Where raw records come from, every file format, and every way in which one can be broken."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedkit.common.errors import FedkitError
from fedkit.data import readers
from fedkit.data.datasets.registry import SOURCES
from fedkit.data.place import Place
from fedkit.data.readers import JsonScanner, read_file

SHARED = Path(__file__).parents[3] / "shared" / "data"
ROWS = [{"question": f"q{i} é 中\n", "answer": f'a,"{i}"'} for i in range(5)]


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return path


def lines(rows: list) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_csv(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


# --- where from


def test_local_wins_and_says_so(tmp_path):
    path = write(tmp_path / "gsm8k" / "train.jsonl", lines(ROWS))
    place = Place(tmp_path, offline=True, embedded=True)
    located = place.locate("gsm8k")
    assert located.kind == "local" and str(path) in located.describe() and located.files == place.files("gsm8k")
    assert list(located.records()) == list(place.records(SOURCES["gsm8k"])) == ROWS


def test_the_datasets_own_folder_is_a_data_folder_too(tmp_path):
    write(tmp_path / "gsm8k" / "train.jsonl", lines(ROWS))
    assert Place(tmp_path / "gsm8k").locate("gsm8k").kind == "local"


def test_one_spelling_of_a_table_is_read_once(tmp_path):
    write(tmp_path / "gsm8k" / "train.jsonl", lines(ROWS))
    write(tmp_path / "gsm8k" / "train.jsonl.gz", lines(ROWS))
    assert len(list(Place(tmp_path).records("gsm8k"))) == len(ROWS)


def test_embedded_only_when_asked_and_the_folder_without_it_is_mentioned(tmp_path):
    located = Place(tmp_path, embedded=True).locate("aya")
    assert located.kind == "embedded"
    assert str(tmp_path) in located.describe() and "embedded world" in located.describe()
    assert Place(tmp_path).locate("aya").kind == "hub"
    assert "CohereLabs/aya_dataset" in Place().locate("aya").describe()


def test_embedded_records_come_in_the_upstream_schema():
    pytest.importorskip("fedkit.mini.records")
    for name in ("aya", "gsm8k", "gsm8k_test"):
        records = list(Place(embedded=True).records(name, limit=7))
        assert len(records) == 7
        assert all(isinstance(row[key], kind) for row in records for key, kind in SOURCES[name].fields.items())


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("ayaa", {}, "unknown raw dataset 'ayaa'; known: .*aya, "),
        ("gsm8k", {"data_dir": "nowhere"}, "does not exist"),
        ("gsm8k", {"data_dir": __file__}, "is not a folder"),
        ("gsm8k", {"offline": True}, "--data-dir"),
        ("fed_aya", {}, "local files only"),
        ("aya_heldout", {"embedded": True}, "not part of the embedded world"),
    ],
)
def test_no_way_to_the_records_is_one_sentence(name, arguments, says):
    with pytest.raises(FedkitError, match=says):
        Place(**arguments).locate(name)


def test_a_broken_local_file_never_falls_back(tmp_path):
    write(tmp_path / "gsm8k" / "train.jsonl", "{nonsense\n")
    located = Place(tmp_path, embedded=True).locate("gsm8k")
    with pytest.raises(FedkitError, match="line 1"):
        list(located.records())


def test_limit_is_positive():
    with pytest.raises(FedkitError, match="limit is 0"):
        Place(embedded=True).records("gsm8k", limit=0)


# --- the Hub


def test_hub_is_streamed_for_a_few_records_and_cached_for_all(monkeypatch):
    datasets = pytest.importorskip("datasets")
    calls = []

    def fake(path, config, *, split, streaming):
        calls.append((path, config, split, streaming))
        return iter(ROWS)

    monkeypatch.setattr(datasets, "load_dataset", fake)
    assert list(Place().records("gsm8k")) == ROWS
    assert list(Place().records("gsm8k_test", limit=2)) == ROWS[:2]
    assert calls == [("openai/gsm8k", "main", "train", False), ("openai/gsm8k", "main", "test", True)]


@pytest.mark.parametrize("late", [False, True])
def test_an_unreachable_hub_is_one_sentence_with_the_remedy(monkeypatch, late):
    datasets = pytest.importorskip("datasets")

    def broken():
        yield ROWS[0]
        raise OSError("connection reset")

    def fake(*_, **__):
        if late:
            return broken()
        raise ConnectionError("cannot reach it")

    monkeypatch.setattr(datasets, "load_dataset", fake)
    with pytest.raises(FedkitError, match="openai/gsm8k cannot be read .*--data-dir.*profile mini"):
        list(Place().records("gsm8k"))


def test_hub_offline_is_respected(tmp_path):
    """With the real library: HF_HUB_OFFLINE and an empty cache end at once, without a connection."""
    pytest.importorskip("datasets")
    code = "from fedkit.data.place import Place; print(len(list(Place().records('gsm8k'))))"
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    env["PYTHONPATH"] = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "FedkitError: the Hub dataset openai/gsm8k cannot be read" in done.stderr


# --- formats


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz", "t.JSONL", "t.json", "t.json.gz"])
def test_text_formats_give_the_same_records(tmp_path, name):
    text = lines(ROWS) if "jsonl" in name.lower() else json.dumps(ROWS, ensure_ascii=False, indent=2)
    assert list(read_file(write(tmp_path / name, text))) == ROWS
    assert list(read_file(write(tmp_path / name, b"\xef\xbb\xbf" + text.encode()))) == ROWS  # byte order mark


def test_csv_and_parquet_give_the_same_records(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "t.parquet", row_group_size=2)
    assert list(read_file(tmp_path / "t.parquet")) == ROWS
    assert list(read_file(as_csv(tmp_path / "t.csv", ROWS))) == ROWS
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    assert list(read_file(tmp_path / "t.csv.gz")) == ROWS


def test_a_client_mapping_adds_the_client_id(tmp_path):
    path = write(tmp_path / "t.json", json.dumps({"ann": ROWS[:2], "bob": [], "cy": ROWS[2:3]}))
    assert list(read_file(path)) == [
        {**row, "client_id": client} for client, row in zip(("ann", "ann", "cy"), ROWS[:3], strict=True)
    ]


def test_short_csv_rows_lack_their_fields(tmp_path):
    assert list(read_file(write(tmp_path / "t.csv", "a,b\n1\n2,3\n"))) == [{"a": "1", "b": None}, {"a": "2", "b": "3"}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(document=st.lists(JSON, max_size=6), block=st.integers(1, 40), indent=st.sampled_from([None, 1]))
def test_the_streamed_document_is_the_parsed_one_whatever_the_block(document, block, indent):
    """Cut anywhere, a document gives the records that `json.loads` gives."""
    import io

    def stream(text: str) -> list:
        return list(JsonScanner(io.StringIO(text), Path("t.json")).records())

    before, readers.BLOCK = readers.BLOCK, block
    try:
        assert stream(json.dumps(document, indent=indent)) == document
        by_client = {f"c{i}": [value] for i, value in enumerate(document) if isinstance(value, dict)}
        assert stream(json.dumps(by_client, ensure_ascii=False)) == [
            {**v[0], "client_id": c} for c, v in by_client.items()
        ]
    finally:
        readers.BLOCK = before


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv", "t.parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path, name):
    """4 MB and 16 MB of records pass through in the same peak of Python memory."""

    def peak(n: int) -> int:
        rows = [{"a": f"{i}" + "x" * 400, "b": "y" * 600} for i in range(n)]
        path = tmp_path / name
        if name == "t.parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=1000)
        elif name == "t.csv":
            as_csv(path, rows)
        else:
            write(path, lines(rows) if name == "t.jsonl" else json.dumps(rows))
        del rows
        tracemalloc.start()
        assert sum(1 for _ in read_file(path)) == n
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(16_000) < peak(4_000) + 1_000_000


# --- broken files


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.jsonl", '{"a": 1}\n\n{"a": \n', "line 3"),
        ("t.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', "line 1|line 2"),
        ("t.jsonl", "[" * 100_000, "nested too deeply"),
        ("t.json", "", r"expected '\[' or '{' at the start"),
        ("t.json", '[{"a": 1},\n{"a": nope}]', "line 2"),
        ("t.json", '[{"a": 1},\n{"a": "endless}]', "line 2"),
        ("t.json", '[{"a": 1}\n{"a": 2}]', "line 2.*after a record"),
        ("t.json", '[{"a": 1}', "found the end"),
        ("t.json", '{"a": 1}\n{"a": 2}\n', "name the file .jsonl"),
        ("t.json", '[{"a": 1}]\n[{"a": 2}]\n', "line 2.*after the end"),
        ("t.json", '{"ann": [{"a": 1}], 7: []}', "client's name in quotes"),
        ("t.csv", "a,b\n1,2\n1,2,3\n", "line 3.*more fields"),
        ("t.csv", 'a,b\n1,"2\n', "line 2"),
        ("t.parquet", b"PAR1 not really", "row 1"),
        ("t.txt", "a", "no format that fedkit reads"),
        ("t.parquet.gz", b"", "no format that fedkit reads"),
    ],
)
def test_a_broken_file_names_itself_and_the_line(tmp_path, name, text, says):
    path = write(tmp_path / name, text)
    with pytest.raises(FedkitError, match=says) as caught:
        list(read_file(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["t.jsonl.gz", "t.json.gz", "t.csv.gz"])
@pytest.mark.parametrize("how", ["cut", "not gzip", "bad checksum"])
def test_a_broken_archive(tmp_path, name, how):
    text = {"t.jsonl.gz": lines(ROWS * 40), "t.json.gz": json.dumps(ROWS * 40), "t.csv.gz": "a\n" * 400}[name]
    data = gzip.compress(text.encode())
    data = {"cut": data[: len(data) // 2], "not gzip": b"plain", "bad checksum": data[:-8] + b"\0" * 8}[how]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FedkitError, match="cannot be read at line"):
        list(read_file(tmp_path / name))


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv", "t.parquet", "t.jsonl.gz"])
def test_a_folder_or_nothing_in_place_of_a_file(tmp_path, name):
    with pytest.raises(FedkitError, match="cannot be read"):
        list(read_file(tmp_path / name))
    (tmp_path / name).mkdir()
    with pytest.raises(FedkitError, match="cannot be read"):
        list(read_file(tmp_path / name))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data (../shared/data) is not here")
def test_the_real_files():
    train, test = (list(Place(SHARED).records(name)) for name in ("gsm8k", "gsm8k_test"))
    assert (len(train), len(test)) == (7473, 1319)  # Cobbe et al. 2021
    assert train == [json.loads(line) for line in (SHARED / "gsm8k/train.jsonl").read_text().splitlines()]
    questions = list(Place(SHARED).records("aya_test"))
    assert len(questions) == 160 and len({q["client_id"] for q in questions}) == 8


@pytest.mark.parametrize(
    ("name", "text"), [("train.jsonl", '{{"question": {0}}}'), ("train.json", '[{{"question": {0}}}]')]
)
def test_a_number_that_python_does_not_read_is_a_fault_of_the_file(tmp_path, name, text):
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / name).write_text(text.format("9" * 5000))
    with pytest.raises(FedkitError, match=rf"{name} cannot be read at line 1 \(Exceeds the limit"):
        list(Place(tmp_path).records("gsm8k"))
