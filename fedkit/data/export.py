"""Federated datasets for other programs, and back: FedLLM-Bench's JSON, one Parquet file, or a `datasets` folder.

`python -m fedkit export fed_chatbot_it --profile mini --format parquet --out fed_chatbot_it.parquet`

JSON is `{client: [record, ...]}`; the other two are one table with the column `client_id`, clients in ascending order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from ..common.errors import FedkitError, unknown
from ..common.files import new_file, new_folder
from .arrow import BLOCK, values
from .federated import FederatedDataset
from .partitioners import natural
from .readers import parquet_room

OWNER = "client_id"


def as_table(dataset: FederatedDataset) -> pa.Table:
    """All records as one table, `client_id` before the dataset's own columns; `FedkitError` where it has that one."""
    if OWNER in dataset.table.column_names:
        raise FedkitError(f"{dataset.name} has a column {OWNER!r} of its own; rename it before the export")
    owner = dataset.ids.take(pa.array(np.repeat(np.arange(len(dataset)), dataset.sizes)))
    return dataset.table.add_column(0, OWNER, owner)


def from_table(table: pa.Table, name: str, where: str | Path) -> FederatedDataset:
    """A dataset of the rows of a table by its column `client_id`; `where` is named in a `FedkitError`."""
    if OWNER not in table.column_names or not table.num_rows:
        lack = "no record" if OWNER in table.column_names else f"no column {OWNER!r}"
        raise FedkitError(f"{where} has {lack}; give a file that fedkit exported, or name the column so")
    return FederatedDataset.from_partition(table.drop([OWNER]), natural(values(table[OWNER])), name=name)


def export_parquet(dataset: FederatedDataset, path: str | Path) -> Path:
    """One Parquet file; `import_parquet` reads it back equal."""
    import pyarrow.parquet as pq

    with new_file(path) as part:
        pq.write_table(as_table(dataset), part, row_group_size=BLOCK, compression="zstd")
    return Path(path)


def import_parquet(path: str | Path, *, name: str | None = None) -> FederatedDataset:
    """A dataset from a Parquet file with the column `client_id`; `FedkitError` for any other file."""
    import pyarrow.parquet as pq

    source = Path(path)
    try:
        with pq.ParquetFile(source) as file:
            parquet_room(source, file)
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise FedkitError(
            f"{source} is no readable Parquet file ({str(error).splitlines()[0]}); export it anew"
        ) from error
    return from_table(table, name or source.stem, source)


def export_disk(dataset: FederatedDataset, folder: str | Path) -> Path:
    """A folder by `datasets.Dataset.save_to_disk`; `datasets.load_from_disk` and `import_disk` read it."""
    import datasets

    table = as_table(dataset)
    with new_folder(folder, ours=lambda path: (path / "dataset_info.json").is_file()) as part, _silent():
        datasets.Dataset(datasets.table.InMemoryTable(table)).save_to_disk(part)
    return Path(folder)


def import_disk(folder: str | Path, *, name: str | None = None) -> FederatedDataset:
    """A dataset from a folder of `save_to_disk` with the column `client_id`; `FedkitError` for any other folder."""
    import datasets

    source = Path(folder)
    try:
        loaded = datasets.load_from_disk(source)
        table = loaded.with_format("arrow")[:]
    except (OSError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FedkitError(f"{source} is no folder of datasets.save_to_disk ({what}); export it anew") from error
    return from_table(table, name or source.name, source)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """No progress bars of `datasets`."""
    import datasets

    shown = not datasets.utils.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


FORMATS: Mapping[str, Callable[[FederatedDataset, str | Path], Path]] = MappingProxyType(
    {"json": FederatedDataset.export_json, "parquet": export_parquet, "disk": export_disk}
)
IMPORTS: Mapping[str, Callable[..., FederatedDataset]] = MappingProxyType(
    {"json": FederatedDataset.import_json, "parquet": import_parquet, "disk": import_disk}
)


def export(dataset: FederatedDataset, form: str, path: str | Path) -> Path:
    """Write a dataset in one of `FORMATS`; `FedkitError` for another, or where it cannot be written."""
    if form not in FORMATS:
        raise unknown("export format", form, FORMATS)
    return FORMATS[form](dataset, path)
