"""The drawable federation: gradients by autograd, optima and paths in closed form."""

from __future__ import annotations

import pytest
import torch

from fedkit.algorithms import make_algorithm
from fedkit.toy import local_path, play, two_clients

TOY = two_clients()


@pytest.mark.parametrize("name", list(TOY.clients))
def test_gradient_is_that_of_the_loss(name):
    client = TOY.clients[name]
    w = torch.tensor([0.7, -1.3], dtype=torch.float64, requires_grad=True)
    (wanted,) = torch.autograd.grad(client.loss(w), w)
    torch.testing.assert_close(client.gradient(w.detach()), wanted)
    assert client.loss(client.optimum).item() == 0.0


@pytest.mark.parametrize("weighting", ["samples", "uniform"])
def test_the_optimum_is_where_the_mean_gradient_vanishes(weighting):
    share = TOY.weights(weighting)
    assert sum(share.values()) == pytest.approx(1.0) and (share["A"] > share["B"]) == (weighting == "samples")
    best = TOY.optimum(weighting)
    assert sum(share[k] * c.gradient(best) for k, c in TOY.clients.items()).abs().max() < 1e-12
    around = best + 0.1 * torch.tensor([[1.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    assert (TOY.loss(around, weighting) > TOY.loss(best, weighting)).all()


def test_the_local_path_is_a_power():
    """w_K - c = (I - lr H)^K (w - c)."""
    client = TOY.clients["B"]
    path = local_path(client, TOY.start, 7, 0.2)
    shrink = torch.linalg.matrix_power(torch.eye(2, dtype=torch.float64) - 0.2 * client.curvature, 7)
    torch.testing.assert_close(path[-1], client.optimum + shrink @ (TOY.start - client.optimum))
    assert path.shape == (8, 2) and torch.equal(path[0], TOY.start)


def test_playing_fedavg_is_the_weighted_mean_of_local_paths():
    played = play(make_algorithm("fedavg"), TOY, rounds=3, steps=4)
    w = TOY.start
    for t in range(3):
        ends = {k: local_path(c, w, 4, 0.2) for k, c in TOY.clients.items()}
        for k, path in ends.items():
            torch.testing.assert_close(played.local[t][k], path)
        w = 0.6 * ends["A"][-1] + 0.4 * ends["B"][-1]
        torch.testing.assert_close(played.path[t + 1], w)
    assert played.states == {} and played.server == [{}] * 3


def test_playing_scaffold_shows_its_variates():
    """c is the plain mean of the c_k after every round, whatever the weights of the adapters are."""
    played = play(make_algorithm("scaffold"), TOY, rounds=5, steps=4)
    torch.testing.assert_close(played.server[-1]["c"], (played.states["A"] + played.states["B"]) / 2)
    assert played.states["A"].abs().max() > 0.01


def test_another_start():
    start = torch.tensor([5.0, 5.0], dtype=torch.float64)
    assert torch.equal(play(make_algorithm("fedavg"), TOY, rounds=1, steps=1, start=start).path[0], start)
