"""Files that nobody vouches for: limits on what they unpack to, pointers, shards, copies, hidden names, JSON cells."""

from __future__ import annotations

import csv
import gzip
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fedkit.common.errors import FedkitError
from fedkit.data import readers, streams
from fedkit.data.datasets.built import Cut
from fedkit.data.datasets.registry import DATASETS, get_dataset
from fedkit.data.export import import_parquet
from fedkit.data.federated import FederatedDataset
from fedkit.data.place import Place
from fedkit.data.readers import read_document, read_file
from fedkit.evaluation.benchmarks.registry import BENCHMARKS, all_sources

DEFAULT = Cut()
ROWS = [{"question": f"q{i}", "answer": f"a{i}"} for i in range(6)]


def put(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def lines(rows: list) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def parquet(path: Path, rows: list) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


# --- limits


def bomb(path: Path, megabytes: int) -> Path:
    """A gzip file of one endless line, packed a thousandfold."""
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(b'{"a": "')
        for _ in range(megabytes):
            file.write(b"x" * 1_000_000)
    return path


@pytest.mark.parametrize("name", ["t.jsonl.gz", "t.json.gz", "t.csv.gz"])
def test_one_endless_record_takes_no_more_memory_than_the_limit(tmp_path, name, monkeypatch):
    """40 MB from 40 kB: refused by a sentence, with the file; memory stays near one record's limit (here 1 MB)."""
    path = bomb(tmp_path / name, 40)
    for module in (streams, readers):
        monkeypatch.setattr(module, "RECORD", 1 << 20)
    tracemalloc.start()
    with pytest.raises(FedkitError, match=f"{name} cannot be read at line") as caught:
        list(read_file(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6 and "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "line"), [("t.jsonl.gz", b'{"a": 1}\n'), ("t.csv.gz", b"a\n")])
def test_many_small_records_stop_at_the_ratio(tmp_path, name, line, monkeypatch):
    """Each record is small, all of them are not: at most RATIO times the size of the file, or FREE bytes, come out."""
    monkeypatch.setattr(streams, "FREE", 1 << 16)
    path = put(tmp_path / name, gzip.compress(line * 300_000))
    size, read = path.stat().st_size, 0
    with pytest.raises(FedkitError, match="unpacks to more than 100 times its size"):
        for _ in read_file(path):
            read += 1
    assert read * len(line) <= max(streams.FREE, 100 * size)
    monkeypatch.setattr(streams, "FREE", 1 << 26)
    small = put(tmp_path / f"small.{name}", gzip.compress(line * 20_000))
    assert sum(1 for _ in read_file(small)) == 20_000 - name.count("csv")


@pytest.mark.parametrize("schema", [True, False])
def test_a_parquet_file_of_one_value_very_often(tmp_path, schema):
    """A dictionary of one text of 100 kB and 2,000 places: 200 MB from some kilobytes; 64 MB may come out."""
    place = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), pa.array(["x" * 100_000]))
    pq.write_table(pa.table({"a": place}), tmp_path / "t.parquet", compression="zstd", store_schema=schema)
    assert (tmp_path / "t.parquet").stat().st_size < 100_000
    with pytest.raises(FedkitError, match="t.parquet cannot be read at row .*unpacks to more than 100 times"):
        list(read_file(tmp_path / "t.parquet"))


def test_a_document_that_is_read_whole_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "DOCUMENT", 50)
    assert read_document(put(tmp_path / "small.json", '{"a": 1}')) == {"a": 1}
    with pytest.raises(FedkitError, match="longer document than fedkit reads whole"):
        read_document(put(tmp_path / "large.json", json.dumps(["x" * 60])))
    with pytest.raises(FedkitError, match="broken.json cannot be read at line 1"):
        read_document(put(tmp_path / "broken.json", "{"))


# --- pointers, shards, copies, hidden names


