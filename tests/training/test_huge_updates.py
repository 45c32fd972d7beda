"""Updates that are finite and huge: the mean holds, a step that does not is not taken, and a bound keeps them small."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from core_tools import SHORT, make_config, make_federation, same

from fedkit.algorithms.aggregators import RunningMean, is_finite, norm, within
from fedkit.algorithms.ffa_lora import LORA_A
from fedkit.algorithms.scaffold import Scaffold
from fedkit.common.errors import FedkitError
from fedkit.privacy.user_level import UserLevelDP
from fedkit.training.models import initial_state
from fedkit.training.sft import SFTClient
from fedkit.training.simulation import run

pytestmark = pytest.mark.usefixtures("frozen")
replace = dataclasses.replace
TRAIN = replace(SHORT, rounds=3, clients_per_round=3, local_steps=1)


@pytest.fixture(scope="module")
def three():
    """Three clients of 200, 300 and 400 records: 900 times 1e37 is no float32."""
    return make_federation([200, 300, 400])


@pytest.fixture
def go(tiny_loaded, tiny_spec, three, tmp_path, monkeypatch):
    """Three rounds of three clients that return what `ends` says: {(round, client): addend}, others add 1e-3."""

    def go(algorithm, ends, folder="runs", privacy=None, params=None, **settings):
        real = SFTClient.train

        def train(self, client, message, algorithm, state):
            step = ends.get((message.round, client), 1e-3)
            frozen = algorithm.name == "ffa_lora"
            local = {n: t if frozen and LORA_A in n else t + step for n, t in message.adapter.items()}
            return replace(real(self, client, message, algorithm, state), local=local)

        with monkeypatch.context() as patch:
            patch.setattr(SFTClient, "train", train)
            train_spec = replace(TRAIN, **settings)
            config = make_config(tiny_spec, three, algorithm, train_spec, privacy=privacy, **(params or {}))
            return run(config, three, tmp_path / folder, loaded=tiny_loaded, progress=False)

    return go


# --- the mean


def test_the_mean_of_updates_whose_sum_overflows():
    """(100 * 1e37 + 200 * -1e37 + 300 * 2e37) / 600 = 5e36 / 6; the sums on the way are 1e39, -1e39 and 5e39."""
    running = RunningMean()
    for weight, value in ((100.0, 1e37), (200.0, -1e37), (300.0, 2e37)):
        running.add({"a": torch.full((3,), value), "b": torch.full((2,), value / 1e37)}, weight)
    mean = running.mean()
    assert running.wide and {t.dtype for t in mean.values()} == {torch.float32}
    torch.testing.assert_close(mean["a"], torch.full((3,), 5e39 / 600))
    torch.testing.assert_close(mean["b"], torch.full((2,), 500 / 600))


def test_an_ordinary_mean_keeps_its_bits():
    """Nothing is widened: the sum is that of float32, in its order."""
    made = torch.Generator().manual_seed(0)
    states = [{"a": torch.randn(50, generator=made)} for _ in range(7)]
    running, total = RunningMean(), torch.zeros(50)
    for k, state in enumerate(states):
        running.add(state, 217.0 + k)
        total = total.add(state["a"], alpha=217.0 + k) if k else state["a"] * 217.0
    assert not running.wide and torch.equal(running.mean()["a"], total / running.weight)


def test_a_mean_that_no_float_holds_is_not_finite():
    running = RunningMean()
    running.add({"a": torch.full((1,), 3e38)}, 1.0)
    running.add({"a": torch.full((1,), 3e38)}, 1.0)
    assert float(running.mean()["a"]) == pytest.approx(3e38)
    running = RunningMean()
    running.add({"a": torch.tensor([float("inf")])}, 2.0)
    assert not is_finite(running.mean())


# --- rounds


@pytest.mark.parametrize("algorithm", ["fedavg", "fedavgm", "ffa_lora"])
def test_one_huge_update_of_three_moves_the_adapter_by_its_share(go, tiny_loaded, algorithm):
    """In the last round: client b's share of the records is a third, so the adapter ends at about 1e37 / 3."""
    done = go(algorithm, {(2, "b"): 1e37})
    start = initial_state(tiny_loaded.model, 0)
    assert [line["dropped"] for line in done.history] == [None] * 3 and done.manifest["dropped"] == 0
    for name, t in done.adapter.items():
        if algorithm == "ffa_lora" and LORA_A in name:
            assert torch.equal(t, start[name])
        else:
            torch.testing.assert_close(t, torch.full_like(t, 1e37 / 3), rtol=1e-5, atol=0)


@pytest.mark.parametrize("algorithm", ["fedyogi", "fedadam", "fedadagrad"])
@pytest.mark.parametrize("huge", [1e37, 3e20])
def test_a_round_whose_second_moment_overflows_is_not_taken(go, algorithm, huge):
    """(3e20 / 3)^2 = 1e40 is no float32: v would be infinite and every later step 0. The run goes on without it."""
    done, calm = go(algorithm, {(1, "b"): huge}), go(algorithm, {}, "calm", rounds=2)
    assert [line["dropped"] for line in done.history] == [None, "the server's step is not finite", None]
    assert done.manifest["dropped"] == 1 and done.manifest["rounds"] == 3
    # Two equal steps are left, as in a run of two rounds: the clients move by 1e-3 whatever the rate.
    assert same(done.adapter, calm.adapter) and is_finite(done.adapter)


