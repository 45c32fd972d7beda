"""User-level DP and the published noise: equal to FedAvg without noise, noise of the right size, bounded updates."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from core_tools import SHORT, make_config, make_federation, same

from fedkit.algorithms.aggregators import norm
from fedkit.algorithms.base import Aggregate
from fedkit.algorithms.registry import make_algorithm
from fedkit.common.errors import FedkitError
from fedkit.privacy.accounting import Sampling, epsilon
from fedkit.privacy.keys import derived_key
from fedkit.privacy.primitives import fixed_sample, gaussian, poisson_sample
from fedkit.privacy.published import PublishedNoise
from fedkit.privacy.registry import make_mechanism
from fedkit.privacy.user_level import UserLevelDP
from fedkit.training.simulation import run

KEY = derived_key({"seed": 3})
FEDAVG, WHERE = make_algorithm("fedavg"), {"key": KEY, "round": 0}
BIG = 40_000


def flat(value=0.0, n=BIG):
    return {"w": torch.full((n,), value)}


def step(mechanism, w, delta, reported, *, sampled=4, round=0, uploads=None, state=None):
    """FedAvg's next adapter from what the mechanism releases, and the mechanism's next state."""
    aggregate = Aggregate(delta, uploads or {}, reported, 100)
    released, state = mechanism.release(aggregate, state or {}, expected=sampled, key=KEY, round=round)
    return FEDAVG.server_step(w, released, {})[0], state


def bound_of(value):
    """A mechanism's state after some rounds with an adaptive bound."""
    return {"dp/bound": torch.tensor([value], dtype=torch.float64)}


@pytest.mark.parametrize(
    "privacy",
    [
        UserLevelDP(noise=0.5, clip=0.1, adapt=0.2),
        UserLevelDP(noise=0.5, clip=0.1, sampling="fixed"),
        PublishedNoise(sigma=0.01),
    ],
)
def test_a_stopped_run_ends_with_the_same_noise(privacy, tiny_loaded, tiny_spec, tmp_path):
    federation = make_federation([3, 4, 5])
    config = make_config(tiny_spec, federation, "fedavg", dataclasses.replace(SHORT, rounds=4), privacy=privacy)
    whole = run(config, federation, tmp_path / "whole", loaded=tiny_loaded, progress=False)
    seen = []

    def stop(round, client):
        seen.append(client)
        if len(seen) % 3 == 0:
            raise KeyboardInterrupt

    for _ in range(12):
        try:
            parts = run(config, federation, tmp_path / "parts", loaded=tiny_loaded, progress=False, on_client=stop)
            break
        except KeyboardInterrupt:
            continue
    assert same(whole.adapter, parts.adapter) and len(seen) >= 3


def test_the_sum_of_clipped_updates_over_the_expected_number():
    moved, _ = step(UserLevelDP(clip=2.0), flat(1.0, 3), flat(0.5, 3), 3)
    assert moved["w"].tolist() == pytest.approx([1.0 + 3 * 0.5 / 4] * 3)


def test_no_update_leaves_a_client_above_the_bound():
    mechanism, rng = UserLevelDP(clip=0.7), torch.Generator().manual_seed(0)
    for scale in (1e-4, 1.0, 1e4):
        update = {"w": scale * torch.randn(BIG, generator=rng)}
        sent, beside = mechanism.protect(update, {}, client="a", **WHERE)
        assert beside == {}
        assert norm(sent) == pytest.approx(min(0.7, norm(update)), rel=1e-5)


@pytest.mark.parametrize("reported", [0, 4])
def test_the_servers_noise_has_deviation_z_s_over_m(reported):
    """Sample deviation of 40,000 coordinates: standard error sigma / sqrt(2 n), within five of them."""
    mechanism = UserLevelDP(clip=0.5, noise=1.6)
    moved, _ = step(mechanism, flat(), flat(), reported)
    expected = 1.6 * 0.5 / 4
    assert abs(float(moved["w"].std()) - expected) < 5 * expected / math.sqrt(2 * BIG)
    assert abs(float(moved["w"].mean())) < 5 * expected / math.sqrt(BIG)
    other, _ = step(mechanism, flat(), flat(), reported, round=1)
    assert abs(float(torch.corrcoef(torch.stack([moved["w"], other["w"]]))[0, 1])) < 5 / math.sqrt(BIG)


