"""Each algorithm against its equation: by hand, by autograd, on quadratics with a known optimum, in real runs.

Client k of a quadratic has the gradient a_k (w - b_k). The server's steps have a file of their own.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from core_tools import SHORT, largest, make_config, same

from fedkit.algorithms import ALGORITHMS, Aggregate, Broadcast, make_algorithm
from fedkit.analysis.toy import play_round
from fedkit.common.errors import FedkitError
from fedkit.training.simulation import run

pytestmark = pytest.mark.usefixtures("frozen")

A = torch.tensor([1.0, 4.0], dtype=torch.float64)
B = torch.tensor([2.0, -1.0], dtype=torch.float64)
OPTIMUM = float((A * B).sum() / A.sum())  # of the mean of (a_k / 2) (w - b_k)^2: -0.4


def hand_round(*given, **settings):
    """`play_round` less the clients' paths."""
    return play_round(*given, **settings)[:2]


def quadratics():
    return {k: (lambda w, k=k: A[k] * (w - B[k])) for k in range(2)}


def after(algorithm, rounds, *, lr, steps, start=3.0):
    w, server, states = {"w": torch.tensor([start], dtype=torch.float64)}, {}, {}
    for t in range(rounds):
        w, server = hand_round(algorithm, w, server, states, quadratics(), lr=lr, steps=steps, round=t)
    return w["w"].item()


@pytest.mark.parametrize("name", sorted(set(ALGORITHMS) - {"fedadagrad", "fedyogi", "fedadam"}))
def test_one_client_and_one_step_is_plain_sgd(name):
    w = {"w": torch.tensor([3.0, -1.0], dtype=torch.float64)}
    new, _ = hand_round(make_algorithm(name), w, {}, {}, {0: lambda w: 2 * w + 1}, lr=0.1, steps=1)
    torch.testing.assert_close(new["w"], w["w"] - 0.1 * (2 * w["w"] + 1), rtol=1e-12, atol=0)


def test_fedavg_ends_where_its_local_steps_agree_not_at_the_optimum():
    """K steps shrink w - b_k by r_k = (1 - lr a_k)^K, so w = sum (1 - r_k) b_k / sum (1 - r_k) stays where it is."""
    lr, steps = 0.1, 20
    pull = 1 - (1 - lr * A) ** steps
    fixed = float((pull * B).sum() / pull.sum())
    assert after(make_algorithm("fedavg"), 60, lr=lr, steps=steps) == pytest.approx(fixed, abs=1e-9)
    assert abs(fixed - OPTIMUM) > 0.5
    assert after(make_algorithm("fedavg"), 400, lr=lr, steps=1) == pytest.approx(OPTIMUM, abs=1e-9)


def test_scaffold_ends_at_the_optimum_with_the_same_many_steps():
    assert after(make_algorithm("scaffold"), 200, lr=0.1, steps=20) == pytest.approx(OPTIMUM, abs=1e-6)


def test_scaffold_at_the_optimum_knows_the_gradients():
    """There w stands still, so c_k is client k's gradient a_k (w - b_k) and c their mean, zero."""
    w, server, states = {"w": torch.tensor([3.0], dtype=torch.float64)}, {}, {}
    for t in range(300):
        w, server = hand_round(make_algorithm("scaffold"), w, server, states, quadratics(), lr=0.1, steps=10, round=t)
    for k in range(2):
        assert states[k]["w"].item() == pytest.approx(float(A[k] * (OPTIMUM - B[k])), abs=1e-6)
    assert server["c"]["w"].item() == pytest.approx(0.0, abs=1e-6)


def test_scaffold_first_variate_is_the_mean_gradient_along_the_path():
    """From c = c_k = 0: c_k' = (w_t - w_k) / (K lr), which is the mean of the gradients at w_0 .. w_{K-1}."""
    lr, steps = 0.1, 3
    path, w = [], 3.0
    for _ in range(steps):
        path.append(float(A[1]) * (w - float(B[1])))
        w -= lr * path[-1]
    states = {}
    start = {"w": torch.tensor([3.0], dtype=torch.float64)}
    _, server = hand_round(
        make_algorithm("scaffold"), start, {}, states, {1: quadratics()[1]}, lr=lr, steps=steps, clients=5
    )
    assert states[1]["w"].item() == pytest.approx(np.mean(path), rel=1e-12)
    assert server["c"]["w"].item() == pytest.approx(np.mean(path) / 5, rel=1e-12)  # one of five clients


