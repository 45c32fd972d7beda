"""Every algorithm under every mechanism: it runs, noise 0 changes nothing, and the accountant has its word."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from core_tools import SHORT, largest, make_config, make_federation, same

from fedkit.algorithms.aggregators import norm
from fedkit.algorithms.ffa_lora import LORA_A
from fedkit.algorithms.registry import ALGORITHMS, make_algorithm
from fedkit.analysis.toy import play_round, two_clients
from fedkit.common.errors import FedkitError
from fedkit.privacy.accounting import Sampling, epsilon
from fedkit.privacy.base import Mechanism, Method, sends_more
from fedkit.privacy.primitives import gaussian
from fedkit.privacy.published import PublishedNoise
from fedkit.privacy.user_level import UserLevelDP
from fedkit.training.models import initial_state
from fedkit.training.simulation import run

pytestmark = pytest.mark.usefixtures("frozen")
ALL = dataclasses.replace(SHORT, clients_per_round=3)
NOTHING = UserLevelDP(clip=1e9, noise=0.0, sampling="fixed")
SHARED = sorted(set(ALGORITHMS) - {"local"})


@pytest.fixture(scope="module")
def equal():
    """Three clients of one size, so that samples weigh them alike."""
    return make_federation([4, 4, 4])


@pytest.fixture
def go(tiny_loaded, tiny_spec, equal, tmp_path):
    def train(algorithm, privacy=None, spec=ALL, clients=None, **params):
        config = make_config(tiny_spec, equal, algorithm, spec, 0, clients, privacy, **params)
        return run(config, equal, tmp_path, loaded=tiny_loaded, progress=False)

    return train


@pytest.mark.parametrize("name", SHARED)
def test_without_noise_and_with_a_large_bound_it_is_the_bare_algorithm(go, name):
    """To rounding under user-level DP, which divides a sum; to the bit under the published noise.

    One round of training, since AdamW makes much of a last digit; and twenty in the plane.
    """
    one = dataclasses.replace(ALL, rounds=1)
    assert largest(go(name, NOTHING, one).adapter, go(name, spec=one).adapter) < 1e-6
    assert same(go(name, PublishedNoise(sigma=0.0)).adapter, go(name).adapter)
    plane, algorithm = two_clients((50, 50)), make_algorithm(name)
    bare, private = (plane.play(algorithm, rounds=20, steps=3, privacy=p).path for p in (None, NOTHING))
    torch.testing.assert_close(private, bare, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", SHARED)
def test_epsilon_is_that_of_fedavg_or_refused(go, name):
    """Neither a local rule nor a server step costs privacy; a client that sends or keeps more is not covered."""
    spec = dataclasses.replace(SHORT, local_steps=1)
    said = go(name, UserLevelDP(clip=0.1, noise=1.5, sampling="fixed", delta=1e-3), spec).manifest["privacy"]
    if name == "scaffold":
        assert said["epsilon"] is None and "clients of scaffold send or keep more" in said["refused"]
    else:
        assert said["epsilon"] == epsilon(1.5, Sampling("fixed", 2, 3), spec.rounds, 1e-3) and "refused" not in said
    published = go(name, PublishedNoise(sigma=0.01), spec).manifest["privacy"]
    assert published["epsilon"] is None and "not fitted to a bound" in published["refused"]


def test_only_scaffold_sends_more_than_its_update():
    assert [name for name in sorted(ALGORITHMS) if sends_more(make_algorithm(name))] == ["scaffold"]


def test_one_client_alone_is_refused_before_training(go, tmp_path):
    alone = dataclasses.replace(SHORT, clients_per_round=1)
    with pytest.raises(FedkitError, match="one client alone, whose adapter nobody else gets; train it without"):
        go("local", UserLevelDP(), alone, ("a",))
    assert not any(tmp_path.iterdir())
    noised, plain = (go("local", p, alone, ("a",)).adapter for p in (PublishedNoise(sigma=0.01), None))
    assert largest(noised, plain) > 0.01


@pytest.mark.parametrize("name", SHARED)
def test_what_leaves_a_client_is_clipped(go, name):
    """In a real run: the norms of the history are at most the bound; the bytes are those of the bare algorithm."""
    clipped, plain = go(name, UserLevelDP(clip=0.01, sampling="fixed")), go(name)
    norms = [[c["update_norm"] for c in line["clients"]] for line in clipped.history]
    assert max(map(max, norms)) <= 0.01 * (1 + 1e-5) < min(c["update_norm"] for c in plain.history[0]["clients"])
    assert [line["bytes_up"] for line in clipped.history] == [line["bytes_up"] for line in plain.history]


@pytest.mark.parametrize("name", SHARED)
def test_the_server_step_sees_the_noised_sum_of_clipped_updates(name):
    """In the plane, by hand: sum of clipped moves and the noise, over the expected number, whatever the server does."""
    seen, moves, keys = [], [], []

    class Spy(type(make_algorithm(name))):
        def server_step(self, w, aggregate, server):
            seen.append(aggregate.mean["w"])
            return super().server_step(w, aggregate, server)

    class Bare(Mechanism):
        def protect(self, delta, terms, **place):
            moves.append(delta["w"])
            return delta, {}

    class Kept(UserLevelDP):
        def release(self, aggregate, state, *, expected, key, round):
            keys.append(key)
            return super().release(aggregate, state, expected=expected, key=key, round=round)

    plane = two_clients()
    for privacy in (Bare(), Kept(clip=0.5, noise=0.8)):
        plane.play(Spy(), rounds=1, steps=4, privacy=privacy, seed=2)
    clipped = sum(m * min(1.0, 0.5 / float(m.norm())) for m in moves)
    noise = gaussian({"w": plane.start}, 0.8 * 0.5, keys[0], "user_level/noise", round=0)["w"]
    torch.testing.assert_close(seen[1], (clipped + noise) / 2)


def test_ffa_lora_clips_and_noises_b_alone(go, tiny_loaded):
    """A is the very tensor of the start after rounds with noise, and the clipped norm is that of B."""
    start, done = initial_state(tiny_loaded.model, 0), go("ffa_lora", UserLevelDP(clip=0.05, noise=1.0, adapt=0.2))
    end = done.adapter
    assert all(torch.equal(start[n], end[n]) == (LORA_A in n) for n in start)
    method = Method(make_algorithm("ffa_lora"), UserLevelDP(clip=0.05))
    local = {n: t + 1.0 for n, t in start.items()}
    update = method.update(method.broadcast(start, {}, 1e-3, 0), local, {}, 1, "a")
    assert all(LORA_A not in n for n in update.delta) and norm(update.delta) == pytest.approx(0.05, rel=1e-5)


def test_a_mechanisms_state_is_its_own():
    """The bound lies beside the server's state of the algorithm, which does not see it; and it comes back with both."""
    plane = two_clients()
    algorithm, mechanism = make_algorithm("fedadam", eta=0.1), UserLevelDP(clip=0.01, adapt=0.2)
    w, server, states = {"w": plane.start}, {}, {}
    gradients = {k: c.gradient for k, c in plane.clients.items()}
    for t in range(3):
        w, server, _ = play_round(algorithm, w, server, states, gradients, lr=0.2, steps=3, round=t, privacy=mechanism)
    assert sorted(server) == ["m", "privacy", "v"]
    assert float(server["privacy"]["dp/bound"]) == pytest.approx(0.01 * 2.718281828 ** (0.1 * 3), rel=1e-6)
    assert states == {"A": {}, "B": {}}