def test_the_published_noise_is_on_each_upload_and_bounds_nothing():
    mechanism = PublishedNoise(sigma=0.03)
    sent = [mechanism.protect(flat(7.0), {}, client=c, **WHERE)[0]["w"] for c in ("a", "b")]
    for noisy in sent:
        assert abs(float((noisy - 7).std()) - 0.03) < 5 * 0.03 / math.sqrt(2 * BIG)
    assert not torch.equal(*sent) and float(sent[0].norm()) > 1000


def test_noise_does_not_depend_on_the_order_of_tensors():
    one = gaussian({"a": torch.zeros(3), "b": torch.zeros(2)}, 1.0, KEY, "x")
    other = gaussian({"b": torch.zeros(2), "a": torch.zeros(3)}, 1.0, KEY, "x")
    assert same(one, other) and not gaussian({"a": torch.zeros(3)}, 0.0, KEY, "x")["a"].any()


def test_coins_draw_each_client_apart_and_sometimes_nobody():
    """400 rounds of 50 coins at 0.04: the share within five standard errors; P(nobody) = 0.96^50 = 0.13."""
    draws = [poisson_sample(50, 0.04, KEY, t) for t in range(400)]
    share = sum(map(len, draws)) / (400 * 50)
    assert abs(share - 0.04) < 5 * math.sqrt(0.04 * 0.96 / (400 * 50))
    nobody = sum(not d for d in draws) / 400
    assert abs(nobody - 0.96**50) < 5 * math.sqrt(0.13 * 0.87 / 400)
    assert all(d == sorted(set(d)) for d in draws)
    place = {"seed": 0, "key": KEY, "round": 7}
    assert UserLevelDP(sampling="poisson").sample(50, 2, **place) == draws[7]
    assert UserLevelDP(sampling="fixed").sample(50, 2, **place) == fixed_sample(50, 2, KEY, 7)


def test_a_round_without_anybody_goes_on(tiny_loaded, tiny_spec, tmp_path):
    federation = make_federation([3, 3, 3, 3, 3, 3])
    train = dataclasses.replace(SHORT, rounds=6, clients_per_round=1)
    config = make_config(tiny_spec, federation, "fedavg", train, privacy=UserLevelDP(noise=0.3, clip=0.1))
    done = run(config, federation, tmp_path, loaded=tiny_loaded, progress=False)
    counts = [len(line["clients"]) for line in done.history]
    key = derived_key(config.as_dict())
    assert counts == [len(poisson_sample(6, 1 / 6, key, t)) for t in range(6)] and 0 in counts


def test_the_adaptive_bound_ends_at_the_median_norm():
    """Clients of norms 1 ... 9, each sending 1/2 or -1/2: half are below between 4 and 6, whatever the start."""
    sizes = np.arange(1, 10)
    for start in (0.1, 100.0):
        mechanism, state = UserLevelDP(clip=start, adapt=0.2), {}
        for t in range(120):
            bound = float(mechanism.terms(state)["dp/bound"])
            below = {"dp/below": torch.tensor([float((sizes <= bound).sum()) - 4.5])}
            _, state = step(mechanism, flat(n=2), flat(n=2), 9, sampled=9, round=t, uploads=below, state=state)
        assert 4 <= float(mechanism.terms(state)["dp/bound"]) <= 6


def test_what_the_count_costs_is_taken_from_the_updates():
    """1 / z^2 = 1 / z'^2 + 1 / (2 s)^2 (Andrew et al. 2021, theorem 1)."""
    z = UserLevelDP(noise=1.0, adapt=0.2, count_noise=2.0).update_noise
    assert 1 / z**2 + 1 / (2 * 2.0) ** 2 == pytest.approx(1.0) and z > 1
    assert UserLevelDP(noise=1.0).update_noise == 1.0


