"""A small federation, short settings and exact comparisons for the tests of fedkit's core."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch

from fedkit.data.federated import FederatedDataset
from fedkit.training.models import initial_state
from fedkit.training.runs import RunConfig
from fedkit.training.specs import TrainSpec

LANGUAGES = ("en", "fr", "zh")
SHORT = TrainSpec(
    rounds=2,
    clients_per_round=2,
    local_steps=2,
    batch_size=2,
    max_length=256,
    lr_first=1e-2,
    lr_last=1e-3,
    template="alpaca_english",
)


def make_federation(sizes, name="toy"):
    """Clients a, b, ... of the given sizes; every record of the federation is different."""
    rows, partition = [], {}
    for k, size in enumerate(sizes):
        partition[chr(ord("a") + k)] = np.arange(len(rows), len(rows) + size)
        rows += [
            {"instruction": f"Count {i} in {k}.", "response": f"{i} and {k}", "language": LANGUAGES[k % 3]}
            for i in range(size)
        ]
    return FederatedDataset.from_partition(pa.Table.from_pylist(rows), partition, name=name)


def make_config(spec, federation, algorithm="fedavg", train=SHORT, seed=0, clients=None, privacy=None, **params):
    """A run of that algorithm, under a privacy mechanism where one is given."""
    return RunConfig(
        federation.name,
        federation.fingerprint,
        algorithm,
        spec,
        train,
        seed,
        params,
        clients,
        privacy=privacy and privacy.as_dict(),
    )


def random_state(model, seed=0, scale=0.05):
    """An adapter of the model's shapes whose A and B are both random."""
    made = torch.Generator().manual_seed(seed)
    start = initial_state(model, seed)
    return {name: t + scale * torch.randn(t.shape, generator=made) for name, t in start.items()}


def same(a, b):
    """Whether two states hold the same bits under the same names."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def largest(a, b):
    """The largest difference of two states' entries."""
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def without_time(history):
    """History lines less what a clock wrote into them."""
    if isinstance(history, list):
        return [without_time(x) for x in history]
    if isinstance(history, dict):
        return {k: without_time(v) for k, v in history.items() if k != "seconds"}
    return history