@pytest.mark.parametrize("name", ["train.jsonl", "train.json.gz", "train.csv", "main/train-00000-of-00001.parquet"])
def test_a_git_lfs_pointer_is_named_with_the_command_that_fetches_it(tmp_path, name):
    put(tmp_path / "gsm8k" / name, "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    with pytest.raises(FedkitError, match=f"{Path(name).name} is a Git-LFS pointer .*`git lfs pull`"):
        list(Place(tmp_path).records("gsm8k"))


SHARDS = "gsm8k/main/train-{:05d}-of-{:05d}{}.parquet"


def test_a_part_of_a_tables_shards_is_refused_by_name(tmp_path):
    for i in (0, 1):
        parquet(tmp_path / SHARDS.format(i, 3, ""), ROWS[2 * i : 2 * i + 2])
    with pytest.raises(FedkitError, match=r"holds 2 of 3 parts of train\.parquet; fetch also train-00002-of-00003"):
        Place(tmp_path).locate("gsm8k")
    parquet(tmp_path / SHARDS.format(2, 3, ""), ROWS[4:])
    assert list(Place(tmp_path).records("gsm8k")) == ROWS


def test_one_of_one_shard_and_shards_with_a_hash_are_whole(tmp_path):
    parquet(tmp_path / SHARDS.format(0, 1, "-a09b74b3ef9c3b56"), ROWS)
    assert list(Place(tmp_path).records("gsm8k")) == ROWS
    parquet(tmp_path / SHARDS.format(0, 1, "-0123456789abcdef"), ROWS[:5])
    with pytest.raises(FedkitError, match="two copies of one table"):
        Place(tmp_path).locate("gsm8k")


@pytest.mark.parametrize(
    "other", ["train (1).parquet", "train copy.parquet", "train - Copy (2).parquet", "train-00000-of-00001.parquet"]
)
def test_two_copies_of_a_table_are_refused_by_name(tmp_path, other):
    parquet(tmp_path / "gsm8k/train.parquet", ROWS)
    parquet(tmp_path / "gsm8k" / other, ROWS[:3])  # of other content: told by the name
    with pytest.raises(FedkitError, match="two copies of one table") as caught:
        list(Place(tmp_path).records("gsm8k"))
    assert "train.parquet" in str(caught.value) and other in str(caught.value)


def test_two_files_of_the_same_bytes_are_one_table(tmp_path):
    for name in ("train_a.parquet", "train_b.parquet"):
        parquet(tmp_path / "gsm8k" / name, ROWS)
    with pytest.raises(FedkitError, match="train_a.parquet and .*train_b.parquet look like two copies"):
        Place(tmp_path).locate("gsm8k")
    parquet(tmp_path / "gsm8k/train_b.parquet", ROWS[:2])
    assert len(list(Place(tmp_path).records("gsm8k"))) == 8


def test_names_that_begin_with_a_dot_are_passed_over(tmp_path):
    """macOS leaves `._NAME` beside each file of an archive; they are bytes of its own."""
    put(tmp_path / "Fed-Aya/aya_1.json", json.dumps({"ann": [{"instruction": "i", "response": "r"}]}))
    put(tmp_path / "Fed-Aya/._aya_1.json", b"\x00\x05\x16\x07")
    put(tmp_path / "hhh/.git/task.json", "{")
    assert [path.name for path in Place(tmp_path).files("fed_aya")] == ["aya_1.json"]
    assert [row["client_id"] for row in Place(tmp_path).records("fed_aya")] == ["ann"]
    assert Place(tmp_path).files(BENCHMARKS["hhh"].sources[0]) == ()


# --- JSON in the cells of a CSV file


def as_csv(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(
            {key: json.dumps(value) if isinstance(value, list | dict) else value for key, value in row.items()}
            for row in rows
        )
    return path


def turns(question: str, answer: str) -> list[dict]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def test_wildchat_and_arena_as_csv_build_what_they_build_as_json_lines(tmp_path):
    chats = [{"hashed_ip": "ab", "conversation": turns(f"[{i}]", "{b}"), "language": "English"} for i in range(3)]
    votes = [
        {"judge": "j", "winner": "model_a", "turn": 1, "language": "English"}
        | {"conversation_a": turns(f"q{i}", "good"), "conversation_b": turns(f"q{i}", "bad")}
        for i in range(3)
    ]
    for name, stem, rows in (("fed_wildchat", "wildchat", chats), ("fed_chatbot_pa", "arena", votes)):
        as_csv(tmp_path / "a" / stem / "train.csv", rows)
        put(tmp_path / "b" / stem / "train.jsonl", lines(rows))
        a, b = (get_dataset(name).build(Place(tmp_path / side), DEFAULT) for side in "ab")
        assert a.dataset.fingerprint == b.dataset.fingerprint and a.drops.dropped == 0
        assert a.drops.notes.get("`turn` differs from the conversation, which counts") is None


def test_a_list_that_is_no_json_is_named(tmp_path):
    """pandas' to_csv writes Python's own form, with single quotes."""
    as_csv(tmp_path / "wildchat/train.csv", [{"hashed_ip": "a", "conversation": str(turns("q", "a"))}])
    with pytest.raises(FedkitError, match="1 wrong type of 'conversation'.*must be JSON text, as json.dumps writes it"):
        get_dataset("fed_wildchat").build(Place(tmp_path), DEFAULT)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"id": 1, "prompt": '["q"]', "response_a": '["x"]', "winner_model_a": 1}, "55,000 votes of Kaggle"),
        (
            {"winner": "both_bad", "evaluation_session_id": "s", "conversation_a": turns("q", "a")},
            "140,000 votes of 2025",
        ),
    ],
)
def test_relatives_of_the_arena_without_judges_are_called_by_their_names(tmp_path, row, says):
    put(tmp_path / "arena/train.jsonl", lines([row]))
    dataset, place = get_dataset("fed_chatbot_it"), Place(tmp_path)
    for read in (lambda: dataset.build(place, DEFAULT), lambda: dataset.questions.read(place, 1, 5)):
        with pytest.raises(FedkitError, match=f"{says}.*name no judge.*take lmsys/chatbot_arena_conversations"):
            read()