@pytest.mark.parametrize("size", [2.999, 3.001, 1e6])
def test_update_and_count_together_cost_z(size):
    """What one client can add to (sum of updates / its noise, sum of counts / its noise) has norm 1 / z at most."""
    mechanism = UserLevelDP(clip=1.0, noise=1.0, adapt=0.2, count_noise=2.0)
    delta, beside = mechanism.protect(flat(size, 1), mechanism.terms(bound_of(3.0)), client="a", **WHERE)
    sent, told = norm(delta) / (mechanism.update_noise * 3.0), norm(beside) / mechanism.count_noise
    assert sent**2 + told**2 == pytest.approx(1.0, rel=2e-3)
    assert sent**2 + told**2 <= 1 + 1e-6


def test_noise_follows_the_bound_that_moved():
    """A bound of 3, whatever `clip`: deviation z' 3 / m of 40,000 coordinates, within five standard errors."""
    mechanism = UserLevelDP(clip=0.5, noise=1.0, adapt=0.2, count_noise=2.0)
    moved, _ = step(mechanism, flat(), flat(), 4, state=bound_of(3.0))
    expected = mechanism.update_noise * 3.0 / 4
    assert abs(float(moved["w"].std()) - expected) < 5 * expected / math.sqrt(2 * BIG)


def test_the_counts_noise_has_deviation_s_over_m():
    """Half below, so the bound moves by rate times noise alone: 400 rounds of deviation 0.2 x 2 / 40."""
    mechanism, moves = UserLevelDP(noise=1.0, adapt=0.2, count_noise=2.0), []
    for t in range(400):
        told = {"sampled": 40, "round": t, "uploads": {"dp/below": torch.zeros(1)}}
        _, state = step(mechanism, flat(n=1), flat(n=1), 40, state=bound_of(3.0), **told)
        moves.append(-math.log(float(state["dp/bound"]) / 3.0))
    expected = 0.2 * 2.0 / 40
    assert abs(np.std(moves) - expected) < 5 * expected / math.sqrt(2 * 400)
    assert abs(np.mean(moves)) < 5 * expected / math.sqrt(400)


def test_a_noised_share_stays_a_share():
    """One expected client and a count noise of 50: a move of at most rate / 2 either way, whatever the draw."""
    mechanism = UserLevelDP(noise=1.0, adapt=0.2, count_noise=50.0)
    for t in range(20):
        told = {"sampled": 1, "round": t, "uploads": {"dp/below": torch.tensor([0.5])}}
        _, state = step(mechanism, flat(n=1), flat(n=1), 1, state=bound_of(3.0), **told)
        assert abs(math.log(float(state["dp/bound"]) / 3.0)) <= 0.1 + 1e-9


def test_the_divisor_never_comes_from_the_data():
    """Neither the step nor what the algorithm is told depends on how many came."""
    aggregate = Aggregate(flat(1.0, 2), {"dp/below": torch.ones(1), "x": torch.ones(2)}, 3, 100)
    released, _ = UserLevelDP().release(aggregate, {}, expected=5, **WHERE)
    assert (released.scale, released.reported, list(released.upload_sum)) == (1 / 5, 5, ["x"])
    assert released.delta["w"].tolist() == [3.0, 3.0] and released.mean["w"].tolist() == pytest.approx([0.6, 0.6])


def test_what_a_run_spends():
    mechanism = UserLevelDP(noise=1.0, sampling="fixed")
    assert mechanism.epsilon_of(5, 100, 10, 1e-4) == epsilon(1.0, Sampling("fixed", 5, 100), 10, 1e-4)
    assert UserLevelDP().epsilon_of(5, 100, 10, 1e-4) == math.inf
    with pytest.raises(FedkitError, match="not secret"):
        UserLevelDP(noise=1.0, secret=False).epsilon_of(5, 100, 10, 1e-4)
    for kind in ("poisson", "fixed"):  # where everybody takes part the draw is nothing, but the noise is
        said = UserLevelDP(noise=1.0, secret=False, sampling=kind).statement(FEDAVG, 10, 10, 5)
        assert said["epsilon"] is None and "seed is not secret" in said["refused"]


