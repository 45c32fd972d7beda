"""Privacy in numbers: the published formula, the accountant against dp-accounting's own figures, clipping."""

from __future__ import annotations

import math

import dp_accounting as dp
import numpy as np
import pytest
import torch
from dp_accounting.rdp import RdpAccountant

from fedkit.algorithms.aggregators import norm
from fedkit.algorithms.registry import make_algorithm
from fedkit.common.errors import FedkitError
from fedkit.privacy import Sampling, adapted_bound, claimed_epsilon, clipped, epsilon, noise_multiplier, paper_sigma
from fedkit.privacy.accounting import _composed
from fedkit.privacy.user_level import UserLevelDP

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


@pytest.mark.parametrize(("z", "expected"), [(1.0, 32.0), (2.0, 5.70)])
def test_epsilon_of_fixed_size_sampling(z, expected):
    """dp-accounting's RDP gives these for multipliers 0.5 and 1 over the sensitivity, which is 2 S."""
    assert epsilon(z, Sampling("fixed", 5, 100), 100, 1e-4) == pytest.approx(expected, rel=6e-3)


@pytest.mark.parametrize(
    ("z", "sampling", "delta"),
    [(0.5, Sampling("poisson", 1, 5), 0.15594), (math.sqrt(3), Sampling("poisson", 1, 1), 0.126936)],
)
def test_published_examples(z, sampling, delta):
    """dp-accounting's pld_privacy_accountant_test.py: three rounds at q = 0.2 and three of everybody, epsilon 1."""
    assert epsilon(z, sampling, 3, delta) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("z", [0.7, 1.3, 3.0])
def test_fixed_size_covers_a_replaced_client(z):
    """Everybody, one round: the sum moves by 2 S, and delta of N(0, z^2) against N(2, z^2) is spent to the last bit."""
    from scipy.stats import norm as gauss

    found = epsilon(z, Sampling("fixed", 10, 10), 1, 1e-5)
    spent = gauss.cdf(1 / z - found * z / 2) - math.exp(found) * gauss.cdf(-1 / z - found * z / 2)
    assert spent == pytest.approx(1e-5, rel=1e-6)


@pytest.mark.parametrize("z", [0.7, 1.3, 3.0])
def test_fixed_size_covers_a_replaced_client_among_others_that_send_nothing(z):
    """Five of ten, one round: the sum is 0 or, with probability 1/2, S, against 0 or -S; delta by quadrature."""
    from scipy.stats import norm as gauss

    x = np.linspace(-60, 60, 120_001)
    one, other = (0.5 * gauss.pdf(x, 0, z) + 0.5 * gauss.pdf(x, mean, z) for mean in (1, -1))
    found = epsilon(z, Sampling("fixed", 5, 10), 1, 1e-5)
    assert np.trapezoid(np.maximum(one - math.exp(found) * other, 0), x) <= 1e-5


def test_no_draw_costs_more_than_everybody():
    """Sampling never costs privacy: also where a loose account or the least noise would say otherwise."""
    for kind in ("poisson", "fixed"):
        for z in (1e-6, 5e-4, 0.1, 0.5, 3.0):
            part, whole = Sampling(kind, 5, 100), Sampling(kind, 100, 100)
            assert 0 < epsilon(z, part, 100, 1e-4) <= epsilon(z, whole, 100, 1e-4) < math.inf


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["poisson", "fixed"])
def test_epsilon_of_every_noise_is_sound(kind):
    """From the least float to the largest: at least what one Gaussian costs, never less for less noise, never a NaN.

    Delta is at most Phi(1 / 2z - eps z), so eps <= (1 / 2z - Phi^-1(delta)) / z, and it is no smaller than 1 / 2z^2
    (where delta < 1/4 and z is little, so that the second term is a small part). No noise of an epsilon beyond the
    largest float (z below 5.3e-155) is given a number.
    """
    everybody, moves, last = Sampling(kind, 10, 10), {"poisson": 1, "fixed": 2}[kind], math.inf
    for exponent in (-324, -323, -320, *range(-318, -150, 7), -155, -154, -153, *range(-150, 308, 13), 307):
        spent, z = epsilon(float(f"5e{exponent}"), everybody, 1, 1e-4), float(f"5e{exponent}") / moves
        assert 0 <= spent <= last
        last = spent
        if z < 1e-155:
            assert spent == math.inf
        elif z < 1e-2:
            assert 0.5 / z / z <= spent <= 0.5 / z / z * (1 + 1e-12) + 3.72 / z
        elif z > 1e5:
            assert spent == 0
        part = epsilon(float(f"5e{exponent}"), Sampling(kind, 5, 10), 1, 1e-4) if not 1e-4 < z < 1e5 else 0
        assert part <= spent


