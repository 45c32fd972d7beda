"""FederatedDataset: slices without copies, memory-mapped files, whole or no results, one fingerprint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fedkit.common.errors import FedkitError
from fedkit.data import federated
from fedkit.data.federated import FederatedDataset
from fedkit.data.partitioners import iid, natural

ROWS = [
    {"instruction": "ab", "response": "abcd", "language": "en", "n": 1},
    {"instruction": "中", "response": "é", "language": "zh", "n": 2},
    {"instruction": "abcd", "response": "", "language": "en", "n": 3},
    {"instruction": "x", "response": "yy", "language": "fr", "n": None},
]
OWNERS = ["bob", "ann", "bob", "bob"]


@pytest.fixture
def small():
    return FederatedDataset.from_partition(pa.Table.from_pylist(ROWS), natural(OWNERS), name="small", info={"a": 1})


def address(table: pa.Table, column: str, buffer: int = 2) -> int:
    return table[column].chunk(0).buffers()[buffer].address


def test_order_and_access(small):
    assert small.clients == ("ann", "bob") and len(small) == 2 and small.n_records == 4
    assert small.sizes.tolist() == [1, 3] and small.offsets.tolist() == [0, 1, 4]
    assert small.offsets.dtype == np.int64
    assert small.records("ann") == small.records(0) == [ROWS[1]]
    assert small.records("bob") == small.records(1) == [ROWS[0], ROWS[2], ROWS[3]]
    assert small.client(np.int64(1)).num_rows == 3


def test_a_client_is_a_slice_that_copies_nothing(small, tmp_path):
    """The slice's text buffer lies at the table's own address."""
    for dataset in (small, FederatedDataset.load(small.save(tmp_path / "d"))):
        for key in (0, 1):
            assert address(dataset.client(key), "instruction") == address(dataset.table, "instruction")
        before = pa.total_allocated_bytes()
        held = [dataset.client(i % 2) for i in range(100)]
        assert pa.total_allocated_bytes() == before and len(held) == 100


def test_a_loaded_table_lies_in_the_file_not_in_memory(tmp_path):
    table = pa.table({"instruction": ["x" * 1000] * 20_000})
    saved = FederatedDataset.from_partition(table, iid(20_000, 10, seed=0), name="big").save(tmp_path / "d")
    del table
    before = pa.total_allocated_bytes()
    dataset = FederatedDataset.load(saved)
    assert dataset.client(3).num_rows == 2000
    assert pa.total_allocated_bytes() - before < 100_000  # of 20 MB


def test_blocks_do_not_matter(small, monkeypatch, tmp_path):
    import fedkit.data.arrow

    monkeypatch.setattr(fedkit.data.arrow, "BLOCK", 2)
    blocked = FederatedDataset.from_partition(pa.Table.from_pylist(ROWS), natural(OWNERS), name="small")
    assert blocked.table["n"].num_chunks == 2
    assert blocked.records("bob") == small.records("bob")
    assert blocked.fingerprint == small.fingerprint
    assert FederatedDataset.load(blocked.save(tmp_path / "d")).records("bob") == small.records("bob")


@pytest.mark.parametrize("bytes_", [1, 300, 1 << 27])
def test_long_records_are_gathered_in_smaller_blocks(bytes_, monkeypatch):
    """20 rows of 4 input batches in any order: whatever the size of a block, `gather` is numpy's own indexing."""
    import fedkit.data.arrow

    monkeypatch.setattr(fedkit.data.arrow, "_BLOCK_BYTES", bytes_)
    talk = [[{"role": "user", "content": "x" * i}] * (i % 3) for i in range(20)]
    parts = [pa.table({"n": range(i, i + 5), "talk": talk[i : i + 5]}) for i in range(0, 20, 5)]
    rows, whole = np.random.default_rng(0).permutation(20)[:17], pa.concat_tables(parts)
    made = fedkit.data.arrow.gather(whole, rows)
    assert made["n"].to_pylist() == rows.tolist() and made["talk"].to_pylist() == [talk[i] for i in rows]
    each = min(17, max(1, bytes_ * 20 // whole.nbytes))
    assert [len(chunk) for chunk in made["n"].chunks] == [min(each, 17 - at) for at in range(0, 17, each)]
    assert fedkit.data.arrow.gather(parts[0], np.array([], dtype=np.int64)).equals(parts[0][:0])


def test_summary(small):
    frame = small.summary()
    assert frame.columns.tolist() == ["client", "records", "languages", "instruction_chars", "response_chars"]
    assert frame.values.tolist() == [["ann", 1, "zh", 1.0, 1.0], ["bob", 3, "en, fr", 7 / 3, 2.0]]
    pairs = pa.table({"instruction": ["a"], "chosen": ["abc"], "rejected": [""]})
    assert FederatedDataset.from_partition(pairs, natural("a"), name="p").summary().iloc[0].tolist() == [
        "a",
        1,
        1,
        3,
        0,
    ]
    plain = FederatedDataset.from_partition(pa.table({"q": [1, 2]}), natural("ab"), name="plain")
    assert plain.summary().columns.tolist() == ["client", "records"]


TALKS = [
    [{"role": "user", "content": "héllo"}, {"role": "assistant", "content": "中"}] * turns for turns in (1, 3, 2, 0)
]


@pytest.fixture
def talks():
    from fedkit.data.datasets.base import TALKED

    rows = [{"conversation": talk, "language": "en"} for talk in TALKS]
    return FederatedDataset.from_partition(pa.Table.from_pylist(rows, schema=TALKED), natural(OWNERS), name="talks")


def test_conversations_are_saved_selected_and_summed_up(talks, tmp_path):
    assert [row["conversation"] for row in talks.records("bob")] == [TALKS[0], TALKS[2], TALKS[3]]
    assert talks.summary()["turns"].tolist() == [6.0, 2.0]  # (2 + 4 + 0) / 3
    loaded = FederatedDataset.load(talks.save(tmp_path / "d"))
    again = FederatedDataset(loaded.name, loaded.table, loaded.ids, loaded.offsets)
    assert again.fingerprint == talks.fingerprint and loaded.records(1) == talks.records(1)
    assert talks.select(["ann"]).records(0)[0]["conversation"] == TALKS[1]


def test_conversations_round_trip_as_json(talks, tmp_path):
    """Arrow orders the fields of a turn by name when it has no schema; the fingerprint does not mind."""
    back = FederatedDataset.import_json(talks.export_json(tmp_path / "talks.json"))
    assert back.fingerprint == talks.fingerprint and back.records(0) == talks.records(0)
    other = [{"conversation": [*talk, *talk], "language": "en"} for talk in TALKS]
    assert FederatedDataset.from_partition(pa.Table.from_pylist(other), natural(OWNERS), name="x").fingerprint != (
        talks.fingerprint
    )


def test_select(small):
    one = small.select(["bob"])
    assert one.clients == ("bob",) and one.records(0) == small.records("bob")
    assert one.info["selected"] == "1 of 2 clients"
    assert small.select([1, "ann"]).fingerprint == small.fingerprint
    assert one.fingerprint != small.fingerprint


def test_save_and_load(small, tmp_path):
    loaded = FederatedDataset.load(small.save(tmp_path / "a" / "d"))
    assert loaded.table.equals(small.table) and loaded.clients == small.clients
    assert loaded.offsets.tolist() == small.offsets.tolist()
    assert (loaded.name, loaded.info) == (small.name, small.info)
    again = FederatedDataset(loaded.name, loaded.table, loaded.ids, loaded.offsets)  # computed anew, not read
    assert loaded.fingerprint == small.fingerprint == again.fingerprint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a"]
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["d"]


def test_the_fingerprint_sees_content_and_only_content(small):
    def make(rows, owners, name="small"):
        return FederatedDataset.from_partition(pa.Table.from_pylist(rows), natural(owners), name=name).fingerprint

    assert make(ROWS, OWNERS, "other name") == small.fingerprint
    assert make([{**ROWS[0], "response": "abce"}, *ROWS[1:]], OWNERS) != small.fingerprint
    assert make(ROWS, ["bob", "bob", "ann", "bob"]) != small.fingerprint
    assert make(ROWS, ["bob", "anna", "bob", "bob"]) != small.fingerprint
    assert make([{**row, "m": 1} for row in ROWS], OWNERS) != small.fingerprint


def test_saving_again_replaces_and_an_open_map_stays_valid(small, tmp_path):
    opened = FederatedDataset.load(small.save(tmp_path / "d"))
    small.select(["ann"]).save(tmp_path / "d")
    assert FederatedDataset.load(tmp_path / "d").clients == ("ann",)
    assert opened.records("bob") == small.records("bob")


def test_a_failed_save_leaves_what_was_there(small, tmp_path, monkeypatch):
    small.save(tmp_path / "d")

    def full(path, table):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(federated, "write_ipc", full)
    for target in ("d", "new"):
        with pytest.raises(FedkitError, match="cannot write .*No space left.*output folder"):
            small.select(["ann"]).save(tmp_path / target)
    assert [p.name for p in tmp_path.iterdir()] == ["d"]
    assert FederatedDataset.load(tmp_path / "d").clients == small.clients


def test_other_peoples_folders_are_not_replaced(small, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FedkitError, match="holds other files"):
        small.save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    small.save(tmp_path / "empty")


def test_a_folder_that_cannot_be_written(small, tmp_path):
    (tmp_path / "file").write_text("a file")
    for target in (tmp_path / "file" / "d", tmp_path / "file"):
        with pytest.raises(FedkitError, match="cannot write"):
            small.save(target)
        with pytest.raises(FedkitError, match="cannot write"):
            small.export_json(tmp_path / "file" / "d.json")
    assert (tmp_path / "file").read_text() == "a file"


def test_killed_while_saving_leaves_no_half_dataset(small, tmp_path):
    """A process that dies between two files of a save leaves the old dataset whole."""
    small.save(tmp_path / "d")
    code = (
        "import os, sys; from fedkit.data import federated\n"
        "old = federated.FederatedDataset.load(sys.argv[1]); np = federated.np\n"
        "np.save = lambda *a: os._exit(9)\n"
        "old.select(['ann']).save(sys.argv[1])"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "d")], env=env, timeout=60)
    assert done.returncode == 9
    assert FederatedDataset.load(tmp_path / "d").clients == small.clients


