"""The drawable federation: gradients by autograd, optima and paths in closed form."""

from __future__ import annotations

import pytest
import torch

from fedkit.algorithms import make_algorithm
from fedkit.analysis.toy import feed, play_round, two_clients
from fedkit.privacy.published import PublishedNoise
from fedkit.privacy.user_level import UserLevelDP

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
    path = client.path(TOY.start, 7, 0.2)
    shrink = torch.linalg.matrix_power(torch.eye(2, dtype=torch.float64) - 0.2 * client.curvature, 7)
    torch.testing.assert_close(path[-1], client.optimum + shrink @ (TOY.start - client.optimum))
    assert path.shape == (8, 2) and torch.equal(path[0], TOY.start)


def test_playing_fedavg_is_the_weighted_mean_of_local_paths():
    played = TOY.play(make_algorithm("fedavg"), rounds=3, steps=4)
    w = TOY.start
    for t in range(3):
        ends = {k: c.path(w, 4, 0.2) for k, c in TOY.clients.items()}
        for k, path in ends.items():
            torch.testing.assert_close(played.local[t][k], path)
        w = 0.6 * ends["A"][-1] + 0.4 * ends["B"][-1]
        torch.testing.assert_close(played.path[t + 1], w)
    assert played.states == {} and played.server == [{}] * 3


def test_playing_scaffold_shows_its_variates():
    """c is the plain mean of the c_k after every round, whatever the weights of the adapters are."""
    played = TOY.play(make_algorithm("scaffold"), rounds=5, steps=4)
    torch.testing.assert_close(played.server[-1]["c"], (played.states["A"] + played.states["B"]) / 2)
    assert played.states["A"].abs().max() > 0.01


def test_a_number_of_steps_for_each_round():
    fedavg = make_algorithm("fedavg")
    first = TOY.play(fedavg, rounds=1, steps=6).path[-1]
    second = TOY.play(fedavg, rounds=1, steps=2, start=first).path[-1]
    assert torch.equal(TOY.play(fedavg, rounds=2, steps=[6, 2]).path, torch.stack([TOY.start, first, second]))
    with pytest.raises(ValueError):
        TOY.play(fedavg, rounds=3, steps=[6, 2])


def test_another_start():
    start = torch.tensor([5.0, 5.0], dtype=torch.float64)
    assert torch.equal(TOY.play(make_algorithm("fedavg"), rounds=1, steps=1, start=start).path[0], start)


@pytest.mark.parametrize("weighting, name", [("samples", "fedavg"), ("uniform", "fedadam")])
def test_the_mean_move_is_the_delta_that_a_server_gets(weighting, name):
    algorithm, seen = make_algorithm(name), []

    class Spy(type(algorithm)):
        def server_step(self, w, aggregate, server):
            seen.append(aggregate.delta["w"])
            return super().server_step(w, aggregate, server)

    TOY.play(Spy(), rounds=1, steps=3)
    torch.testing.assert_close(TOY.mean_move(TOY.start, 3, weighting=weighting), seen[0])


def test_noise_on_uploads_is_played():
    """Both coins of the paper's noise: none gives FedAvg to the bit; sigma moves the mean by sigma sqrt(sum p_k^2)."""
    fedavg = make_algorithm("fedavg")
    plain = TOY.play(fedavg, rounds=2, steps=2).path
    assert torch.equal(TOY.play(fedavg, rounds=2, steps=2, privacy=PublishedNoise()).path, plain)
    noise = PublishedNoise(sigma=0.5)
    noisy = [TOY.play(fedavg, rounds=1, steps=2, privacy=noise, seed=s).path[1] for s in range(400)]
    off = torch.stack(noisy) - plain[1]
    assert len({tuple(x.tolist()) for x in noisy}) == 400
    assert off.std().item() == pytest.approx(0.5 * (0.6**2 + 0.4**2) ** 0.5, rel=0.1)