def test_little_noise_costs_what_high_precision_says():
    """Two values of Phi(1/2z - eps z) - exp(eps) Phi(-1/2z - eps z) = 1e-4, solved with 60 digits."""
    for z, exact in ((1e-3, 503718.01834069646), (1e-5, 5000371900.648563)):
        spent = epsilon(z, Sampling("poisson", 10, 10), 1, 1e-4)
        assert exact * (1 - 1e-12) <= spent <= exact * (1 + 3e-6)
    assert epsilon(1e-10, Sampling("poisson", 10, 10), 1, 1e-4) >= 0.5e20 + 3.719e10  # once less by 1e10


@pytest.mark.parametrize("z", [math.nan, math.inf, -math.inf, -1e-320])
def test_what_is_no_noise_multiplier_is_refused(z):
    with pytest.raises(FedkitError, match="noise multiplier is"):
        epsilon(z, FIVE, 10, 1e-4)
    with pytest.raises(FedkitError, match="noise of user_level is"):
        UserLevelDP(noise=z)


@pytest.mark.parametrize("z", [0.0, 5e-324, 1e-320, 1e-300])
def test_a_run_without_noise_worth_the_name_states_no_epsilon(z):
    """Also where the bound adapts, whose multiplier was computed by way of z^-2."""
    for mechanism in (UserLevelDP(noise=z), UserLevelDP(noise=z, adapt=0.2)):
        assert mechanism.update_noise == pytest.approx(z)
        assert mechanism.epsilon_of(5, 100, 10, 1e-4) == math.inf
        said = mechanism.statement(make_algorithm("fedavg"), 100, 5, 10)
        assert said["epsilon"] is None and "there is no noise, or less than" in said["refused"]


def test_a_known_draw_of_everybody_costs_what_a_secret_one_does():
    one, other = (Sampling("fixed", 10, 10, secret=s) for s in (True, False))
    assert epsilon(1.0, one, 5, 1e-4) == epsilon(1.0, other, 5, 1e-4)


def test_an_event_the_accountant_does_not_know_gets_no_number():
    """Draws without replacement have no account for neighbours that differ by one client more."""
    event = dp.SampledWithoutReplacementDpEvent(100, 5, dp.GaussianDpEvent(1.0))
    accountant = RdpAccountant(neighboring_relation=dp.NeighboringRelation.ADD_OR_REMOVE_ONE)
    with pytest.raises(FedkitError, match="RdpAccountant does not cover Sampled.*no epsilon is stated"):
        _composed(accountant, event, 10, 1e-4)


def test_epsilon_is_the_gaussian_mechanisms_where_everyone_takes_part_once():
    """Phi(1/(2z) - eps z) - exp(eps) Phi(-1/(2z) - eps z) for one round of all clients (Balle and Wang 2018)."""
    from scipy.stats import norm as gauss

    z, delta = 1.3, 1e-5
    found = epsilon(z, Sampling("poisson", 10, 10), 1, delta)
    exact = gauss.cdf(1 / (2 * z) - found * z) - math.exp(found) * gauss.cdf(-1 / (2 * z) - found * z)
    assert exact == pytest.approx(delta, rel=2e-2)


@pytest.mark.parametrize(("target", "expected"), [(0.01, 86.4), (1.0, 1.860), (10.0, 0.590)])
def test_noise_for_a_target(target, expected):
    z = noise_multiplier(target, FIVE, 100, 1e-4)
    assert z == pytest.approx(expected, rel=5e-3)
    assert epsilon(z, FIVE, 100, 1e-4) <= target
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
