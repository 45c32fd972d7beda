"""Every dataset on 10,000 malformed records of every schema that it reads: no crash, and every record accounted for.

The pairs of dataset and source come from the registry, so a new dataset is fuzzed too.
"""

from __future__ import annotations

import copy
import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fedkit.common.errors import FedkitError
from fedkit.data import place as module
from fedkit.data.datasets.base import EXCLUDED, Dealt, People
from fedkit.data.datasets.built import Cut
from fedkit.data.datasets.registry import DATASETS, SOURCES
from fedkit.data.place import Place
from fedkit.profiles import get_profile

BATCH, BATCHES, AGAIN = 250, 40, 8  # records a batch; batches of a schema, and for each further dataset that reads it
HUGE = "a" * 300_000
SMOKE = get_profile("smoke")
PARTS = {"hh_rlhf_harmless": {"part": "harmless"}, "hh_rlhf_helpful": {"part": "helpful"}}  # what reads a source


def cases() -> list[tuple[str, str, int]]:
    """(dataset, source, batches) of all that is trained on; test sets have tests of their own."""
    pairs = [(name, source.name) for name, dataset in DATASETS.items() for source in dataset.sources]
    trained = [pair for pair in pairs if not pair[1].endswith(("_test", "_heldout", "tfns"))]
    seen = [source for _, source in trained]
    return [(*pair, AGAIN if pair[1] in seen[:i] else BATCHES) for i, pair in enumerate(trained)]


@cache
def sound(name: str, source: str) -> tuple[dict[str, Any], ...]:
    """Some records of the schema as upstream has them: the embedded world's, or a build's own for a release."""
    if SOURCES[source].embedded:
        return tuple(Place(embedded=True).records(source, limit=200))
    built = DATASETS[name].build(Place(embedded=True), SMOKE.dataset(name).cut, minimum=5).dataset
    return tuple({**row, "client_id": client} for client in built.clients[:10] for row in built.records(client)[:20])


ODD_TEXT = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(categories=["Cs", "Cc", "Zs", "Mn", "So", "Lo"]), max_size=10),
    st.sampled_from(["", " ", "\n\t", "\u200b", "\u202e", "\ufeff", "\x00", "\ud800", "🏳️‍🌈" * 50]),
    st.sampled_from(["user", "assistant", "system", "human", "gpt", "tie", "model_a", "English", "und", "zho"]),
)
ODD = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([10**40, -1, 0, b"\xff\x00", datetime.datetime(2023, 4, 9), datetime.date(1, 1, 1)]),
        st.floats(),
        ODD_TEXT,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["role", "content", "from", "value", "hashed_ip", ""]), inner, max_size=4),
    ),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to every value inside a record."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, part in inner for found in ((*path, key), *places(part, (*path, key)))]


def spoil(record: dict[str, Any], odd: list[Any], rng: np.random.Generator) -> Any:
    """The record with up to three faults: odd, lost and added fields; turns lost, repeated, nested or out of order."""
    made: Any = copy.deepcopy(record)
    for _ in range(rng.integers(0, 4)):
        paths = places(made)
        if not paths:
            break
        *path, last = paths[rng.integers(len(paths))]
        holder = made
        for key in path:
            holder = holder[key]
        fault = rng.integers(6)
        value = copy.deepcopy(odd[rng.integers(len(odd))])  # or it would be changed for later records, or hold itself
        if fault == 0:
            del holder[last]
        elif fault == 1 and isinstance(holder[last], list):
            rng.shuffle(holder[last])
        elif fault == 2 and isinstance(holder, list):
            holder.insert(int(rng.integers(len(holder) + 1)), copy.deepcopy(holder[last]))
        elif fault == 3:
            holder[last] = [copy.deepcopy(holder[last])]
        elif fault == 4 and isinstance(holder, dict):
            holder[str(rng.integers(9))] = value
        else:
            holder[last] = value
    return copy.deepcopy(odd[rng.integers(len(odd))]) if rng.random() < 0.05 else made


def lay(folder: Path, *names: str) -> None:
    """Empty files, so that these sources are found there; what is read of them is given by the test."""
    for name in names:
        pattern = next(file for file in SOURCES[name].files if ".json" in file)
        file = folder / pattern.replace("*", "x")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")


def check_text(value: Any) -> None:
    """Text is not blank and can be written down, at any depth."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        assert value
        for part in value:
            check_text(part)
    else:
        assert isinstance(value, str) and value.strip()
        value.encode()


@pytest.mark.parametrize(("name", "source", "batches"), cases())
def test_no_record_is_lost(name, source, batches, tmp_path, monkeypatch):
    given_rows: list[Any] = []

    def local(located, limit):
        return iter(given_rows if located.source.name == source else sound(name, located.source.name))

    monkeypatch.setattr(module, "_KINDS", {**module._KINDS, "local": local})
    dataset, good, read = DATASETS[name], sound(name, source), []
    cut = Cut(n_clients=2) if isinstance(dataset, Dealt) else Cut()
    place, part = Place(tmp_path, embedded=True), PARTS.get(source, {})
    lay(tmp_path, source)
    try:
        given_rows[:] = good
        dataset.build(place, cut, **part)
    except FedkitError:  # a dataset of several sources takes all of them from the folder, or none
        lay(tmp_path, *(each.name for each in dataset.sources))

    @settings(
        max_examples=batches,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # a batch of 250 shrinks badly
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )
    @given(odd=st.lists(ODD, min_size=8, max_size=16), seed=st.integers(0, 2**32))
    def batch(odd, seed):
        rng = np.random.default_rng(seed)
        rows = [spoil(good[rng.integers(len(good))], odd, rng) for _ in range(BATCH)]
        rows.append(spoil(good[0], [HUGE], rng))
        given_rows[:] = [*rows, *(copy.deepcopy(good[i]) for i in range(10))]
        built = dataset.build(place, cut, **part)
        drops, own = built.drops, built.dataset
        read.append(drops.read)
        assert drops.read >= len(given_rows) and drops.kept + drops.dropped == drops.read
        assert drops.kept == own.n_records == own.sizes.sum()
        assert all(reason and count > 0 for reason, count, _ in drops.rows)
        if isinstance(dataset, People):
            form = next(form for form in dataset.forms if form.source == built.located.source)
            known = {*form.reasons, EXCLUDED, f"{dataset.who} with fewer than 1"}
            assert {reason for reason, _, _ in drops.rows} <= known
            assert drops.read == len(given_rows)
        for row in own.table.to_pylist():
            check_text(list(row.values()))
        assert len(own.fingerprint) == 64

    batch()
    assert sum(read) >= BATCH * batches  # hypothesis ran them all
