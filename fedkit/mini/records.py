"""The embedded world's records: one Parquet file of `records/` a corpus, by the name of its raw source.

They were generated from a seed by `python -m tools.world freeze` and are read as they are. Who writes how many of n
records is planned for each n, so a smaller corpus may not be the beginning of a larger one; then it has a file of its
own: `aya.parquet` has 4,000 records, `aya-1200.parquet` the 1,200 of the profile `smoke`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..common.errors import FedkitError, unknown

FOLDER = Path(__file__).parent / "records"
SIZE = b"fedkit.size"  # in a file's metadata: n of its generator; absent where the corpus has one size only
_ROWS = 512  # turned into Python objects at a time
# The embedded world has no parts of HH-RLHF: each of its training sources reads the same dialogues.
_SAME: Mapping[str, str] = MappingProxyType({"hh_rlhf_harmless": "hh_rlhf", "hh_rlhf_helpful": "hh_rlhf"})


def embedded_records(name: str, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """The records of the raw source `name` in the upstream schema, streamed, unchecked.

    `limit`: the corpus generated at that size where one is shipped, else the first `limit` of the largest. A set of one
    size, such as a benchmark's questions, gives all it has where `limit` is more. `FedkitError` for a name that the
    embedded world lacks, and for more records than the largest corpus of that name holds.
    """
    name = _SAME.get(name, name)
    whole, sized = FOLDER / f"{name}.parquet", FOLDER / f"{name}-{limit}.parquet"
    if not whole.is_file():
        known = sorted(path.stem for path in FOLDER.glob("*.parquet") if "-" not in path.stem)
        if not known:
            raise FedkitError(f"the embedded records are missing in {FOLDER}; reinstall fedkit with its package data")
        raise unknown("embedded corpus", name, [*known, *_SAME])
    return _rows(sized if sized.is_file() else whole, name, limit)


def _rows(path: Path, name: str, limit: int | None) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            held = file.metadata.num_rows
            if limit is not None and limit > held and SIZE in (file.metadata.metadata or {}):
                raise FedkitError(
                    f"the embedded corpus {name} holds {held:,} records at most, not {limit:,}; in a checkout run"
                    f" `python -m tools.world --only {name} --n {limit} --seed 0 --out DIR`, then pass --data-dir DIR"
                )
            batches = file.iter_batches(batch_size=_ROWS)
            yield from itertools.islice((row for batch in batches for row in batch.to_pylist()), limit)
    except (pa.ArrowException, OSError) as error:
        raise FedkitError(f"{path} cannot be read ({error}); reinstall fedkit") from error
