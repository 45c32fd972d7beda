"""Each run has a noise of its own: the attack by two runs of one seed, one stream for each draw, the system's key."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import secrets
import stat

import numpy as np
import pytest
import torch
from core_tools import SHORT, largest, make_config, make_federation, same
from scipy import stats

from fedkit.algorithms.aggregators import norm, subtract
from fedkit.algorithms.registry import make_algorithm
from fedkit.analysis.toy import two_clients
from fedkit.common.errors import FedkitError
from fedkit.privacy.base import Method
from fedkit.privacy.keys import KEY_FILE, NO_KEY, derived_key, kept_key
from fedkit.privacy.primitives import fixed_sample, gaussian, poisson_sample
from fedkit.privacy.published import PublishedNoise
from fedkit.privacy.user_level import UserLevelDP
from fedkit.training.models import initial_state
from fedkit.training.runs import RunConfig
from fedkit.training.simulation import run
from fedkit.training.specs import LoraSpec

pytestmark = pytest.mark.usefixtures("frozen")
SECRET = secrets.randbits(128)
KEY = derived_key({"seed": 3})
ROUND = dataclasses.replace(SHORT, rounds=1, clients_per_round=3)
N = 3_000_000


def together(state):
    return torch.cat([state[name].flatten().double() for name in sorted(state)])


@pytest.fixture
def moved(tiny_loaded, tiny_spec, tmp_path):
    """What one round of all three clients adds to the first adapter, times their number, and the run."""
    equal = make_federation([4, 4, 4])
    start = initial_state(tiny_loaded.model, SECRET)

    def train(privacy, train=ROUND):
        config = make_config(tiny_spec, equal, "fedavg", train, SECRET, privacy=privacy)
        done = run(config, equal, tmp_path, loaded=tiny_loaded, progress=False)
        return 3 * together(subtract(done.adapter, start)), done

    return train


@pytest.mark.parametrize(
    "mechanism",
    [
        lambda z: UserLevelDP(clip=0.1, noise=z, sampling="fixed"),
        lambda z: UserLevelDP(clip=0.1, noise=z, sampling="fixed", adapt=0.2, count_noise=50.0),
        lambda z: PublishedNoise(sigma=0.1 * z),
    ],
    ids=["user_level", "adaptive", "published"],
)
def test_two_runs_of_one_seed_do_not_give_the_sum_of_updates(moved, mechanism):
    """(8 D_1 - D_8) / 7 is the sum of updates where both add the same noise; else it is off by the noise of both.

    Of d entries with deviation s each, the sum's error has norm s sqrt(8^2 + 8^2) / 7 sqrt(d), within five standard
    errors (relative 1 / sqrt(2 d)); and the two noises have a correlation below 5 / sqrt(d).
    """
    (bare, _), (one, first), (eight, second) = (moved(mechanism(z)) for z in (0.0, 1.0, 8.0))
    attacked = (8 * one - eight) / 7
    # Noise on the sum of three; the published one is added by each of the clients.
    deviation = 0.1 * (math.sqrt(3) if isinstance(mechanism(1.0), PublishedNoise) else 1)
    d = len(bare)
    expected = deviation * math.sqrt(8**2 + 8**2) / 7 * math.sqrt(d)
    assert float((attacked - bare).norm()) == pytest.approx(expected, rel=5 / math.sqrt(2 * d))
    assert abs(float(torch.corrcoef(torch.stack([one - bare, eight - bare]))[0, 1])) < 5 / math.sqrt(d)
    assert float(bare.norm()) < expected / 5  # what was to be hidden drowns in what is left of the noise
    for done in (first, second):
        said = done.manifest["privacy"]
        assert "refused" in said or (said["epsilon"] > 0 and "does not know the seed" in said["rests_on"])


def test_a_shared_noise_would_give_it_away(moved, monkeypatch):
    """The same attack wins, to rounding, where the key is of the seed alone: what the test above would see."""
    monkeypatch.setattr(UserLevelDP, "key", lambda self, config, folder, *, begun: derived_key({"seed": SECRET}))
    bare, one, eight = (moved(UserLevelDP(clip=0.1, noise=z, sampling="fixed"))[0] for z in (0.0, 1.0, 8.0))
    assert float(((8 * one - eight) / 7 - bare).norm()) < 1e-4 * float((one - bare).norm())


def test_a_key_is_of_the_whole_configuration(tiny_spec):
    """Each field changed alone gives another run and another key, down to the fields of its parts."""
    config = RunConfig("toy", "abc", "fedavg", tiny_spec, SHORT, 0, {"beta": 0.5}, ("a",), "base", "code", "ab12")
    config = dataclasses.replace(config, privacy=UserLevelDP(noise=1.0).as_dict())

    def changed(value):
        if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                for other in changed(getattr(value, field.name)):
                    yield dataclasses.replace(value, **{field.name: other})
        elif isinstance(value, dict):
            yield from (value | {name: other} for name in value for other in changed(value[name]))
        elif isinstance(value, bool):
            yield not value
        elif isinstance(value, (int, float)):
            yield value + 1
        else:
            yield f"{value}x" if isinstance(value, str) else ("x",)

    others = list(changed(config))
    assert len(others) > 40 and any(o.model.lora != config.model.lora for o in others if o.model.lora != LoraSpec())
    keys = {derived_key(c.as_dict()).material for c in [config, *others]}
    assert len(keys) == len({c.hash for c in [config, *others]}) == 1 + len(others)
    assert derived_key(json.loads(json.dumps(config.as_dict()))) == derived_key(config.as_dict())  # as on disk
    assert derived_key(dict(reversed(config.as_dict().items()))) == derived_key(config.as_dict())  # in any order


def test_seeds_that_agree_in_32_bits_share_nothing():
    """torch's CPU generator keeps 32 bits of a seed, so that 2^32 noises were all there were."""
    noises = [gaussian({"w": torch.zeros(10_000)}, 1.0, derived_key({"seed": s}), "x")["w"] for s in (7, 7 + 2**32)]
    assert abs(float(torch.corrcoef(torch.stack(noises))[0, 1])) < 5 / math.sqrt(10_000)
    torch_noises = [torch.randn(3, generator=torch.Generator().manual_seed(s)) for s in (7, 7 + 2**32)]
    assert torch.equal(*torch_noises)