def test_scaffold_keeps_c_the_mean_of_all_clients_variates():
    """Also with two of four clients a round: those never drawn count as c_k = 0."""
    made = np.random.default_rng(0)
    targets = torch.tensor(made.normal(size=(4, 3)))
    w, server, states = {"w": torch.zeros(3, dtype=torch.float64)}, {}, {}
    for t in range(6):
        drawn = made.choice(4, 2, replace=False)
        gradients = {int(k): (lambda w, k=k: w - targets[k]) for k in drawn}
        w, server = hand_round(
            make_algorithm("scaffold"), w, server, states, gradients, lr=0.1, steps=3, round=t, clients=4
        )
        total = sum((s["w"] for s in states.values()), torch.zeros(3, dtype=torch.float64))
        torch.testing.assert_close(server["c"]["w"], total / 4, rtol=1e-10, atol=1e-12)
    assert len(states) > 2 and server["c"]["w"].abs().max() > 0.01


def test_scaffold_local_step_is_the_papers():
    """y - lr (g - c_k + c)."""
    c, own, g = (torch.tensor([x], dtype=torch.float64) for x in (0.5, -2.0, 7.0))
    message = Broadcast({"w": torch.tensor([1.0], dtype=torch.float64)}, {"w": c}, 0.1, 3)
    p = torch.nn.Parameter(message.adapter["w"] - 0.1 * g)
    with torch.no_grad():
        make_algorithm("scaffold").local_rule(message, {"w": own}, "cpu").on_step({"w": p})
    assert p.item() == pytest.approx(1.0 - 0.1 * (7.0 - -2.0 + 0.5), rel=1e-12)


def test_fedprox_gradient_is_autograds():
    made = torch.Generator().manual_seed(0)
    anchor = {"u": torch.randn(3, 2, generator=made), "v": torch.randn(4, generator=made)}
    now = {name: torch.nn.Parameter(t + torch.randn(t.shape, generator=made)) for name, t in anchor.items()}
    idle = torch.nn.Parameter(torch.ones(2))  # without a gradient, as an unused adapter is

    def loss(p):
        return (p["u"].sin().sum() * p["v"].cos().sum()) ** 2

    mu = 0.3
    whole = loss(now) + mu / 2 * sum((p - anchor[name]).square().sum() for name, p in now.items())
    wanted = torch.autograd.grad(whole, list(now.values()))
    loss(now).backward()
    message = Broadcast(anchor | {"idle": torch.zeros(2)}, {}, 0.1, 0)
    make_algorithm("fedprox", mu=mu).local_rule(message, {}, "cpu").on_gradient(now | {"idle": idle})
    for p, g in zip(now.values(), wanted, strict=True):
        torch.testing.assert_close(p.grad, g, rtol=1e-6, atol=1e-6)
    assert idle.grad is None


def test_fedprox_moves_less_the_larger_mu():
    """Many local steps end at (a b + mu w_t) / (a + mu)."""
    for mu in (0.0, 1.0, 10.0):
        w = {"w": torch.tensor([3.0], dtype=torch.float64)}
        new, _ = hand_round(make_algorithm("fedprox", mu=mu), w, {}, {}, {0: quadratics()[0]}, lr=0.05, steps=2000)
        assert new["w"].item() == pytest.approx((1.0 * 2.0 + mu * 3.0) / (1.0 + mu), rel=1e-9)


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_a_server_step_changes_nothing_that_it_is_given(name):
    """A resumed run goes on from these very tensors."""
    w, delta, upload = ({"w": torch.tensor([1.0, 2.0]) * x} for x in (1, 3, 5))
    algorithm = make_algorithm(name)
    server = {}
    for _ in range(3):
        copies = [{k: t.clone() for k, t in s.items()} for s in (w, delta, upload, *server.values())]
        given = (w, delta, upload, *server.values())
        new, new_server = algorithm.server_step(w, Aggregate(delta, upload, 2, 4, 2), server)
        assert all(same(s, c) for s, c in zip(given, copies, strict=True))
        w, server = new, new_server