def test_clipping_bounds_what_is_played():
    """Each of two updates is at most 0.05 long, so their mean is, and here both are longer before."""
    played = TOY.play(make_algorithm("fedavg"), rounds=5, steps=4, privacy=UserLevelDP(clip=0.05))
    assert (played.path.diff(dim=0).norm(dim=1) <= 0.05 + 1e-12).all()
    first = [(path[-1] - path[0]) for path in played.local[0].values()]
    assert min(x.norm() for x in first) > 0.05
    wanted = sum(0.05 * x / x.norm() for x in first) / 2
    torch.testing.assert_close(played.path[1] - played.path[0], wanted)


def test_the_order_of_questions_is_the_simulations(tiny_loaded, tiny_spec, federation, tmp_path, monkeypatch):
    """The same calls with the same kinds of arguments, in a played round and in a run of two clients."""
    from dataclasses import replace

    from core_tools import SHORT, make_config

    from fedkit.algorithms.scaffold import Scaffold
    from fedkit.privacy.base import Mechanism
    from fedkit.privacy.keys import derived_key
    from fedkit.training import simulation

    calls = []

    class Spy(Scaffold):
        def broadcast_extra(self, server, adapter):
            calls.append("broadcast_extra")
            return super().broadcast_extra(server, adapter)

        def local_rule(self, message, client_state, device):
            calls.append(f"local_rule round {message.round}")
            return super().local_rule(message, client_state, device)

        def finish_client(self, message, local, client_state, steps):
            calls.append(
                f"finish_client {steps} {max(float(abs(local[n] - message.adapter[n]).max()) for n in local) > 0}"
            )
            return super().finish_client(message, local, client_state, steps)

        def server_step(self, w, aggregate, server):
            zero = all(not t.any() for t in aggregate.delta.values())
            calls.append(f"server_step {zero} {[getattr(aggregate, f) for f in ('reported', 'clients', 'scale')]}")
            return super().server_step(w, aggregate, server)

    class Zero(Mechanism):
        def terms(self, state):
            calls.append(f"terms {state}")
            return {}

        def protect(self, delta, terms, *, key, round, client):
            calls.append(f"protect {key.words(1, 'x')}, round {round}, {type(client).__name__}")
            return {name: t * 0 for name, t in delta.items()}, {}

        def release(self, aggregate, state, *, expected, key, round):
            calls.append(f"release {expected}, {key.words(1, 'x')}, round {round}")
            return aggregate, state

    monkeypatch.setattr(simulation, "make_algorithm", lambda name: Spy())
    monkeypatch.setattr(simulation, "make_mechanism", lambda privacy: Zero())
    train = replace(SHORT, rounds=1, clients_per_round=2, local_steps=3)
    config = make_config(tiny_spec, federation, "scaffold", train, seed=7)
    simulation.run(config, federation, tmp_path, loaded=tiny_loaded)
    real, calls[:] = list(calls), []
    gradients = {k: c.gradient for k, c in TOY.clients.items()}
    how = {"privacy": Zero(), "key": derived_key(config.as_dict()), "clients": len(federation)}
    play_round(Spy(), {"w": TOY.start}, {}, {}, gradients, lr=0.1, steps=3, **how)
    assert calls == real and len(calls) == 2 + 2 * 3 + 2


def test_a_fed_server_is_the_server():
    """FedAvgM of Hsu: m = 1, 1.5, 1.75 under steady updates, and w their sum; Adagrad's v = tau^2 + sum d^2."""
    path, kept = feed(make_algorithm("fedavgm", beta=0.5), [1, 1, 1])
    assert path.tolist() == [0.0, 1.0, 2.5, 4.25] and [k["m"] for k in kept] == [1.0, 1.5, 1.75]
    _, kept = feed(make_algorithm("fedadagrad", tau=0.5), [1.0, -2.0])
    assert [k["v"] for k in kept] == [1.25, 5.25]
    assert feed(make_algorithm("fedavg"), [])[0].tolist() == [0.0]