def test_a_run_that_never_recovers_is_no_success(go):
    """From 1e37 in every entry no client trains any more: the trainer's own loss is not a number."""
    huge = {(0, client): 1e37 for client in "abc"} | {(t, c): float("nan") for t in (1, 2) for c in "abc"}
    with pytest.raises(FedkitError, match="none of the last 2 of 3 rounds counted .*; lower the rates, or bound"):
        go("fedavg", huge)


def test_an_upload_that_is_not_finite_is_left_out_though_the_update_is(go, tiny_loaded):
    """SCAFFOLD's (w - w_k) / (K lr) of 1e37 at a rate of 1e-2 is 1e39; the update itself is a float32."""
    done = go("scaffold", {(0, "b"): 1e37})
    assert [line["left_out"] for line in done.history] == [["b"], [], []]
    assert done.history[0]["clients"][1]["left_out"] == "update is not finite"
    assert is_finite(done.adapter) and norm(done.adapter) < 1e3


def test_the_states_of_a_round_that_was_not_taken_are_those_of_before(go, monkeypatch):
    """Whose second step ends at infinity is, at a constant rate, the run of two rounds: adapter and variates."""
    steps, real, constant = [], Scaffold.server_step, {"lr_first": 1e-2, "lr_last": 1e-2}

    def step(self, w, aggregate, server):
        steps.append(aggregate)
        w, server = real(self, w, aggregate, server)
        return {name: t / 0 if len(steps) == 2 else t for name, t in w.items()}, server

    with monkeypatch.context() as patch:
        patch.setattr(Scaffold, "server_step", step)
        done = go("scaffold", {}, **constant)
    plain = go("scaffold", {}, "plain", rounds=2, **constant)
    assert [line["dropped"] for line in done.history] == [None, "the server's step is not finite", None]
    assert same(done.adapter, plain.adapter) and len(steps) == 3
    one, two = (sorted((r.folder / "clients").iterdir()) for r in (done, plain))
    assert [p.name for p in one] == [f"000000{k}.r2.safetensors" for k in range(3)]
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


# --- the bound


def test_within_is_the_projection_onto_a_ball():
    """From (1, 1) to (4, 5) it is 5; pulled in to 2.5 it is half way, (2.5, 3)."""
    center, state = (
        {"x": torch.tensor([1.0]), "y": torch.tensor([1.0])},
        {"x": torch.tensor([4.0]), "y": torch.tensor([5.0])},
    )
    near, distance = within(state, center, 2.5)
    assert distance == pytest.approx(5.0) and near["x"].item() == 2.5 and near["y"].item() == 3.0
    assert within(state, center, 5.0)[0] is state and within(state, center, 9.0)[0] is state
    far, distance = within({"x": torch.tensor([3e38])}, {"x": torch.tensor([-3e38])}, 1e30)
    assert distance == pytest.approx(6e38) and float(far["x"]) == pytest.approx(-3e38)
    bad = {"x": torch.tensor([float("nan")])}
    assert within(bad, center, 1.0)[0] is bad


@pytest.mark.parametrize("algorithm", ["fedavg", "fedavgm", "fedyogi", "ffa_lora", "scaffold"])
def test_a_bound_keeps_a_huge_update_small_and_says_so(go, tiny_loaded, algorithm):
    done = go(algorithm, {(1, "b"): 1e37}, max_update_norm=0.5)
    start = initial_state(tiny_loaded.model, 0)
    entries = sum(t.numel() for n, t in start.items() if algorithm != "ffa_lora" or LORA_A not in n)
    assert [line["bounded"] for line in done.history] == [[], ["b"], []]
    assert [line["dropped"] for line in done.history] == [None] * 3 and done.manifest["bounded"] == 1
    b = done.history[1]["clients"][1]
    assert b["bounded"] == pytest.approx(1e37 * entries**0.5, rel=1e-5)  # what it was
    assert b["update_norm"] == pytest.approx(0.5, rel=1e-4) and b["left_out"] is None
    assert norm(done.adapter) < norm(start) + 10


def test_a_bound_that_does_not_act_changes_no_bit(go):
    bounded, free = go("scaffold", {}, max_update_norm=1e9), go("scaffold", {}, "free")
    assert same(bounded.adapter, free.adapter)
    assert [line["bounded"] for line in bounded.history] == [[]] * 3 and bounded.manifest["bounded"] == 0


def test_the_bound_comes_before_the_mechanism(go):
    """Bounded to 0.5, then clipped to 0.1 under privacy; the log has both."""
    done = go("fedavg", {(1, "b"): 1e37}, privacy=UserLevelDP(clip=0.1, sampling="fixed"), max_update_norm=0.5)
    b = done.history[1]["clients"][1]
    assert b["bounded"] > 1e37 and b["update_norm"] == pytest.approx(0.1, rel=1e-4)