# --- the Hub's gates, and a folder that matches nothing


def test_a_gated_set_names_the_form_and_the_token(monkeypatch):
    import datasets

    def shut(*_, **__):
        raise datasets.exceptions.DatasetNotFoundError("Dataset 'x' is a gated dataset on the Hub.")

    monkeypatch.setattr(datasets, "load_dataset", shut)
    with pytest.raises(FedkitError, match="accept the form at https://huggingface.co/datasets/openai/gsm8k .*HF_TOKEN"):
        list(Place().records("gsm8k"))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: (_ for _ in ()).throw(OSError("no route")))
    with pytest.raises(FedkitError) as caught:
        list(Place().records("gsm8k"))
    assert "HF_TOKEN" not in str(caught.value)
    with pytest.raises(FedkitError, match="datasets/lmsys/chatbot_arena_conversations .*HF_TOKEN"):
        list(Place().records("arena"))


def test_a_folder_that_matches_nothing_is_refused_with_the_names(tmp_path):
    put(tmp_path / "gsm8k_train.jsonl", lines(ROWS))
    with pytest.raises(FedkitError, match=r"no file of any data set; names looked for: aya/train\*.parquet, .*gsm8k"):
        Place(tmp_path).require_any(all_sources())
    Place(None).require_any(all_sources())
    put(tmp_path / "gsm8k/train.jsonl", lines(ROWS))
    Place(tmp_path).require_any(all_sources())


def test_the_four_domains_are_real_or_embedded_together(tmp_path):
    """A folder with one of four: all are embedded, and it is said which are lacking."""
    put(tmp_path / "alpaca/train.json", json.dumps([{"instruction": "i", "input": "", "output": "o"}] * 3))
    place = Place(tmp_path, embedded=True)
    located = DATASETS["domains"].locate(place)
    assert located.kind == "embedded" and not located.files
    assert "holds only 1 of the four domains, and lacks mathinstruct/data/train*.parquet" in located.describe()
    assert DATASETS["alpaca"].locate(place).kind == "local"
    assert len(DATASETS["domains"].build(place, DEFAULT, raw_records=400).dataset) == 4


def test_a_dataset_folder_that_unpacks_to_more_than_it_is_is_refused(tmp_path):
    """Compressed Arrow IPC in the place of the mapped file, and an exported parquet file of one value very often."""
    texts = pa.array(["x" * 10_000] * 2_000)
    dataset = FederatedDataset.from_partition(pa.table({"text": texts}), {"a": np.arange(2_000)}, name="big")
    folder = dataset.save(tmp_path / "d")
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(folder / "table.arrow"), "wb") as sink:
        with pa.ipc.new_file(sink, dataset.table.schema, options=options) as writer:
            writer.write_table(dataset.table)
    with pytest.raises(FedkitError, match="table.arrow unpacks to more than its size"):
        FederatedDataset.load(folder)
    table = pa.table({"client_id": ["a"] * 8_000, "text": pa.array(["x" * 10_000] * 8_000)})
    pq.write_table(table, tmp_path / "t.parquet", compression="zstd", use_dictionary=False)
    assert (tmp_path / "t.parquet").stat().st_size < 1e5
    with pytest.raises(FedkitError, match="t.parquet is no readable Parquet file .it unpacks to more than 100 times"):
        import_parquet(tmp_path / "t.parquet")