def test_runs_weight_by_samples_or_not(tiny_loaded, tiny_spec, federation, tmp_path):
    """A round of all clients, from their own updates: sum n_k d_k / sum n_k, or the plain mean."""
    from fedkit.training.models import initial_state
    from fedkit.training.sft import SFTClient
    from fedkit.training.simulation import cosine_rate

    train = dataclasses.replace(SHORT, rounds=1, clients_per_round=5)
    start = initial_state(tiny_loaded.model, 0)
    client = SFTClient(tiny_loaded, federation, train, seed=0)
    message = Broadcast(start, {}, cosine_rate(train, 0), 0)
    fedavg = make_algorithm("fedavg")
    locals_ = [client.train(k, message, fedavg, {}).local for k in federation.clients]
    client.close()
    deltas = {name: np.stack([(s[name] - start[name]).numpy() for s in locals_]) for name in start}

    done = run(make_config(tiny_spec, federation, "fedavg", train), federation, tmp_path, loaded=tiny_loaded)
    for name, t in done.adapter.items():
        expected = np.average(deltas[name], axis=0, weights=[3, 6, 9, 12, 20])
        np.testing.assert_allclose((t - start[name]).numpy(), expected, rtol=0, atol=1e-6)

    eta, tau = 0.01, 1e-3
    config = make_config(tiny_spec, federation, "fedadam", train, eta=eta, tau=tau)
    done = run(config, federation, tmp_path, loaded=tiny_loaded)
    for name, t in done.adapter.items():
        mean = deltas[name].astype(np.float64).mean(0)
        expected = eta * 0.1 * mean / (np.sqrt(0.99 * tau**2 + 0.01 * mean**2) + tau)
        np.testing.assert_allclose((t - start[name]).numpy(), expected, rtol=0, atol=1e-6)


@pytest.fixture
def one_round(tiny_loaded, tiny_spec, federation, tmp_path):
    def go(name, rounds=1, **params):
        train = dataclasses.replace(SHORT, rounds=rounds, max_grad_norm=0.5)
        return run(make_config(tiny_spec, federation, name, train, **params), federation, tmp_path, loaded=tiny_loaded)

    return go


def test_fedprox_with_mu_zero_is_fedavg_to_the_bit(one_round):
    plain, prox = one_round("fedavg", rounds=3), one_round("fedprox", rounds=3, mu=0.0)
    assert plain.folder != prox.folder and same(plain.adapter, prox.adapter)
    assert [r["loss"] for r in plain.history] == [r["loss"] for r in prox.history]
    assert not same(plain.adapter, one_round("fedprox", rounds=3, mu=1.0).adapter)


def test_scaffold_starts_as_fedavg_to_the_bit(one_round):
    """All variates are zero in the first round; from the second on they are not."""
    plain, scaffold = one_round("fedavg"), one_round("scaffold")
    assert same(plain.adapter, scaffold.adapter)
    plain, scaffold = one_round("fedavg", rounds=3), one_round("scaffold", rounds=3)
    assert plain.history[0]["loss"] == scaffold.history[0]["loss"]
    assert largest(plain.adapter, scaffold.adapter) > 1e-4


