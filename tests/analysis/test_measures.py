"""Numbers of diversity against closed forms, identities and trusted libraries; permutation tests; views on disk."""

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import mutual_info_score, silhouette_score

from fedkit.analysis.chance import against, permutation_test, quantity_test
from fedkit.analysis.measures import (
    entropy,
    gini,
    js_divergence,
    label_divergence,
    pairwise_js_divergence,
    silhouette,
    size_gini,
    variance_between,
)
from fedkit.analysis.views import COLUMNS, collect, heterogeneity_table, quantity_view, read_views, view, write_views
from fedkit.common.errors import FedkitError
from fedkit.common.files import write_sealed
from fedkit.data.federated import FederatedDataset


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def federation(sizes, name="t"):
    ends = np.cumsum([0, *sizes])
    parts = {f"c{i:03d}": np.arange(ends[i], ends[i + 1]) for i in range(len(sizes))}
    return FederatedDataset.from_partition(pa.table({"row": np.arange(ends[-1])}), parts, name=name)


def owners(sizes):
    return np.repeat(np.arange(len(sizes)), sizes)


def test_entropy_in_bits():
    assert entropy([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.25, 0.25, 0]]).tolist() == [2.0, 0.0, 1.5]


def test_divergence_of_two_clients_is_scipys(rng):
    p = rng.dirichlet(np.ones(6), size=2)
    assert js_divergence(p) == pytest.approx(jensenshannon(*p, base=2) ** 2)
    assert pairwise_js_divergence(p) == pytest.approx(js_divergence(p))