def test_a_run_says_what_it_promises(tiny_loaded, tiny_spec, tmp_path):
    """Epsilon of its own numbers, or a sentence; and nothing where no mechanism claims any."""
    federation = make_federation([3, 3, 3])

    def promised(privacy=None):
        train = dataclasses.replace(SHORT, local_steps=1)
        config = make_config(tiny_spec, federation, "fedavg", train, privacy=privacy)
        return run(config, federation, tmp_path, loaded=tiny_loaded, progress=False).manifest["privacy"]

    said = promised(UserLevelDP(noise=2.0, clip=0.1, sampling="fixed", delta=1e-3))
    assert said["epsilon"] == epsilon(2.0, Sampling("fixed", 2, 3), 2, 1e-3) and "refused" not in said
    assert said["neighbours"] == "one client is replaced by another" and said["clip"] == 0.1
    assert "no other file of its folder" in said["covers"] and said["sampling"]["sampled"] == 2
    for params, why in (({"noise": 2.0, "secret": False}, "not secret"), ({"noise": 0.0}, "there is no noise")):
        said = promised(UserLevelDP(clip=0.1, **params))
        assert said["epsilon"] is None and why in said["refused"]
    assert "not fitted to a bound on an update" in promised(PublishedNoise(sigma=0.1))["refused"]
    assert promised() is None


def test_a_run_that_starts_from_another_promises_nothing_for_both(tiny_loaded, tiny_spec, tmp_path):
    """Its first adapter is a function of records that its noise never covered; also with a seed of 64 bits."""
    federation = make_federation([3, 3, 3])
    train = dataclasses.replace(SHORT, local_steps=1)
    before = make_config(tiny_spec, federation, "fedavg", train)
    run(before, federation, tmp_path, loaded=tiny_loaded, progress=False)
    config = make_config(
        tiny_spec, federation, "fedavg", train, seed=2**63 + 12345, privacy=UserLevelDP(noise=2.0, clip=0.1)
    )
    said = run(config, federation, tmp_path, loaded=tiny_loaded, progress=False).manifest["privacy"]
    assert said["epsilon"] > 0 and "refused" not in said
    config = dataclasses.replace(config, initial=before.hash)
    later = run(config, federation, tmp_path, loaded=tiny_loaded, progress=False).manifest["privacy"]
    assert later["epsilon"] is None and later["epsilon_of_these_rounds"] == said["epsilon"]
    assert f"starts from the adapter of run {before.hash}" in later["refused"]


def test_every_round_has_a_noise_of_its_own(tiny_loaded, tiny_spec, tmp_path, monkeypatch):
    """The mechanism is told the round; the same noise twice would vanish from the difference of two steps."""
    told, release = [], UserLevelDP.release

    def spy(self, aggregate, state, *, expected, key, round):
        told.append((round, key, expected))
        return release(self, aggregate, state, expected=expected, key=key, round=round)

    monkeypatch.setattr(UserLevelDP, "release", spy)
    federation = make_federation([3, 3, 3])
    train = dataclasses.replace(SHORT, rounds=3, local_steps=1)
    config = make_config(tiny_spec, federation, "fedavg", train, seed=5, privacy=UserLevelDP())
    run(config, federation, tmp_path, loaded=tiny_loaded, progress=False)
    assert told == [(t, derived_key(config.as_dict()), 2) for t in range(3)]


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("user_level", {"clip": 0}, "clip of user_level is 0.*; it must be finite and above 0"),
        ("user_level", {"noise": -1}, "noise of user_level is -1.*; it must be finite and at least 0"),
        ("user_level", {"sampling": "shuffled"}, "unknown sampling 'shuffled'"),
        ("user_level", {"noise": 2.0, "adapt": 0.2}, "count_noise 1.0 leaves no room"),
        ("user_level", {"delta": 0.0}, "delta of user_level is 0.0"),
        ("user_level", {"randomness": "dice"}, "unknown randomness 'dice'; known: seed, system"),
        ("user_level", {"randomness": "system", "secret": False}, "secret=False says that the seed is known"),
        ("user_level", {"sigma": 1.0}, "unknown parameter of user_level 'sigma'; known: adapt, clip"),
        ("published", {"sigma": math.inf}, "sigma of published is inf"),
        ("dp", {}, "unknown privacy mechanism 'dp'; known: published, user_level"),
    ],
)
def test_wrong_settings_are_named(name, params, message):
    with pytest.raises(FedkitError, match=message):
        make_mechanism({"name": name, **params})
