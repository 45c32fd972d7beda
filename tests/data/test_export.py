"""Exports: JSON, Parquet and a `datasets` folder come back equal, nested columns too, and mistakes are sentences."""

from __future__ import annotations

import pyarrow as pa
import pytest
from data_tools import build

from fedkit.common.errors import FedkitError
from fedkit.data import export as module
from fedkit.data.export import FORMATS, IMPORTS, as_table, export
from fedkit.data.federated import FederatedDataset
from fedkit.data.partitioners import natural
from fedkit.profiles import get_profile

SMOKE = get_profile("smoke")
NAMES = ("fed_aya", "fed_chatbot_pa", "fed_wildchat_multi")  # answers, pairs, conversations


@pytest.fixture(scope="module", params=NAMES)
def dataset(request) -> FederatedDataset:
    return build(request.param, SMOKE).dataset


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_comes_back_equal(dataset, form, tmp_path):
    path = export(dataset, form, tmp_path / "out" / "data")
    back = IMPORTS[form](path, name=dataset.name)
    assert back.fingerprint == dataset.fingerprint and back.clients == dataset.clients
    assert back.records(3) == dataset.records(3)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["data"]
    assert IMPORTS[form](export(dataset, form, path)).fingerprint == dataset.fingerprint  # again, over the old one


def test_the_table_has_its_owners(dataset):
    table = as_table(dataset)
    assert table.column_names == ["client_id", *dataset.table.column_names]
    assert table["client_id"].value_counts().field("counts").to_pylist() == dataset.sizes.tolist()
    assert table["client_id"].to_pylist() == sorted(table["client_id"].to_pylist())


def test_datasets_reads_the_folder(dataset, tmp_path, capsys):
    datasets = pytest.importorskip("datasets")
    silent = datasets.utils.are_progress_bars_disabled()
    loaded = datasets.load_from_disk(str(export(dataset, "disk", tmp_path / "d")))
    assert loaded.num_rows == dataset.n_records and loaded.column_names[0] == "client_id"
    assert {key: value for key, value in loaded[0].items() if key != "client_id"} == dataset.records(0)[0]
    assert not capsys.readouterr().err and datasets.utils.are_progress_bars_disabled() == silent


def test_an_export_is_read_as_a_release(dataset, tmp_path):
    """What is exported as JSON into the folder of the release builds the very same dataset."""
    places = {"fed_aya": "Fed-Aya/aya_x.json", "fed_chatbot_pa": "Fed-ChatbotPA/x.json"}
    export(dataset, "json", tmp_path / places.get(dataset.name, "Fed-WildChat/multi_turn/x.json"))
    again = build(dataset.name, SMOKE, data_dir=tmp_path)
    assert again.located.kind == "local" and again.drops.dropped == 0
    assert again.dataset.fingerprint == dataset.fingerprint


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.parquet").write_text("no parquet")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("years of work")
    plain = FederatedDataset.from_partition(pa.table({"q": ["a"]}), natural("a"), name="plain")
    owned = FederatedDataset.from_partition(pa.table({"client_id": ["a"]}), natural("a"), name="owned")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"q": ["a"]}), tmp_path / "other.parquet")
    pq.write_table(pa.table({"client_id": pa.array([], pa.string())}), tmp_path / "none.parquet")
    for work, says in (
        (lambda: module.import_parquet(tmp_path / "text.parquet"), "text.parquet is no readable Parquet file"),
        (lambda: module.import_parquet(tmp_path / "missing.parquet"), "missing.parquet is no readable"),
        (lambda: module.import_parquet(tmp_path / "other.parquet"), "no column 'client_id'"),
        (lambda: module.import_parquet(tmp_path / "none.parquet"), "no record"),
        (lambda: module.import_disk(tmp_path / "folder"), "no folder of datasets.save_to_disk"),
        (lambda: module.export_disk(plain, tmp_path / "folder"), "holds other files"),
        (lambda: export(plain, "csv", tmp_path / "x"), "unknown export format"),
        (lambda: export(owned, "parquet", tmp_path / "x"), "column 'client_id' of its own"),
    ):
        with pytest.raises(FedkitError, match=says) as caught:
            work()
        assert "\n" not in str(caught.value)
    assert (tmp_path / "folder" / "thesis.txt").read_text() == "years of work" and not (tmp_path / "x").exists()
