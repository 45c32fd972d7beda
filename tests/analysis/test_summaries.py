"""Sizes, label shares, distances and means by client against values worked out by hand."""

import numpy as np
import pyarrow as pa
import pytest

from fedkit.analysis.measures import gini
from fedkit.analysis.summaries import (
    client_means,
    describe_sizes,
    describe_split,
    label_shares,
    label_skew,
    lorenz,
    mean_and_sd,
)
from fedkit.common.errors import FedkitError
from fedkit.data.federated import FederatedDataset
from fedkit.data.partitioners import by_language, dirichlet, iid, natural


def dataset(labels, parts):
    return FederatedDataset.from_partition(pa.table({"label": labels}), parts, name="t")


def test_shares_and_distance_of_a_split_worked_out_by_hand():
    # a: x x y y; b: x x. All: x 2/3, y 1/3. Distances: a |1/2 - 2/3| = 1/6; b |1 - 2/3| = 1/3; mean 1/4.
    split = dataset(list("xxyyxx"), {"a": np.arange(4), "b": np.arange(4, 6)})
    assert label_shares(split, "label").to_dict("list") == {"x": [0.5, 1.0], "y": [0.5, 0.0]}
    assert label_skew(split, "label") == pytest.approx(1 / 4)
    assert describe_split(split, "label") == {
        "clients": 2,
        "smallest client": 2,
        "median client": 3.0,
        "largest client": 4,
        "labels a client": 1.5,
        "label distance": pytest.approx(1 / 4),
    }


def test_one_client_is_the_whole_and_one_label_a_client_is_the_extreme():
    labels = [f"l{i % 5}" for i in range(100)]
    assert label_skew(dataset(labels, natural(["all"] * 100)), "label") == pytest.approx(0.0)
    assert label_skew(dataset(labels, by_language(labels)), "label") == pytest.approx(1 - 1 / 5)


def test_whole_numbers_are_labels_too_and_dirichlet_is_further_from_the_whole_than_iid():
    labels = np.arange(2000) % 4
    near = label_skew(dataset(labels, iid(2000, 10, seed=0)), "label")
    far = label_skew(dataset(labels, dirichlet(labels, 10, 0.1, seed=0)), "label")
    assert near < 0.1 < 0.4 < far


def test_an_unknown_column_is_named():
    with pytest.raises(FedkitError, match="unknown column of t 'lang'; known: label"):
        label_shares(dataset(["x"], {"a": np.array([0])}), "lang")


def test_sizes_in_numbers():
    described = describe_sizes([1] * 18 + [31, 51])
    assert described["clients"] == 20 and described["records"] == 100 and described["mean"] == 5.0
    assert described["smallest"] == 1 and described["median"] == 1.0 and described["largest"] == 51
    assert described["held by the largest tenth"] == pytest.approx(0.82)
    assert described["sd"] == pytest.approx(np.std([1] * 18 + [31, 51]))
    with pytest.raises(FedkitError, match="no clients"):
        describe_sizes([])


def test_gini_is_one_less_twice_the_area_under_the_lorenz_curve():
    sizes = [3, 1, 4, 1, 5, 9, 2, 6]
    clients, records = lorenz(sizes)
    assert clients[0] == records[0] == 0 and clients[-1] == records[-1] == 1
    assert gini(sizes) == pytest.approx(1 - 2 * np.trapezoid(records, clients))


def test_means_by_client_and_over_clients():
    # Client 0: 1, 3 -> 2; client 1: 8 -> 8; client 2 has none. Over clients: mean 5, sd 3; over records: mean 4.
    means = client_means([1, 3, 8], [0, 0, 1], 3)
    assert means[:2].tolist() == [2.0, 8.0] and np.isnan(means[2])
    assert mean_and_sd([1, 3, 8], [0, 0, 1], 2) == (5.0, 3.0)
    assert mean_and_sd([1, 3, 8, np.nan], [0, 0, 1, 1], 3) == (5.0, 3.0)
    with pytest.raises(FedkitError, match="no client has a value"):
        mean_and_sd([np.nan], [0], 1)
    with pytest.raises(FedkitError, match="2 values have 1 owners"):
        client_means([1, 2], [0], 1)