@pytest.mark.parametrize("part", ["table.arrow", "clients.arrow", "offsets.npy", "dataset.json"])
@pytest.mark.parametrize("how", ["missing", "cut", "empty"])
def test_a_damaged_dataset_is_one_sentence(small, tmp_path, part, how):
    path = small.save(tmp_path / "d") / part
    data = path.read_bytes()
    path.unlink()
    if how != "missing":
        path.write_bytes(data[: len(data) // 2] if how == "cut" else b"")
    with pytest.raises(FedkitError, match="build and save"):
        FederatedDataset.load(tmp_path / "d")


def test_parts_of_two_datasets_do_not_fit(small, tmp_path):
    one, other = small.save(tmp_path / "a"), small.select(["ann"]).save(tmp_path / "b")
    (one / "clients.arrow").write_bytes((other / "clients.arrow").read_bytes())
    with pytest.raises(FedkitError, match="do not fit"):
        FederatedDataset.load(one)


@pytest.mark.parametrize("key", ["cy", "", 2, -1])
def test_an_unknown_client(small, key):
    with pytest.raises(FedkitError, match="has no client .*'ann' to 'bob'"):
        small.client(key)


@pytest.mark.parametrize(
    ("partition", "says"),
    [
        ({}, "no client"),
        ({"a": np.array([], dtype=np.int64)}, "'a' owns no row"),
        ({"a": np.array([0, 9])}, "outside"),
        ({"a": np.array([-1])}, "outside"),
        ({"a": np.array([0, 1]), "b": np.array([1])}, "two clients"),
    ],
)
def test_a_partition_that_does_not_fit(partition, says):
    with pytest.raises(FedkitError, match=says):
        FederatedDataset.from_partition(pa.Table.from_pylist(ROWS), partition, name="x")


def test_rows_of_no_client_are_left_out():
    dataset = FederatedDataset.from_partition(pa.Table.from_pylist(ROWS), natural(OWNERS, 2), name="x")
    assert dataset.clients == ("bob",) and dataset.n_records == 3


def test_json_of_the_release_round_trips(small, tmp_path):
    path = small.export_json(tmp_path / "small.json")
    raw = json.loads(path.read_text(encoding="utf-8"))
    assert raw == {"ann": [ROWS[1]], "bob": [ROWS[0], ROWS[2], ROWS[3]]}
    back = FederatedDataset.import_json(path)
    assert back.name == "small" and back.fingerprint == small.fingerprint
    assert back.table.equals(small.table)
    assert [p.name for p in tmp_path.iterdir()] == ["small.json"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "no record"),
        ('[{"a": 1}]', "outside any client"),
        ('{"ann": [1]}', "outside any client"),
        ('{"ann": [{"a": 1}, {"a": "x"}]}', "mixes types"),
        ('{"ann": [{"a": "\\ud800"}]}', "not Unicode"),
        ('{"ann": ', "line 1"),
    ],
)
def test_json_that_is_no_release(tmp_path, text, says):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(FedkitError, match=says):
        FederatedDataset.import_json(tmp_path / "x.json")


