"""Privacy in numbers: the published formula, the accountant against dp-accounting's own figures, clipping."""

from __future__ import annotations

import math

import pytest
import torch

from fedkit.aggregators import norm
from fedkit.errors import FedkitError
from fedkit.privacy import Sampling, adapted_bound, claimed_epsilon, clipped, epsilon, noise_multiplier, paper_sigma

BENCH = dict(sampled=0.05, rounds=100, lr=2e-5, clip=1.0, records=52_703, clients=100)
FIVE = Sampling("poisson", 5, 100)


def test_the_papers_sigma_with_its_own_numbers():
    """7.28e-7 / epsilon, worked out by hand in the notes on the two systems."""
    by_hand = 2 * 2e-5 / 527.03 * math.sqrt(2 * 0.05 * 100 * math.log(1e4))
    for target in (1e-3, 1.0):
        assert paper_sigma(target, 1e-4, **BENCH) == pytest.approx(by_hand / target)
    assert paper_sigma(1.0, 1e-4, **BENCH) == pytest.approx(7.28e-7, rel=1e-2)
    assert claimed_epsilon(paper_sigma(0.3, 1e-4, **BENCH), 1e-4, **BENCH) == pytest.approx(0.3)


@pytest.mark.parametrize(("change", "message"), [({"lr": 0}, "lr is 0"), ({"sampled": 1.5}, "share of clients 1.5")])
def test_the_papers_sigma_refuses(change, message):
    with pytest.raises(FedkitError, match=message):
        paper_sigma(1.0, 1e-4, **BENCH | change)


@pytest.mark.parametrize(("z", "expected"), [(0.5, 15.3), (1.0, 2.87), (2.0, 0.90)])
def test_epsilon_of_poisson_sampling(z, expected):
    """q = 5/100, 100 rounds, delta = 1e-4, as dp-accounting's PLD accountant gave them apart from this code."""
    assert epsilon(z, FIVE, 100, 1e-4) == pytest.approx(expected, rel=6e-3)


@pytest.mark.parametrize(("z", "expected"), [(0.5, 32.0), (1.0, 5.70)])
def test_epsilon_of_fixed_size_sampling(z, expected):
    assert epsilon(z, Sampling("fixed", 5, 100), 100, 1e-4) == pytest.approx(expected, rel=6e-3)


def test_epsilon_is_the_gaussian_mechanisms_where_everyone_takes_part_once():
    """Phi(1/(2z) - eps z) - exp(eps) Phi(-1/(2z) - eps z) for one round of all clients (Balle and Wang 2018)."""
    from scipy.stats import norm as gauss

    z, delta = 1.3, 1e-5
    found = epsilon(z, Sampling("poisson", 10, 10), 1, delta)
    exact = gauss.cdf(1 / (2 * z) - found * z) - math.exp(found) * gauss.cdf(-1 / (2 * z) - found * z)
    assert exact == pytest.approx(delta, rel=2e-2)


@pytest.mark.parametrize(("target", "expected"), [(1.0, 1.860), (10.0, 0.590)])
def test_noise_for_a_target(target, expected):
    z = noise_multiplier(target, FIVE, 100, 1e-4)
    assert z == pytest.approx(expected, rel=5e-3)
    assert epsilon(z, FIVE, 100, 1e-4) <= target * 1.001
    assert epsilon(0.99 * z, FIVE, 100, 1e-4) > target


def test_no_noise_no_privacy_and_more_rounds_less():
    assert epsilon(0.0, FIVE, 1, 1e-4) == math.inf
    assert epsilon(1.0, FIVE, 10, 1e-4) < epsilon(1.0, FIVE, 40, 1e-4) < epsilon(0.8, FIVE, 40, 1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: epsilon(1.0, Sampling("fixed", 5, 100, secret=False), 10, 1e-4), "not secret.* no epsilon is stated"),
        (lambda: Sampling("shuffled", 5, 100), "unknown sampling 'shuffled'; known: fixed, poisson"),
        (lambda: Sampling("fixed", 0, 100), "draws 0 of 100"),
        (lambda: epsilon(1.0, FIVE, 0, 1e-4), "rounds is 0"),
        (lambda: epsilon(1.0, FIVE, 10, 1.0), "delta is 1.0"),
        (lambda: epsilon(-1.0, FIVE, 10, 1e-4), "noise multiplier is -1.0"),
        (lambda: noise_multiplier(0.0, FIVE, 10, 1e-4), "target epsilon is 0.0"),
    ],
)
def test_what_is_not_covered_gets_no_number(call, message):
    with pytest.raises(FedkitError, match=message):
        call()


def test_clipping_bounds_the_whole_update_and_keeps_its_direction():
    update = {"a": torch.tensor([3.0, 0.0]), "b": torch.tensor([[4.0]])}
    small, size = clipped(update, 1.0)
    assert size == 5.0 and norm(small) == pytest.approx(1.0)
    assert torch.allclose(small["a"] / small["b"].squeeze(), torch.tensor([0.75, 0.0]))
    same, _ = clipped(update, 5.0)
    assert all(torch.equal(same[k], update[k]) for k in update)
    nothing, size = clipped({"a": torch.zeros(2)}, 1.0)
    assert size == 0 and not nothing["a"].any()
    with pytest.raises(FedkitError, match="bound is 0"):
        clipped(update, 0)


def test_the_bound_comes_to_rest_at_the_quantile():
    """Norms 1 ... 100: a bound that adapts to the median ends between 45 and 55, from above and from below."""
    for bound in (1.0, 1000.0):
        for _ in range(200):
            below = sum(size <= bound for size in range(1, 101)) / 100
            bound = adapted_bound(bound, below, quantile=0.5, rate=0.2)
        assert 45 < bound < 55
    assert adapted_bound(2.0, 0.5, quantile=0.5, rate=0.2) == 2.0