def test_every_draw_has_a_stream_of_its_own():
    """One key, streams that differ in one place only (also where joined text would be the same): no word in common."""
    places = list(itertools.product(("noise", "noise/1"), (0, 1, 11), ("", "1", "a"), ("", "1", "a", "a\x00", '"')))
    drawn = [KEY.words(64, purpose, round=t, client=c, tensor=w) for purpose, t, c, w in places]
    assert len(np.unique(np.concatenate(drawn))) == 64 * len(places)
    again = KEY.words(32, "noise", round=1, client="a", tensor="1")
    assert np.array_equal(again, drawn[places.index(("noise", 1, "a", "1"))][:32])


def test_words_are_uniform_and_clients_independent():
    """Three million words of each of two clients: Kolmogorov and Smirnov, every bit, and correlations at some lags."""
    first, other = (KEY.words(N, "published/noise", round=4, client=c, tensor="w") for c in ("a", "b"))
    for words in (first, other):
        assert stats.kstest(words * 2.0**-64, "uniform").pvalue > 1e-6
        ones = np.unpackbits(words.view(np.uint8).reshape(N, 8), axis=1, bitorder="little").sum(axis=0, dtype=np.int64)
        assert np.abs(ones - N / 2).max() < 6 * math.sqrt(N) / 2
    x, y = first * 2.0**-64 - 0.5, other * 2.0**-64 - 0.5
    for a, b in ((x, y), (x[1:], y[:-1]), (x[:-1], x[1:]), (x[:-64], x[64:]), (x**2, y**2)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(len(a))


def test_noise_is_gaussian_up_to_its_tails():
    """Three million entries over two tensors: KS, four moments, and the share beyond 4 deviations (6.3e-5)."""
    drawn = gaussian({"b": torch.zeros(N // 2), "a": torch.zeros(2, N // 4)}, 0.5, KEY, "x", round=2)
    z = torch.cat([drawn["a"].flatten(), drawn["b"]]).double().numpy() / 0.5
    assert stats.kstest(z, "norm").pvalue > 1e-6
    for power, (mean, variance) in {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96)}.items():
        assert abs((z**power).mean() - mean) < 5 * math.sqrt(variance / N)
    beyond = 2 * stats.norm.sf(4)
    assert abs((abs(z) > 4).mean() - beyond) < 5 * math.sqrt(beyond / N)
    halves = drawn["a"].flatten(), drawn["b"]
    assert abs(float(torch.corrcoef(torch.stack(halves))[0, 1])) < 5 / math.sqrt(N / 2)
    assert drawn["a"].shape == (2, N // 4) and drawn["a"].dtype == torch.float32


def test_mechanisms_of_one_run_share_nothing():
    """Sum, count, coins, the draw by number and each client's own noise, under one key."""
    state = {"w": torch.zeros(200_000)}
    noises = [gaussian(state, 1.0, KEY, p, round=0)["w"] for p in ("user_level/noise", "user_level/count")]
    noises += [
        PublishedNoise(sigma=1.0).protect(state, {}, key=KEY, round=t, client=c)[0]["w"]
        for t, c in ((0, "a"), (0, "b"), (1, "a"))
    ]
    both = torch.corrcoef(torch.stack(noises)).fill_diagonal_(0)
    assert float(both.abs().max()) < 5 / math.sqrt(200_000)


def test_draws_by_number_take_everybody_equally_often():
    """2,000 rounds of 5 of 40: each client within five standard errors of 250, pairs as often as they should be."""
    draws = np.zeros((2_000, 40))
    for t in range(2_000):
        who = fixed_sample(40, 5, KEY, t)
        assert len(who) == 5 and who == sorted(set(who))
        draws[t, who] = 1
    assert np.abs(draws.sum(axis=0) - 250).max() < 5 * math.sqrt(2_000 * (1 / 8) * (7 / 8))
    pairs, share = draws.T @ draws, 5 * 4 / (40 * 39)
    assert np.abs(pairs[np.triu_indices(40, 1)] - 2_000 * share).max() < 6 * math.sqrt(2_000 * share * (1 - share))
    assert fixed_sample(3, 3, KEY, 0) == [0, 1, 2]


def test_coins_are_tossed_alike_and_apart_from_one_by_one():
    """Each coin against the rate, one after another; a rate of 1 takes all, also among many."""
    words = KEY.words(1_000, "clients/poisson", round=3)
    assert poisson_sample(1_000, 0.3, KEY, 3) == [i for i, w in enumerate(words.tolist()) if w / 2**64 < 0.3]
    assert poisson_sample(50, 1.0, KEY, 0) == list(range(50)) and poisson_sample(50, 0.0, KEY, 0) == []


def test_plays_of_one_seed_share_no_noise():
    """In the plane: noise 1 and 8 of one seed, and another start, leave nothing of the sum."""
    plane, fedavg = two_clients(), make_algorithm("fedavg")

    def step(z, **how):
        privacy = UserLevelDP(clip=0.1, noise=z, sampling="fixed")
        path = plane.play(fedavg, rounds=1, steps=2, privacy=privacy, seed=5, **how).path
        return path[1] - path[0]

    bare = step(0.0)
    assert float(((8 * step(1.0) - step(8.0)) / 7 - bare).norm()) > 1e-3
    assert not torch.allclose(step(1.0) - bare, step(1.0, lr=0.2000001) - bare, rtol=1e-3, atol=1e-6)
    assert torch.equal(step(1.0), step(1.0))


def test_without_a_key_nothing_is_drawn():
    method = Method(make_algorithm("fedavg"), UserLevelDP(noise=1.0))
    assert method.key == NO_KEY
    for call in (lambda: method.sample(5, 2, 0), lambda: gaussian({"w": torch.zeros(2)}, 1.0, NO_KEY, "x")):
        with pytest.raises(FedkitError, match="draws from the key of its run, and none was given"):
            call()
    assert repr(KEY.material) not in repr(KEY)


@pytest.mark.parametrize(
    ("seed", "rests"), [(0, "found by trial"), (2**80 - 1, "found by trial"), (2**80, ""), (2**128 - 1, "")]
)
def test_a_small_seed_is_said_to_be_one(seed, rests):
    said = derived_key({"seed": seed}).rests_on
    assert rests in said and ("holds against who does not know the seed" in said) == (not rests)


def test_the_systems_key_lives_as_long_as_the_run(tiny_loaded, tiny_spec, tmp_path):
    """Private while the run goes on, the same after a stop, gone when it ends; two runs alike differ in their noise."""
    federation = make_federation([3, 4, 5])
    privacy = UserLevelDP(noise=0.5, clip=0.1, randomness="system")
    config = make_config(tiny_spec, federation, "fedavg", dataclasses.replace(SHORT, rounds=4), privacy=privacy)
    seen = []

    def stop(round, client):
        path = tmp_path / "one" / config.hash / KEY_FILE
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        seen.append(path.read_bytes())
        if len(seen) % 2 == 0:
            raise KeyboardInterrupt

    for _ in range(20):
        try:
            done = run(config, federation, tmp_path / "one", loaded=tiny_loaded, progress=False, on_client=stop)
            break
        except KeyboardInterrupt:
            continue
    assert len(set(seen)) == 1 and len(seen[0]) == 32 and len(seen) > 2
    assert not (done.folder / KEY_FILE).exists() and seen[0].hex() not in (done.folder / "manifest.json").read_text()
    said = done.manifest["privacy"]
    assert said["epsilon"] > 0 and said["rests_on"].startswith("the operating system's randomness")
    other = run(config, federation, tmp_path / "two", loaded=tiny_loaded, progress=False)
    assert largest(done.adapter, other.adapter) > 0.01


def test_a_stopped_run_ends_as_its_key_has_it(tiny_loaded, tiny_spec, tmp_path):
    """The whole run with the key of the stopped one ends with the same bits."""
    federation = make_federation([3, 4, 5])
    privacy = UserLevelDP(noise=0.5, clip=0.1, randomness="system", sampling="fixed")
    config = make_config(tiny_spec, federation, privacy=privacy)
    seen = []

    def stop(round, client):
        seen.append((tmp_path / "parts" / config.hash / KEY_FILE).read_bytes())
        if len(seen) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, federation, tmp_path / "parts", loaded=tiny_loaded, progress=False, on_client=stop)
    parts = run(config, federation, tmp_path / "parts", loaded=tiny_loaded, progress=False, on_client=stop)
    folder = tmp_path / "whole" / config.hash
    folder.mkdir(parents=True)
    (folder / KEY_FILE).write_bytes(seen[0])
    assert same(parts.adapter, run(config, federation, tmp_path / "whole", loaded=tiny_loaded, progress=False).adapter)


@pytest.mark.parametrize("left", [None, b"", b"short"])
def test_a_lost_key_is_not_replaced_under_a_checkpoint(left, tmp_path):
    """Before the first checkpoint half a key is no loss; after it the run cannot go on as it began."""
    if left is not None:
        (tmp_path / KEY_FILE).write_bytes(left)
    with pytest.raises(FedkitError, match=f"{KEY_FILE}: the run's key is (missing|damaged), and.*train it again"):
        kept_key(tmp_path, begun=True)
    key = kept_key(tmp_path, begun=False)
    assert kept_key(tmp_path, begun=True) == key and [p.name for p in tmp_path.iterdir()] == [KEY_FILE]


def test_noise_of_a_large_deviation_is_what_it_says():
    """Scaled before it is rounded: 1e30 deviations of a float32 tensor are finite and of that size."""
    drawn = gaussian({"w": torch.zeros(40_000)}, 1e30, KEY, "x")
    assert norm(drawn) == pytest.approx(1e30 * 200, rel=5 / math.sqrt(80_000))