def test_a_hundred_thousand_clients_open_in_little_memory(tmp_path):
    """In a process that has warmed up on ten clients, opening and slicing 100,000 adds at most 4 MB (table: 42 MB)."""
    pytest.importorskip("psutil")
    for n, name in ((10, "few"), (100_000, "many")):
        table = pa.table({"instruction": pa.array([f"q{i}" + "x" * 200 for i in range(2 * n)])})
        FederatedDataset.from_partition(table, iid(2 * n, n, seed=0), name=name).save(tmp_path / name)
    code = (
        "import sys, psutil; from fedkit.data.federated import FederatedDataset\n"
        "def use(folder, last):\n"
        "    d = FederatedDataset.load(folder)\n"
        "    assert sum(d.client(i).num_rows for i in range(0, len(d), 1 + len(d) // 100)) >= 20\n"
        "    assert d.records(last) == d.records(len(d) - 1) and d.client(0).num_rows == 2\n"
        "    return d\n"
        "few = use(sys.argv[1] + '/few', 'client_9')\n"
        "before = psutil.Process().memory_full_info().uss\n"
        "many = use(sys.argv[1] + '/many', 'client_99999')\n"
        "print(psutil.Process().memory_full_info().uss - before)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    run = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(run, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 4_000_000


# --- what a dataset may be called, and hold


@pytest.mark.parametrize("name", ["../../../pwned/x", "a/b", "a\\b", "..", ".hidden", "", " ", "a\n", "x" * 101, 3])
def test_a_name_is_one_of_a_file(small, tmp_path, name):
    with pytest.raises(FedkitError, match="cannot name a dataset"):
        FederatedDataset(name, small.table, small.ids, small.offsets)
    folder = small.save(tmp_path / "d")
    note = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**note, "name": name}))
    with pytest.raises(FedkitError, match="cannot name a dataset"):
        FederatedDataset.load(folder)


