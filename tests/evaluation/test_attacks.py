"""Attacks: the advantage of a test on two Gaussians in closed form, the bound, and exposure of a known rank."""

from __future__ import annotations

import math

import numpy as np
import pytest
from core_tools import random_state

from fedkit.common.errors import FedkitError
from fedkit.evaluation.attacks import advantage, advantage_bound, candidate_losses, exposure, rank_exposure
from fedkit.evaluation.likelihood import completion_loss
from fedkit.privacy import epsilon
from fedkit.privacy.accounting import Sampling
from fedkit.training.models import set_adapter_state

ASKED = dict(instruction="What is the code?", response="It is {}.", template="alpaca_english")


def scores(shift, n=8000, seed=0):
    rng = np.random.default_rng(seed)
    return shift + rng.standard_normal(n), rng.standard_normal(n)


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_advantage_on_two_gaussians(shift):
    """The best test of N(mu, 1) against N(0, 1) has TPR - FPR = 2 Phi(mu / 2) - 1."""
    exact = math.erf(shift / 2 / math.sqrt(2))
    value, low, high = advantage(*scores(shift))
    assert abs(value - exact) < 0.03 and low <= value <= high and low - 0.02 < exact < high + 0.02


def test_the_interval_covers_no_advantage_where_there_is_none():
    """Scores of one distribution: zero lies in the 95 % interval in at least 85 of 100 repetitions."""
    found = [advantage(*scores(0.0, 100, seed)) for seed in range(100)]
    assert sum(low <= 0 <= high for _, low, high in found) >= 85
    assert abs(np.mean([value for value, _, _ in found])) < 0.03


def test_advantage_where_scores_do_not_overlap():
    value, low, high = advantage([5.0, 6.0] * 50, [1.0, 2.0] * 50)
    assert value == 1.0 and 0.85 < low < 1 and high == 1.0


def test_bound_of_the_advantage():
    """eps = 0, delta = 0: none; eps = ln 3: (3 - 1) / (3 + 1); a large or infinite eps: all; eps = 0: delta is left."""
    assert advantage_bound(0, 0) == 0
    assert advantage_bound(math.log(3), 0) == pytest.approx(0.5)
    assert advantage_bound(1.0, 0.01) == pytest.approx((math.e - 1 + 0.02) / (math.e + 1))
    assert advantage_bound(0, 0.1) == pytest.approx(0.1)
    assert advantage_bound(1e6, 1e-3) == advantage_bound(math.inf, 0) == 1.0


@pytest.mark.parametrize(("kind", "moves"), [("poisson", 1), ("fixed", 2)])
@pytest.mark.parametrize("z", [0.7, 1.5, 4.0])
def test_the_best_attack_on_one_gaussian_lies_below_the_bound(z, kind, moves):
    """One round of everybody, a sum that moves by 1 or 2 S: advantage 2 Phi(moves / 2z) - 1 , under any bound."""
    exact = math.erf(moves / (2 * z) / math.sqrt(2))
    for delta in (1e-5, 1e-3, 0.1):
        assert exact <= advantage_bound(epsilon(z, Sampling(kind, 5, 5), 1, delta), delta) + 1e-6


def test_exposure_of_a_rank():
    losses = np.arange(1000.0)
    assert rank_exposure(losses, 0) == pytest.approx(math.log2(1000))
    assert rank_exposure(losses, 3) == pytest.approx(math.log2(250))
    assert rank_exposure(losses, 999) == 0.0
    assert rank_exposure([1.0, 1.0, 1.0, 1.0], 2) == 0.0  # all alike: nothing given away


def test_candidate_losses_are_those_of_the_whole_text(tiny_loaded):
    """Reading the shared beginning once changes no loss."""
    set_adapter_state(tiny_loaded.model, random_state(tiny_loaded.model, 1))
    candidates = ["12", "907", "3", "9", "code 4", "45"]
    losses = candidate_losses(tiny_loaded, candidates, **ASKED)
    whole = []
    for c in candidates:
        row = [{"instruction": ASKED["instruction"], "response": ASKED["response"].replace("{}", c)}]
        one = completion_loss(tiny_loaded, row, template="alpaca_english", max_length=512)
        whole.append(one["loss"] * one["tokens"])
    np.testing.assert_allclose(losses, whole, rtol=1e-5)
    assert np.ptp(losses) > 1e-3
    ranks = np.argsort(np.argsort(whole)) + 1
    for c, rank in zip(candidates, ranks, strict=True):
        assert exposure(tiny_loaded, c, candidates, **ASKED) == pytest.approx(math.log2(6 / rank))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda loaded: advantage([1, 2, 3], [1, 2, 3, 4]), "scores_in: give at least four"),
        (lambda loaded: advantage([1, 2, 3, 4], [1, 2, 3, math.nan]), "scores_out"),
        (lambda loaded: advantage_bound(-1, 0), "epsilon is -1"),
        (lambda loaded: rank_exposure([1.0, 2.0], 2), "place is 2"),
        (lambda loaded: exposure(loaded, "7", ["1", "2"], **ASKED), "the secret '7' among them"),
        (lambda loaded: exposure(loaded, "1", ["1", "1"], **ASKED), "each value once"),
        (lambda loaded: exposure(loaded, "1", ["1", "2"], **ASKED | {"response": "It is."}), "no place"),
    ],
)
def test_wrong_input_is_named(call, message, tiny_loaded):
    with pytest.raises(FedkitError, match=message):
        call(tiny_loaded)
