"""Label shares and distances against values worked out by hand."""

import numpy as np
import pyarrow as pa
import pytest

from fedkit.analysis.heterogeneity import describe, label_shares, label_skew
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
    assert describe(split, "label") == {
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
