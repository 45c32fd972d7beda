"""FFA-LoRA trains, sends and averages B alone; and the gap that it closes, by hand and against NumPy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from core_tools import SHORT, make_config, random_state, same, without_time

from fedkit.algorithms import Aggregate, Broadcast, make_algorithm
from fedkit.analysis.lora_gap import averaging_gap
from fedkit.analysis.toy import play_round
from fedkit.common.errors import FedkitError
from fedkit.training.checkpoint import read_checkpoint
from fedkit.training.models import initial_state, nbytes
from fedkit.training.sft import SFTClient
from fedkit.training.simulation import run

pytestmark = pytest.mark.usefixtures("frozen")
ALL = dataclasses.replace(SHORT, rounds=3, clients_per_round=3, max_grad_norm=0.05)


def halves(state):
    return ({n: t for n, t in state.items() if (".lora_A." in n) == which} for which in (True, False))


@pytest.fixture
def go(tiny_loaded, tiny_spec, federation, tmp_path):
    def train(algorithm="ffa_lora", train=ALL, place="runs", **options):
        config = make_config(tiny_spec, federation, algorithm, train)
        return run(config, federation, tmp_path / place, loaded=tiny_loaded, progress=False, **options)

    return train


def test_a_real_run_leaves_every_a_to_the_bit_and_moves_every_b(go, tiny_loaded):
    """Also the tensors that AdamW and clipping saw: no weight decay, no momentum, no part in the norm."""
    start_a, start_b = halves(initial_state(tiny_loaded.model, 0))
    end_a, end_b = halves(go().adapter)
    assert len(start_a) > 0 and same(start_a, end_a)
    assert all(not torch.equal(start_b[n], end_b[n]) for n in start_b)


def test_from_b_zero_the_first_local_step_is_fedavgs(tiny_loaded, federation):
    """B = 0 gives A no gradient, so one step of both moves B alone, and alike; later steps differ."""
    start = initial_state(tiny_loaded.model, 0)
    for steps, equal in ((1, True), (3, False)):
        client = SFTClient(tiny_loaded, federation, dataclasses.replace(ALL, local_steps=steps), seed=0)
        message = Broadcast(start, {}, 1e-2, 0)
        plain, frozen = (client.train("e", message, make_algorithm(name), {}).local for name in ("fedavg", "ffa_lora"))
        client.close()
        assert same(plain, frozen) == equal


def test_a_does_not_count_towards_the_clipped_norm(tiny_loaded, federation):
    """The gradient that reaches the optimizer has the norm of B's alone: max_grad_norm, where B's was larger."""
    seen = []
    client = SFTClient(tiny_loaded, federation, dataclasses.replace(ALL, local_steps=1), seed=0)
    clip = client._trainer._clip_grad_norm

    def spy(model):
        grads = {n: p.grad for n, p in client._parameters.items()}
        seen.append({n for n, g in grads.items() if g is not None})
        norm = clip(model)
        assert float(norm) > 0.05
        after = torch.stack([g.norm() for g in grads.values() if g is not None]).norm()
        assert float(after) == pytest.approx(0.05, rel=1e-3)
        return norm

    client._trainer._clip_grad_norm = spy
    state = random_state(tiny_loaded.model)
    client.train("e", Broadcast(state, {}, 1e-2, 0), make_algorithm("ffa_lora"), {})
    client.close()
    assert seen == [{n for n in state if ".lora_B." in n}]


def test_bytes_are_those_of_b(go, tiny_loaded):
    a, b = halves(initial_state(tiny_loaded.model, 0))
    for line in go().history:
        for client in line["clients"]:
            assert client["bytes_up"] == client["bytes_down"] == nbytes(b)
            assert client["update_norm"] > 0
    assert {c["bytes_up"] for c in go("fedavg").history[0]["clients"]} == {nbytes(a) + nbytes(b)}


def test_stopped_after_every_client_it_ends_the_same(go):
    """And the checkpoint's running sum holds B alone."""
    whole = go(place="whole")

    class Stop(Exception):
        pass

    def stop(round, client):
        raise Stop

    for _ in range(ALL.rounds * ALL.clients_per_round):
        with pytest.raises(Stop):
            go(on_client=stop)
        progress, _ = read_checkpoint(next(whole.folder.parents[1].glob("runs/*/checkpoint.safetensors")))
        assert all(".lora_B." in n for n in progress.deltas.total)
    again = go()
    assert same(again.adapter, whole.adapter) and without_time(again.history) == without_time(whole.history)


