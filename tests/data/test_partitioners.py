"""Partitions: exact covers, the promised sizes and shares, and the same split from the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedkit.common.errors import FedkitError
from fedkit.data.partitioners import by_language, dirichlet, iid, natural, quantity_skew

SPLITS = st.tuples(st.integers(1, 12), st.integers(0, 60), st.floats(1e-3, 1e3), st.integers(0, 9))


def covers(partition, n_rows):
    """Every row exactly once; clients ordered; rows ascending."""
    rows = np.concatenate(list(partition.values()))
    assert sorted(rows.tolist()) == list(range(n_rows))
    assert list(partition) == sorted(partition)
    assert all((np.diff(own) > 0).all() for own in partition.values())


def same(one, other):
    return list(one) == list(other) and all(np.array_equal(one[c], other[c]) for c in one)


@settings(max_examples=40, deadline=None)
@given(SPLITS)
def test_artificial_splits_are_exact_covers_with_the_minimum(split):
    n_clients, more, alpha, seed = split
    minimum = 1 + seed % 3
    n_rows = n_clients * minimum + more
    labels = [i % 3 for i in range(n_rows)]
    for partition in (
        iid(n_rows, n_clients, seed=seed, minimum=minimum),
        dirichlet(labels, n_clients, alpha, seed=seed, minimum=minimum),
        quantity_skew(n_rows, n_clients, alpha, seed=seed, minimum=minimum),
    ):
        covers(partition, n_rows)
        assert len(partition) == n_clients
        assert min(map(len, partition.values())) >= minimum


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from("abcdé中"), min_size=1, max_size=50), st.integers(1, 5))
def test_natural_keeps_exactly_the_ids_with_the_minimum(ids, minimum):
    wanted = {i: [at for at, own in enumerate(ids) if own == i] for i in set(ids)}
    wanted = {i: rows for i, rows in wanted.items() if len(rows) >= minimum}
    if not wanted:
        with pytest.raises(FedkitError, match="no client has the"):
            natural(ids, minimum)
        return
    found = natural(ids, minimum)
    assert {i: rows.tolist() for i, rows in found.items()} == wanted
    assert list(found) == sorted(wanted)


@given(st.integers(1, 200), st.integers(1, 30), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_iid_sizes_differ_by_at_most_one(n_rows, n_clients, seed):
    if n_rows < n_clients:
        with pytest.raises(FedkitError, match="fewer clients"):
            iid(n_rows, n_clients, seed=seed)
        return
    sizes = [len(rows) for rows in iid(n_rows, n_clients, seed=seed).values()]
    assert max(sizes) - min(sizes) <= 1 and sum(sizes) == n_rows


def test_dirichlet_with_a_huge_alpha_has_the_shares_of_the_whole():
    """Shares drawn from Dir(alpha, ..., alpha) tend to 1/K: each client gets each label's count over K."""
    labels = np.repeat(["a", "b", "c"], [6000, 3000, 1000])
    for rows in dirichlet(labels, 5, 1e7, seed=0).values():
        shares = np.array([(labels[rows] == value).mean() for value in "abc"])
        np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], atol=0.003)


def test_dirichlet_with_a_small_alpha_puts_a_label_with_few_clients():
    labels = np.repeat(np.arange(4), 1000)
    top = []
    for seed in range(5):
        split = dirichlet(labels, 8, 0.01, seed=seed)
        counts = np.array([np.bincount(labels[rows], minlength=4) for rows in split.values()])
        top.append((counts.max(axis=0) / counts.sum(axis=0)).mean())
    assert np.mean(top) > 0.8  # a label's largest holder; 1/8 = 0.125 if shared evenly


def test_dirichlet_shares_have_the_mean_and_spread_of_the_distribution():
    """A share of Dir(alpha 1_K) has mean 1/K and variance (K - 1) / (K^2 (K alpha + 1))."""
    k, alpha, n = 4, 2.0, 2000
    shares = np.array([len(dirichlet([0] * n, k, alpha, seed=s)["client_0"]) / n for s in range(400)])
    assert shares.mean() == pytest.approx(1 / k, abs=0.03)
    assert shares.var() == pytest.approx((k - 1) / (k**2 * (k * alpha + 1)), rel=0.25)


def test_quantity_skew_varies_sizes_and_alpha_evens_them_out():
    even, skewed = ([len(rows) for rows in quantity_skew(10_000, 20, alpha, seed=1).values()] for alpha in (1e7, 0.1))
    assert sum(even) == sum(skewed) == 10_000
    assert max(even) - min(even) <= 10 and max(skewed) > 3 * 500


@pytest.mark.parametrize("alpha", [1e-300, 1e-8])
def test_a_vanishing_alpha_is_the_limit_not_a_fault(alpha):
    covers(dirichlet([0] * 30 + [1] * 30, 5, alpha, seed=0), 60)
    covers(quantity_skew(60, 5, alpha, seed=0), 60)


def test_the_seed_decides():
    labels = [i % 4 for i in range(200)]
    for make in (
        lambda seed: iid(200, 7, seed=seed),
        lambda seed: dirichlet(labels, 7, 0.5, seed=seed),
        lambda seed: quantity_skew(200, 7, 0.5, seed=seed),
    ):
        assert same(make(3), make(3))
        assert not same(make(3), make(4))


def test_by_language_pools_each_language():
    assert {k: v.tolist() for k, v in by_language(["fr", "en", "fr"]).items()} == {"en": [1], "fr": [0, 2]}


def test_names_of_artificial_clients_sort_as_numbers():
    assert list(iid(101, 101, seed=0))[:3] == ["client_000", "client_001", "client_002"]
    assert list(iid(101, 101, seed=0))[-1] == "client_100"


def test_a_hundred_thousand_clients():
    covers(iid(300_000, 100_000, seed=0), 300_000)
    covers(dirichlet(np.arange(300_000) % 8, 100_000, 0.1, seed=0), 300_000)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: iid(3, 4, seed=0), "3 records do not make 4 clients"),
        (lambda: iid(3, 0, seed=0), "at least 1"),
        (lambda: dirichlet([0] * 9, 5, 0.5, seed=0, minimum=2), "fewer clients or give more"),
        (lambda: dirichlet([0] * 9, 5, 0.0, seed=0), "alpha is 0.0"),
        (lambda: quantity_skew(9, 5, float("nan"), seed=0), "alpha is nan"),
        (lambda: natural([]), "no client"),
        (lambda: natural(["a", "b", "b"], 3), "the largest of 2 has 2.*lower minimum"),
    ],
)
def test_what_cannot_be_split_is_one_sentence(make, says):
    with pytest.raises(FedkitError, match=says):
        make()
