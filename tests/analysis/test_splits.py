"""Splits from iid to natural, against values worked out by hand."""

import numpy as np
import pyarrow as pa
import pytest

from fedkit.analysis.measures import gini, label_divergence, size_gini
from fedkit.analysis.splits import ALPHAS, split_measures, split_owners, split_stops
from fedkit.common.errors import FedkitError
from fedkit.data.federated import FederatedDataset


def labelled(sizes, kinds):
    labels = np.repeat([f"l{i % kinds}" for i in range(len(sizes))], sizes)
    ends = np.cumsum([0, *sizes])
    parts = {f"c{i:03d}": np.arange(ends[i], ends[i + 1]) for i in range(len(sizes))}
    return FederatedDataset.from_partition(pa.table({"language": labels}), parts, name="t"), labels


def test_the_ends_are_the_iid_and_the_natural_split():
    data, labels = labelled([10, 20, 70, 100], 4)
    assert split_owners(data, "natural").tolist() == np.repeat(range(4), [10, 20, 70, 100]).tolist()
    assert np.bincount(split_owners(data, "iid")).tolist() == [50] * 4
    for split in ("iid", 10.0, 0.1):
        assert len(np.unique(split_owners(data, split))) == 4 and len(split_owners(data, split)) == 200
    curve = split_measures(data, {"labels": label_divergence(labels.tolist()), "sizes": size_gini}, draws=3)
    assert curve["split"].unique().tolist() == ["iid", "100", "10", "1", "0.3", "0.1", "natural"]
    assert len(curve) == (3 * (1 + len(ALPHAS)) + 1) * 2
    natural = curve[curve["split"] == "natural"].set_index("measure")["value"]
    assert natural["sizes"] == pytest.approx(gini([10, 20, 70, 100]))
    shares = np.array([10, 20, 70, 100]) / 200  # one label a client: all of the labels' entropy is between clients
    assert natural["labels"] == pytest.approx(-(shares * np.log2(shares)).sum())
    means = curve.groupby(["measure", "split"])["value"].mean()
    assert means["labels", "iid"] < means["labels", "1"] < means["labels", "0.1"]
    assert means["sizes", "iid"] == pytest.approx(0.0)


def test_a_split_is_by_the_labels_that_it_is_given():
    data, _ = labelled([50, 50], 1)
    topic = ["a", "b"] * 50
    by_topic = label_divergence(topic)
    assert by_topic(split_owners(data, 0.01, labels=topic, seed=1)) > 0.5 > by_topic(split_owners(data, "iid"))
    assert split_owners(data, 0.5, seed=1).tolist() != split_owners(data, 0.5, seed=2).tolist()


def test_mistakes_are_sentences():
    data, _ = labelled([5, 5], 1)
    with pytest.raises(FedkitError, match="unknown split 'dirichlet'"):
        split_owners(data, "dirichlet")
    with pytest.raises(FedkitError, match="3 labels for 10 records"):
        split_owners(data, 0.1, labels=["a"] * 3)
    without = FederatedDataset.from_partition(pa.table({"x": [1, 2]}), {"a": np.arange(2)}, name="t")
    with pytest.raises(FedkitError, match="no column language"):
        split_owners(without, 1.0)
    assert split_stops([0.1, 5]) == ["iid", 5.0, 0.1, "natural"]