def test_a_fingerprint_is_computed_and_a_folder_is_known_by_its_content(small, tmp_path):
    folder = small.save(tmp_path / "d")
    note = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**note, "fingerprint": "f" * 64}))
    assert FederatedDataset.load(folder).fingerprint == small.fingerprint != "f" * 64
    other = FederatedDataset.from_partition(pa.Table.from_pylist(ROWS[::-1]), natural(OWNERS), name="small")
    assert small.lies_in(folder) and not other.lies_in(folder) and not small.lies_in(tmp_path / "nowhere")
    (folder / "table.arrow").write_bytes(b"")
    assert not small.lies_in(folder)


def test_the_fingerprint_is_of_values_and_not_of_how_they_are_stored():
    """Widths, chunks, dictionaries and the order of a struct's fields do not count; values, places and nulls do."""
    talk = [{"r": "u", "c": "hi"}, {"r": "a", "c": ""}]
    rows = [
        {"t": "ab", "n": 1, "x": 0.5, "b": True, "talk": talk},
        {"t": "", "n": None, "x": 2.0, "b": None, "talk": []},
        {"t": "c", "n": 3, "x": None, "b": False, "talk": None},
    ]
    plain = pa.Table.from_pylist(rows)
    turned = [row | {"talk": row["talk"] and [dict(reversed(one.items())) for one in row["talk"]]} for row in rows]
    stored = {
        "chunks": pa.concat_tables([plain[:1], plain[1:]]),
        "widths": plain.cast(plain.schema.set(0, pa.field("t", pa.large_string())).set(1, pa.field("n", pa.int8()))),
        "dictionary": plain.set_column(0, "t", plain["t"].dictionary_encode()),
        "fields": pa.Table.from_pylist(turned),
        "slices": pa.concat_tables([plain, plain])[3:],
    }

    def mark(table):
        return FederatedDataset.from_partition(table, natural(["a", "b", "b"]), name="x").fingerprint

    assert {name: mark(table) == mark(plain) for name, table in stored.items()} == dict.fromkeys(stored, True)
    changes = [("t", "a"), ("t", "abc"), ("n", 2), ("n", None), ("x", 0.25), ("b", False), ("talk", []), ("talk", None)]
    changes += [("talk", [{"r": "u", "c": "h"}, {"r": "a", "c": "i"}]), ("t", None)]
    others = [mark(pa.Table.from_pylist([{**rows[0], name: value}, *rows[1:]])) for name, value in changes]
    assert len({mark(plain), *others}) == 1 + len(changes)
    assert mark(plain.rename_columns(["u", "n", "x", "b", "talk"])) != mark(plain)
    shifted = pa.Table.from_pylist([{**rows[0], "t": "a"}, {**rows[1], "t": "b"}, rows[2]])  # the same letters in all
    assert mark(shifted) != mark(plain)