@pytest.mark.parametrize("drawn", [5, 2])
def test_scaffold_variates_of_a_real_run(tiny_loaded, tiny_spec, federation, tmp_path, monkeypatch, drawn):
    """The c that the server sends is the mean of all five c_k that are kept, zero for a client that was never drawn."""
    from fedkit.algorithms.scaffold import Scaffold
    from fedkit.training.client_states import ClientStates

    sent, own, real, save = [], {}, Scaffold.broadcast_extra, ClientStates.save

    def spy(self, server, adapter):
        sent.append(real(self, server, adapter))
        return sent[-1]

    def kept(self, place, round, state):
        if round < 2:
            own[place] = state
        return save(self, place, round, state)

    monkeypatch.setattr(Scaffold, "broadcast_extra", spy)
    monkeypatch.setattr(ClientStates, "save", kept)
    train = dataclasses.replace(SHORT, rounds=3, clients_per_round=drawn)
    done = run(make_config(tiny_spec, federation, "scaffold", train), federation, tmp_path, loaded=tiny_loaded)
    assert len(own) == len({c["client"] for line in done.history[:2] for c in line["clients"]}) >= drawn
    assert len(sent) == 3 and max(float(t.abs().max()) for t in sent[2].values()) > 0.01
    for name, t in sent[2].items():
        torch.testing.assert_close(t, sum(state[name] for state in own.values()) / 5, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name, params, message",
    [
        ("fedawg", {}, f"unknown algorithm 'fedawg'; known: {', '.join(sorted(ALGORITHMS))}"),
        ("fedprox", {"nu": 0.1}, "unknown parameter of fedprox 'nu'; known: mu"),
        ("fedavg", {"mu": 0.1}, "unknown parameter of fedavg 'mu'; known: none"),
        ("fedprox", {"mu": "0.1"}, "parameter mu of fedprox takes a float, got '0.1'"),
        ("fedprox", {"mu": True}, "parameter mu of fedprox takes a float, got True"),
        ("fedprox", {"mu": None}, "parameter mu of fedprox takes a float, got None"),
        ("fedadam", {"form": 1}, "parameter form of fedadam takes a str, got 1"),
        ("fedadam", {"form": "adam"}, "unknown form of fedadam 'adam'; known: reddi, systems"),
        ("fedyogi", {"form": "hsu"}, "unknown form of fedyogi 'hsu'; known: reddi, systems"),
        ("fedadagrad", {"beta2": 0.9}, "unknown parameter of fedadagrad 'beta2'; known: beta1, eta, form, tau"),
        ("fedavgm", {"form": "reddi"}, "unknown form of fedavgm 'reddi'; known: hsu, systems"),
        ("ffa_lora", {"r": 8}, "unknown parameter of ffa_lora 'r'; known: none"),
        ("fedprox", {"mu": -1}, "mu of fedprox is -1.0; it must be finite and at least 0"),
        ("fedprox", {"mu": float("nan")}, "mu of fedprox is nan; it must be finite and at least 0"),
        ("fedprox", {"mu": 1e39}, "mu of fedprox is 1e+39; it must be finite in single precision and at least 0"),
        ("fedavgm", {"eta": 10**400}, "eta of fedavgm is inf; it must be finite and above 0"),
        ("fedavgm", {"beta": 1.5}, "beta of fedavgm is 1.5; it must be finite and at least 0 and below 1"),
        ("fedavgm", {"eta": 0.0}, "eta of fedavgm is 0.0; it must be finite and above 0"),
        ("fedadagrad", {"eta": -1}, "eta of fedadagrad is -1.0; it must be finite and above 0"),
        ("fedadam", {"tau": 0}, "tau of fedadam is 0.0; it must be finite and above 0"),
        ("fedadam", {"beta1": 1.0}, "beta1 of fedadam is 1.0; it must be finite and at least 0 and below 1"),
        ("fedadam", {"beta2": 1.5}, "beta2 of fedadam is 1.5; it must be finite and at least 0 and at most 1"),
        ("fedyogi", {"beta2": -0.1}, "beta2 of fedyogi is -0.1; it must be finite and at least 0 and at most 1"),
        ("fedyogi", {"eta": float("inf")}, "eta of fedyogi is inf; it must be finite and above 0"),
    ],
)
def test_a_mistake_is_one_sentence(name, params, message):
    with pytest.raises(FedkitError) as caught:
        make_algorithm(name, **params)
    assert str(caught.value) == message


def test_defaults_and_sources():
    """The values of the reference systems (settings), and a paper behind every algorithm."""
    assert make_algorithm("fedprox").mu == 0.01 and make_algorithm("fedprox", mu=1).mu == 1
    for name in ("fedadam", "fedyogi"):
        made = make_algorithm(name)
        assert (made.eta, made.beta1, made.beta2, made.tau, made.form) == (1e-3, 0.9, 0.99, 1e-3, "reddi")
    adagrad, momentum = make_algorithm("fedadagrad"), make_algorithm("fedavgm")
    assert (adagrad.eta, adagrad.beta1, adagrad.tau, adagrad.form) == (1e-3, 0.0, 1e-3, "reddi")
    assert (momentum.beta, momentum.eta, momentum.form) == (0.5, 1.0, "hsu")
    assert [n for n in sorted(ALGORITHMS) if make_algorithm(n).weighting == "uniform"] == [
        "fedadagrad",
        "fedadam",
        "fedyogi",
    ]
    for name, cls in ALGORITHMS.items():
        assert cls.name == name and "20" in cls.source


def test_local_takes_one_client_of_a_federation_of_one():
    make_algorithm("local").check(1, 1)
    for clients, sampled in ((2, 1), (1, 2), (2, 2)):
        with pytest.raises(FedkitError, match=f"trains one client, but {clients} were given"):
            make_algorithm("local").check(clients, sampled)