def test_the_server_averages_b_and_keeps_a():
    a, b = "x.lora_A.w", "x.lora_B.w"
    w = {a: torch.tensor([1.0]), b: torch.tensor([2.0])}
    new, server = make_algorithm("ffa_lora").server_step(w, Aggregate({b: torch.tensor([0.5])}, {}, 2, 2), {})
    assert new[a] is w[a] and new[b].item() == 2.5 and list(new) == list(w) and server == {}


def test_on_weights_that_are_no_lora_it_is_fedavg():
    w = {"w": torch.tensor([3.0, -1.0], dtype=torch.float64)}
    gradients = {k: (lambda w, k=k: w - k) for k in range(3)}
    one, other = (
        play_round(make_algorithm(n), w, {}, {}, gradients, lr=0.1, steps=4)[0] for n in ("fedavg", "ffa_lora")
    )
    assert same(one, other)


def pair(a, b, layer="l"):
    return {
        f"{layer}.lora_A.default.weight": torch.tensor(a, dtype=torch.float32),
        f"{layer}.lora_B.default.weight": torch.tensor(b, dtype=torch.float32),
    }


def test_the_gap_by_hand():
    """Rank 1, one number each: A = 1, 3 and B = 2, 6. mean(BA) = (2 + 18) / 2 = 10, mean(B) mean(A) = 4 * 2 = 8."""
    states = [pair([[1.0]], [[2.0]]), pair([[3.0]], [[6.0]])]
    assert averaging_gap(states) == pytest.approx(0.2, rel=1e-12)
    # Weights 3 and 1: mean(BA) = 6, means 3 and 1.5: gap 1.5 / 6.
    assert averaging_gap(states, [3, 1]) == pytest.approx(0.25, rel=1e-12)
    # Opposite moves of a factor from zero: mean(B) = 0 loses all of mean(BA).
    assert averaging_gap([pair([[1.0]], [[1.0]]), pair([[-1.0]], [[-1.0]])]) == pytest.approx(1.0, rel=1e-12)


def test_the_gap_is_numpys_over_two_layers():
    made = np.random.default_rng(0)
    states, weights = [], [217, 1865, 430]
    for _ in weights:
        one = pair(made.normal(size=(2, 5)), made.normal(size=(4, 2)), "u")
        states.append(one | pair(made.normal(size=(2, 3)), made.normal(size=(6, 2)), "v"))
    apart = whole = 0.0
    for layer in "uv":
        a, b = (
            np.stack([s[f"{layer}.lora_{x}.default.weight"].numpy().astype(np.float64) for s in states]) for x in "AB"
        )
        product = np.average(b @ a, axis=0, weights=weights)
        means = np.average(b, axis=0, weights=weights) @ np.average(a, axis=0, weights=weights)
        apart += np.square(product - means).sum()
        whole += np.square(product).sum()
    assert averaging_gap(states, weights) == pytest.approx((apart / whole) ** 0.5, rel=1e-9)


def test_the_gap_of_a_rounds_own_movement():
    """From A = 1, B = 7 the mean product 10 has moved by 3, and 2 of it is lost; from B = 0 both shares are one."""
    states = [pair([[1.0]], [[2.0]]), pair([[3.0]], [[6.0]])]
    assert averaging_gap(states, start=pair([[1.0]], [[7.0]])) == pytest.approx(2 / 3, rel=1e-12)
    assert averaging_gap(states, start=pair([[5.0]], [[0.0]])) == averaging_gap(states)


def test_the_gap_is_zero_where_one_factor_is_shared_or_a_client_is_alone():
    made = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 5, generator=made).tolist(), torch.randn(4, 2, generator=made).tolist()
    others = [torch.randn(4, 2, generator=made).tolist() for _ in range(3)]
    assert averaging_gap([pair(a, o) for o in others], [1, 2, 4]) < 1e-15
    assert averaging_gap([pair(a, b)]) == 0.0
    assert averaging_gap([pair(a, torch.zeros(4, 2).tolist())] * 2) == 0.0  # B = 0: nothing to lose


def test_a_gap_of_nothing_is_refused():
    for states, weights in (([], None), ([{"w": torch.ones(2)}], None), ([pair([[1.0]], [[1.0]])], [1, 2])):
        with pytest.raises(FedkitError, match="no averaging gap"):
            averaging_gap(states, weights)