def test_divergence_worked_out_by_hand():
    assert js_divergence([[1, 0], [0, 1]]) == pytest.approx(1.0)  # a client tells its label: H of the weights
    assert js_divergence([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) == pytest.approx(2.0)
    assert js_divergence([[0.3, 0.7], [0.3, 0.7]]) == pytest.approx(0.0, abs=1e-12)
    # Weights 3/4 and 1/4: mixture (3/4, 1/4), both clients pure, so H(3/4) = 2 - (3/4) log2 3.
    assert js_divergence([[1, 0], [0, 1]], [3, 1]) == pytest.approx(2 - 0.75 * np.log2(3))
    assert js_divergence([[1, 0], [0, 1]], [3, 1], normalise=True) == pytest.approx(1.0)
    assert js_divergence([[1.0], [1.0]], normalise=True) == 0.0  # one label: no entropy to share out


def test_mean_over_pairs(rng):
    p = rng.dirichlet(np.ones(4), size=5)
    pairs = [js_divergence(p[[i, j]]) for i in range(5) for j in range(i)]
    assert pairwise_js_divergence(p) == pytest.approx(np.mean(pairs))


def test_divergence_of_labels_is_mutual_information_and_that_of_shares(rng):
    owner, label = rng.integers(0, 9, 500), rng.integers(0, 5, 500) ** 2
    value = label_divergence(label.tolist())(owner)
    assert value == pytest.approx(mutual_info_score(owner, label) / np.log(2))
    counts = np.zeros((9, 17))
    np.add.at(counts, (owner, label), 1)
    sizes = counts.sum(axis=1)
    assert value == pytest.approx(js_divergence(counts / sizes[:, None], sizes))
    relative = label_divergence(label.tolist(), normalise=True)(owner)
    assert relative == pytest.approx(js_divergence(counts / sizes[:, None], sizes, normalise=True))
    assert label_divergence([("ask", None)] * 500)(owner) == 0.0


def test_variance_between_is_that_of_the_analysis_of_variance(rng):
    owner = np.sort(rng.integers(0, 6, 80))
    x = rng.normal(size=80) + owner / 3
    k, n, eta = 6, 80, variance_between(x)(owner)
    f = stats.f_oneway(*(x[owner == i] for i in range(k))).statistic
    assert f == pytest.approx((eta / (k - 1)) / ((1 - eta) / (n - k)))


def test_variance_between_by_hand():
    # Means 1 and 3 about 2: SS_between 4, SS_total 4 + 4 x 1/4 = 5.
    assert variance_between([0.5, 1.5, 2.5, 3.5])([0, 0, 1, 1]) == pytest.approx(0.8)
    assert variance_between([1, 1, 5, 5])([0, 0, 1, 1]) == pytest.approx(1.0)
    assert variance_between([1, 2, 1, 2])([0, 0, 1, 1]) == pytest.approx(0.0)
    assert variance_between([4, 4, 4, 4])([0, 0, 1, 1]) == 0.0


def test_permuted_owners_expect_the_known_bias(rng):
    """Permutation mean of eta squared is (k - 1) / (n - 1) exactly, whatever the sizes and values."""
    sizes = [2, 3, 5, 30, 60]
    result = permutation_test(variance_between(rng.exponential(size=100)), owners(sizes), permutations=2000)
    spread = (result.control_high - result.control_low) / 4 / np.sqrt(2000)  # a rough standard error
    assert abs(result.control_mean - 4 / 99) < 5 * spread


def test_silhouette_is_sklearns_and_its_distances_are_made_once(rng):
    x = rng.normal(size=(60, 5))
    owner = rng.integers(0, 4, 60)
    score = silhouette(x)
    assert score(owner) == pytest.approx(silhouette_score(x, owner, metric="cosine"))
    assert silhouette(x, metric="euclidean")(owner) == pytest.approx(silhouette_score(x, owner))
    shuffled = rng.permutation(owner)
    assert score(shuffled) == pytest.approx(silhouette_score(x, shuffled, metric="cosine"))


def test_gini_by_hand_and_by_its_definition(rng):
    assert gini([5, 5, 5]) == pytest.approx(0.0)
    assert gini([0, 0, 9]) == pytest.approx(2 / 3)
    x = rng.integers(1, 100, 30)
    assert gini(x) == pytest.approx(np.abs(x[:, None] - x).mean() / (2 * x.mean()))


def test_a_permutation_keeps_sizes_and_records_and_depends_on_the_seed_alone(rng):
    owner = owners([1, 4, 15])
    seen = []
    values = rng.normal(size=20)
    share = variance_between(values)

    def statistic(who):
        seen.append(who)
        return share(who)

    first = permutation_test(statistic, owner, permutations=9, seed=3)
    assert len(seen) == 10 and all(np.bincount(who).tolist() == [1, 4, 15] for who in seen)
    assert len({tuple(who) for who in seen}) == 10
    assert permutation_test(share, owner, permutations=9, seed=3) == first
    assert permutation_test(share, owner, permutations=9, seed=4).control_mean != first.control_mean


def test_p_counts_the_controls_that_reach_the_value():
    result = against(2.0, [1.0, 2.0, 3.0, 0.0])
    assert result.p == pytest.approx((1 + 2) / (4 + 1)) and result.control_mean == 1.5 and result.permutations == 4
    assert against(0.1 + 0.2, [0.3]).p == 1.0  # equal up to rounding


def test_separated_clients_are_told_from_iid_ones(rng):
    owner = owners([20] * 5)
    apart = permutation_test(variance_between(owner + 0.1 * rng.normal(size=100)), owner)
    assert apart.p == pytest.approx(1 / 201) and apart.value > apart.control_high and apart.excess > 0.8
    # Under the hypothesis p is uniform: of 40 tests some lie in each half.
    ps = [permutation_test(variance_between(rng.normal(size=100)), owner, 39).p for _ in range(40)]
    assert 8 <= sum(p <= 0.5 for p in ps) <= 32


def test_one_label_for_all_is_no_evidence():
    result = permutation_test(label_divergence(["en"] * 30), owners([10, 20]), permutations=20)
    assert (result.value, result.control_high, result.p) == (0.0, 0.0, 1.0)


def test_quantity_against_uniform_clients():
    assert quantity_test([1, 1, 1, 97]).p == pytest.approx(1 / 201)
    even = quantity_test([25, 25, 25, 25])
    assert even.value == 0.0 and even.p == 1.0 and even.control_mean > 0


def test_views_are_rows_and_count_what_is_left_out(rng):
    data = federation([3, 4, 5])
    labels = ["a", None, "b"] * 4
    values = np.where(np.arange(12) == 11, np.nan, rng.normal(size=12))
    vectors = rng.normal(size=(12, 3))
    views = [
        view(data, "root verb", labels, owners([3, 4, 5]), by="divergence", permutations=19),
        view(data, "IFD", values, owners([3, 4, 5]), by="variance", permutations=19),
        view(data, "embedding", vectors, owners([3, 4, 5]), by="silhouette", per_client=3, permutations=19),
        view(data, "embedding", vectors, owners([3, 4, 5]), by="variance", permutations=19),
        quantity_view(data, permutations=19),
    ]
    table = heterogeneity_table(views)
    assert tuple(table.columns) == COLUMNS
    assert table["records"].tolist() == [8, 11, 9, 12, 12] and table["left_out"].tolist() == [4, 1, 3, 0, 0]
    assert (table["clients"] == 3).all() and (table["permutations"] == 19).all()
    kept = [label for label in labels if label is not None]
    mine = owners([3, 4, 5])[[label is not None for label in labels]]
    assert table["value"][0] == pytest.approx(label_divergence(kept)(mine))
    assert table["value"][1] == pytest.approx(variance_between(values[:11])(owners([3, 4, 4])))
    assert table["value"][3] == pytest.approx(variance_between(vectors)(owners([3, 4, 5])))
    assert table["value"][4] == pytest.approx(gini([3, 4, 5])) == size_gini(owners([3, 4, 5]))


def test_vectors_are_drawn_from_clients_with_two_records_within_the_bound(rng):
    sizes = [1] * 30 + [2] * 20 + [50] * 10
    vectors = rng.normal(size=(570, 4))
    drawn = view(federation(sizes), "embedding", vectors, owners(sizes), by="silhouette", records=60)
    assert drawn.records <= 60 and 2 <= drawn.clients < 30 and drawn.left_out == 570 - drawn.records


def test_kept_views_are_those_of_the_very_dataset(tmp_path):
    data, other = federation([3, 4]), federation([4, 3])
    views = [quantity_view(d, permutations=9) for d in (data, other)]
    paths = write_views(tmp_path, views)
    assert [path.name.endswith("-quantity.json") for path in paths] == [True, True] and len(set(paths)) == 2
    assert read_views(tmp_path, [data]) == views[:1]
    again = quantity_view(data, permutations=19)
    write_views(tmp_path, [again])  # in the place of the view of before
    assert read_views(tmp_path, [data, other]) == [again, views[1]]
    assert collect(tmp_path, [data])["permutations"].tolist() == [19]
    assert collect(tmp_path, [federation([7])]).empty


def test_a_broken_view_is_named(tmp_path):
    data = federation([3, 4])
    path = write_views(tmp_path, [quantity_view(data, permutations=9)])[0]
    whole = path.read_text()
    changed = whole.replace('"clients": 2', '"clients": 9')
    assert changed != whole
    for text in (changed, whole[:-9], json.dumps({"dataset": "t"})):
        path.write_text(text)
        with pytest.raises(FedkitError, match=f"{path.name} is not as it was written .*run its notebook again"):
            collect(tmp_path, [data])
    write_sealed(path, {"dataset": "t"})
    with pytest.raises(FedkitError, match=f"{path.name}: no readable view"):
        collect(tmp_path, [data])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: js_divergence([[0.5, 0.4]]), "sum to 1"),
        (lambda: js_divergence([[1.0], [1.0]], [1, 2, 3]), "for 2 clients"),
        (lambda: pairwise_js_divergence([[1.0]]), "two clients"),
        (lambda: variance_between([1.0, np.nan])([0, 1]), "one finite number"),
        (lambda: variance_between([1.0, 2.0])([0, 1, 1]), "3 owners"),
        (lambda: silhouette(np.eye(3))([0, 0, 0]), "two clients"),
        (lambda: gini([]), "Gini"),
        (lambda: gini([-1, 2]), "Gini"),
        (lambda: quantity_test([1, 2], permutations=0), "at least 1"),
        (lambda: view(federation([2]), "IFD", [1.0, 2.0], [0, 0], by="mean"), "unknown measure 'mean'"),
        (
            lambda: view(federation([2]), "verb", [None, None], [0, 0], by="divergence"),
            "view verb: no record has a value",
        ),
        (lambda: view(federation([2]), "IFD", [1.0, 2.0], [0], by="variance"), "view IFD: 2 values have 1 owners"),
    ],
)
def test_mistakes_are_sentences(call, message):
    with pytest.raises(FedkitError, match=message):
        call()


def test_vectors_share_their_variance_as_their_dimensions_do(rng):
    """SS_between and SS_total add over dimensions, so the share is the total-weighted mean of the columns' shares."""
    x, owner = rng.normal(size=(60, 3)) * [1.0, 2.0, 0.5], rng.integers(0, 5, size=60)
    shares = np.array([variance_between(column)(owner) for column in x.T])
    totals = ((x - x.mean(axis=0)) ** 2).sum(axis=0)
    assert variance_between(x)(owner) == pytest.approx(float(shares @ totals / totals.sum()))