TALK = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("instruction", ["a", None, "c"], "client 'bob': the field 'instruction' of record 1 is null"),
        ("response", [1, 2, 3], "client 'ann': the field 'response' of record 0 is of type int64, not text"),
        ("chosen", [None, None, None], "client 'ann': the field 'chosen' of record 0 is null"),
        ("conversation", [TALK, None, TALK], "client 'bob': the field 'conversation' of record 1 is null"),
        ("conversation", ["a", "b", "c"], "holds string, not a list of turns"),
        ("conversation", [["a"], [], []], "not turns of role and content"),
        (
            "conversation",
            [TALK, TALK, [TALK[0], None]],
            "'bob': a turn in the field 'conversation' of record 2 is null",
        ),
        (
            "conversation",
            [TALK, [TALK[0], {"role": "assistant", "content": None}], TALK],
            "client 'bob': 'content' in the field 'conversation' of record 1 is null",
        ),
        (
            "conversation",
            [[{"role": "user", "content": 1}]] * 3,
            "'content' in the field .* is of type int64, not text",
        ),
    ],
)
def test_a_null_or_a_number_where_text_is_due_is_refused_at_the_door(column, values, says):
    """From Python: with dataset, client and field. Columns that no prompt is made of are free."""
    table = pa.table({column: values, "n": [None, 1, None]})
    with pytest.raises(FedkitError, match=f"own, {says}" if says.startswith("client") else says):
        FederatedDataset.from_partition(table, natural(["ann", "bob", "bob"]), name="own")


@pytest.mark.parametrize(
    ("ids", "offsets"),
    [
        (["b", "a"], [0, 1, 4]),
        (["a", "a"], [0, 1, 4]),
        (["a", None], [0, 1, 4]),
        (["a", "b"], [0, 4, 4]),
        (["a", "b"], [0, 5, 4]),
        (["a", "b"], [1, 2, 4]),
        (["a", "b"], [0, 1, 3]),
        (["a"], [0, 1, 4]),
        ([], [0]),
    ],
)
def test_ids_and_offsets_ascend(small, ids, offsets):
    with pytest.raises(FedkitError, match="clients of small do not fit its 4 records"):
        FederatedDataset("small", small.table, pa.array(ids, pa.string()), np.array(offsets))


def test_sizes_are_computed_once(small):
    assert small.sizes is small.sizes and not small.sizes.flags.writeable
