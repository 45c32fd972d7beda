"""The streaming mean against NumPy's, and the server's arithmetic against its formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fedkit.algorithms import aggregators as ag


def state(*values):
    return {"a": torch.tensor(values, dtype=torch.float32), "b": torch.tensor([[v * 10] for v in values])}


@pytest.mark.parametrize("weights", [[1, 1, 1, 1, 1, 1], [217, 1865, 430, 1, 795, 12], [0, 3, 0, 0.5, 2, 0]])
def test_the_streaming_mean_is_numpys(weights):
    made = torch.Generator().manual_seed(0)
    states = [{"a": torch.randn(3, 4, generator=made), "b": torch.randn(5, generator=made)} for _ in weights]
    copies = [{k: t.clone() for k, t in s.items()} for s in states]
    running = ag.RunningMean()
    for s, w in zip(states, weights, strict=True):
        running.add(s, w)
    for name, mean in running.mean().items():
        expected = np.average([s[name].numpy().astype(np.float64) for s in states], axis=0, weights=weights)
        np.testing.assert_allclose(mean.numpy(), expected, rtol=2e-5, atol=2e-6)
    assert running.weight == sum(weights) and running.count == len(weights)
    for s, copy in zip(states, copies, strict=True):  # a client's own tensors stay as they were
        assert all(torch.equal(s[k], copy[k]) for k in s)


def test_it_keeps_one_adapter_however_many_come():
    running = ag.RunningMean()
    for i in range(50):
        running.add({"a": torch.full((1000,), float(i))}, 1.0)
    assert sum(t.numel() for t in running.total.values()) == 1000
    assert torch.allclose(running.mean()["a"], torch.full((1000,), 24.5))


def test_the_mean_of_one_is_itself_and_adding_goes_on_after_it():
    running = ag.RunningMean()
    running.add(state(1.0, 3.0), 4.0)
    torch.testing.assert_close(running.mean(), state(1.0, 3.0))
    running.add(state(5.0, 3.0), 4.0)
    torch.testing.assert_close(running.mean(), state(3.0, 3.0))


def test_no_update_has_no_mean():
    with pytest.raises(ValueError, match="no updates"):
        ag.RunningMean().mean()


def test_arithmetic_makes_new_states():
    x, y = state(1.0, 2.0), state(10.0, 20.0)
    torch.testing.assert_close(ag.add(x, y, 0.5), state(6.0, 12.0))
    torch.testing.assert_close(ag.subtract(y, x), state(9.0, 18.0))
    torch.testing.assert_close(ag.zeros_like(x), state(0.0, 0.0))
    torch.testing.assert_close((x, y), (state(1.0, 2.0), state(10.0, 20.0)))


def test_norm_is_pythagoras_over_all_entries():
    assert ag.norm({"a": torch.tensor([3.0]), "b": torch.tensor([[4.0], [12.0]])}) == pytest.approx(13.0, rel=1e-12)
    assert ag.norm({}) == 0.0
    assert ag.norm({"a": torch.full((4,), 1e30)}) == pytest.approx(2e30)  # no overflow in float32


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_bad_entry_is_found(bad):
    good = {"a": torch.zeros(3), "b": torch.zeros(2, 2)}
    assert ag.is_finite(good) and ag.is_finite({})
    good["b"][1, 0] = bad
    assert not ag.is_finite(good)


def test_momentum_by_hand():
    """m1 = 0.2 * 10 = 2, m2 = 0.8 * 2 + 0.2 * 20 = 5.6; warm: m1 = 10, m2 = 0.8 * 10 + 0.2 * 20 = 12."""
    d1, d2 = {"a": torch.tensor([10.0])}, {"a": torch.tensor([20.0])}
    cold = ag.momentum(None, d1, 0.8)
    assert cold["a"].item() == pytest.approx(2.0) and ag.momentum(cold, d2, 0.8)["a"].item() == pytest.approx(5.6)
    warm = ag.momentum(None, d1, 0.8, warm=True)
    assert warm["a"].item() == 10.0 and ag.momentum(warm, d2, 0.8)["a"].item() == pytest.approx(12.0)
