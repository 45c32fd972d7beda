"""The servers' steps: closed forms by hand, limits in which each is another, and Flower's strategies.

Flower 1.42 follows Reddi et al. with three conventions of its own: v starts at 0 where the paper and fedkit have tau^2;
FedAdam's eta is scaled by sqrt(1 - b2^(t+1)) / (1 - b1^(t+1)) in round t = 1, 2, ..., which the paper has not; and its
mean weighs clients by `num-examples`, where the paper's algorithm 2 and fedkit weigh them alike. Its FedAvgM is Hsu's
as it stands. Given the same mean, the same start and the same scale, all four are equal to fedkit's.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from core_tools import same

from fedkit.algorithms import ALGORITHMS, Aggregate, make_algorithm
from fedkit.analysis.toy import two_clients
from fedkit.common.errors import FedkitError

MEANS = [0.4, -0.1, 0.3, 0.02, -0.5]  # the mean update of five rounds
ADAPTIVE = ("fedadagrad", "fedyogi", "fedadam")
ETA, B1, B2, TAU = 0.05, 0.9, 0.99, 0.01


def tensor(*values):
    return {"w": torch.tensor(values, dtype=torch.float64)}


def follow(algorithm, deltas=MEANS, start=1.0):
    """w after each of the rounds."""
    w, server, path = tensor(start), {}, []
    for d in deltas:
        w, server = algorithm.server_step(w, Aggregate(tensor(d), {}, 1, 1), server)
        path.append(w["w"].item())
    return path


def adaptive(name, form="reddi", **params):
    betas = {"beta1": B1} if name == "fedadagrad" else {"beta1": B1, "beta2": B2}
    return make_algorithm(name, **({"eta": ETA, "tau": TAU, "form": form} | betas | params))


def momenta(form):
    """m_t = (1 - b1) sum b1^(t-i) D_i; in the systems' form the first D has the weight b1^(t-1)."""
    out = []
    for t in range(1, len(MEANS) + 1):
        share = [(1 - B1) * B1 ** (t - i) for i in range(1, t + 1)]
        if form == "systems":
            share[0] = B1 ** (t - 1)
        out.append(sum(s * d for s, d in zip(share, MEANS, strict=False)))
    return out


def stepped(means, seconds):
    w, path = 1.0, []
    for m, v in zip(means, seconds, strict=True):
        w += ETA * m / (v**0.5 + TAU)
        path.append(w)
    return path


@pytest.mark.parametrize("form", ["reddi", "systems"])
def test_fedadam_closed_form(form):
    """v_t = b2^t tau^2 + (1 - b2) sum b2^(t-i) g_i^2 with g = D, or m in the systems' form."""
    means = momenta(form)
    squared = means if form == "systems" else MEANS
    seconds = [
        B2**t * TAU**2 + sum((1 - B2) * B2 ** (t - i) * squared[i - 1] ** 2 for i in range(1, t + 1))
        for t in range(1, 6)
    ]
    np.testing.assert_allclose(follow(adaptive("fedadam", form)), stepped(means, seconds), rtol=1e-12)


@pytest.mark.parametrize("form", ["reddi", "systems"])
def test_fedadagrad_closed_form(form):
    """v_t = tau^2 + sum g_i^2."""
    means = momenta(form)
    seconds = TAU**2 + np.cumsum(np.square(means if form == "systems" else MEANS))
    np.testing.assert_allclose(follow(adaptive("fedadagrad", form)), stepped(means, seconds), rtol=1e-12)


def test_fedyogi_two_rounds_by_hand():
    """v0 = 0.01 < 0.5^2, so v1 = 0.01 + 0.1 * 0.25 = 0.035; that is above 0.1^2, so v2 = 0.035 - 0.1 * 0.01 = 0.034."""
    algorithm = make_algorithm("fedyogi", eta=1.0, beta1=0.5, beta2=0.9, tau=0.1)
    first = 2.0 + 0.25 / (0.035**0.5 + 0.1)
    second = first + (0.5 * 0.25 + 0.5 * 0.1) / (0.034**0.5 + 0.1)
    assert follow(algorithm, [0.5, 0.1], start=2.0) == pytest.approx([first, second], rel=1e-12)


def test_fedyogi_of_the_systems_two_rounds_by_hand():
    """m1 = D1 = 0.5; m2 = 0.5 * 0.5 + 0.5 * 0.1 = 0.3, m2^2 = 0.09 > v1: v2 = 0.035 + 0.1 * 0.09 = 0.044."""
    algorithm = make_algorithm("fedyogi", eta=1.0, beta1=0.5, beta2=0.9, tau=0.1, form="systems")
    first = 2.0 + 0.5 / (0.035**0.5 + 0.1)
    second = first + 0.3 / (0.044**0.5 + 0.1)
    assert follow(algorithm, [0.5, 0.1], start=2.0) == pytest.approx([first, second], rel=1e-12)


def test_fedadam_by_hand():
    """v = 0.75 * 4 + 0.25 * 6^2 = 12 from v = 2^2; m = 0.5 * 6 = 3; w = 1 + 0.5 * 3 / (sqrt(12) + 2)."""
    algorithm = make_algorithm("fedadam", eta=0.5, beta1=0.5, beta2=0.75, tau=2.0)
    w, server = algorithm.server_step(tensor(1.0), Aggregate(tensor(6.0), {}, 1, 1), {})
    assert server["v"]["w"].item() == pytest.approx(12.0)
    assert w["w"].item() == pytest.approx(1 + 0.5 * 3 / (12**0.5 + 2))


@pytest.mark.parametrize("name", [*ADAPTIVE, "fedavgm", "fedavg", "scaffold"])
def test_the_mean_is_the_sum_times_the_scale(name):
    """A server that gets a sum and its scale steps as one that gets the mean."""
    algorithm = make_algorithm(name)
    one, _ = algorithm.server_step(tensor(1.0), Aggregate(tensor(0.3), tensor(0.1), 4, 9), {})
    other, _ = algorithm.server_step(tensor(1.0), Aggregate(tensor(1.2), tensor(0.1), 4, 9, 0.25), {})
    torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


def test_yogi_forgets_slower_than_adam():
    """After one large update and then small ones d, Adam's v is b2^n of it; Yogi's loses (1 - b2) d^2 a round."""
    large, small, n = 1.0, 0.01, 50
    states = {}
    for name in ("fedyogi", "fedadam"):
        algorithm, w, server = adaptive(name), tensor(0.0), {}
        for d in [large] + [small] * n:
            w, server = algorithm.server_step(w, Aggregate(tensor(d), {}, 1, 1), server)
        states[name] = server["v"]["w"].item()
    first = TAU**2 + (1 - B2) * large**2  # Yogi's; Adam's has b2 tau^2
    assert states["fedyogi"] == pytest.approx(first - n * (1 - B2) * small**2, rel=1e-9)
    begun = first - (1 - B2) * TAU**2
    assert states["fedadam"] == pytest.approx(B2**n * begun + (1 - B2**n) * small**2, rel=1e-9)
    assert states["fedyogi"] > 1.5 * states["fedadam"]


@pytest.mark.parametrize("name", ["fedyogi", "fedadam"])
def test_the_two_forms_differ(name):
    assert abs(follow(adaptive(name))[-1] - follow(adaptive(name, "systems"))[-1]) > 0.01


def test_the_two_forms_of_fedadagrad_are_one_without_momentum():
    one, other = (follow(make_algorithm("fedadagrad", eta=ETA, form=form)) for form in ("reddi", "systems"))
    assert one == other
    assert follow(adaptive("fedadagrad")) != follow(adaptive("fedadagrad", "systems"))


def still(name, form, **params):
    """The method with v held at tau^2, so that w += eta / (2 tau) m: by beta2 = 1, or by a tau above all updates."""
    tau = 1e6 if name == "fedadagrad" else 0.1
    return adaptive(name, form, tau=tau, eta=2 * tau, **({} if name == "fedadagrad" else {"beta2": 1.0}) | params)


@pytest.mark.parametrize("form", ["reddi", "systems"])
@pytest.mark.parametrize("name", ADAPTIVE)
def test_with_v_held_still_it_is_averaging_with_momentum(name, form):
    np.testing.assert_allclose(follow(still(name, form, beta1=0.0)), follow(make_algorithm("fedavg")), rtol=1e-9)
    np.testing.assert_allclose(follow(still(name, form)), 1.0 + np.cumsum(momenta(form)), rtol=1e-9)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_with_v_held_still_the_systems_form_is_their_fedavgm(name):
    momentum = make_algorithm("fedavgm", beta=B1, form="systems")
    np.testing.assert_allclose(follow(still(name, "systems")), follow(momentum), rtol=1e-9)


@pytest.mark.parametrize("form", ["hsu", "systems"])
def test_fedavgm_closed_form(form):
    """hsu: m_t = sum beta^(t-i) D_i, twice times eta here; systems: an average in which the first D has beta^(t-1)."""
    eta = 2.0
    path = follow(make_algorithm("fedavgm", beta=B1, eta=eta, form=form))
    hsu = [sum(B1 ** (t - i) * MEANS[i - 1] for i in range(1, t + 1)) for t in range(1, 6)]
    expected = 1.0 + eta * np.cumsum(hsu if form == "hsu" else momenta("systems"))
    np.testing.assert_allclose(path, expected, rtol=1e-12)


def test_fedavgm_two_rounds_by_hand():
    """hsu: 1 + 4 = 5, m2 = 0.5 * 4 + 2 = 4, 9. systems: 5, m2 = 0.5 * 4 + 0.5 * 2 = 3, 8."""
    assert follow(make_algorithm("fedavgm"), [4.0, 2.0]) == [5.0, 9.0]
    assert follow(make_algorithm("fedavgm", form="systems"), [4.0, 2.0]) == [5.0, 8.0]


@pytest.mark.parametrize("form", ["hsu", "systems"])
def test_fedavgm_without_momentum_is_fedavg_to_the_bit(form):
    assert follow(make_algorithm("fedavgm", beta=0.0, form=form)) == follow(make_algorithm("fedavg"))


def test_steady_updates_make_hsus_form_the_systems_with_a_larger_step():
    """D constant: hsu's m tends to D / (1 - beta), the systems' is D throughout."""
    hsu, systems = (follow(make_algorithm("fedavgm", beta=0.5, form=f), [0.1] * 60) for f in ("hsu", "systems"))
    assert hsu[-1] - hsu[-2] == pytest.approx(2 * (systems[-1] - systems[-2]), rel=1e-9)
    assert systems[-1] - systems[-2] == pytest.approx(0.1, rel=1e-9)


@pytest.mark.parametrize("form", ["hsu", "systems"])
def test_momentum_ends_where_fedavg_ends(form):
    """At rest m = 0 and D = 0, so momentum removes no drift."""
    toy = two_clients()
    plain = toy.play(make_algorithm("fedavg"), rounds=600, steps=10).path[-1]
    torch.testing.assert_close(
        toy.play(make_algorithm("fedavgm", form=form), rounds=600, steps=10).path[-1], plain, rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("name", ADAPTIVE)
def test_the_adaptive_ones_rest_where_the_unweighted_mean_does(name):
    """Their D weighs clients alike, so with one local step they end at the optimum of the plain mean of losses."""
    toy = two_clients()
    even, weighted = toy.optimum("uniform"), toy.optimum()
    params = {"eta": 0.3} if name == "fedadagrad" else {"eta": 0.02}
    end = toy.play(make_algorithm(name, tau=0.1, **params), rounds=3000, steps=1).path[-1]
    torch.testing.assert_close(end, even, rtol=0, atol=1e-4)
    assert (even - weighted).norm() > 0.1


def flower(monkeypatch, name, **settings):
    """Flower's strategy, its own aggregation replaced by the mean that is handed to it."""
    pytest.importorskip("flwr", reason="Flower is not installed (it is in requirements.lock)")
    from flwr.common import Array, ArrayRecord
    from flwr.serverapp import strategy

    theirs = getattr(strategy, name)(**settings)
    monkeypatch.setattr(strategy.FedAvg, "aggregate_train", lambda self, server_round, replies: (replies, None))

    def record(arrays):
        return ArrayRecord({k: Array(v) for k, v in arrays.items()})

    def step(t, w, mean):
        theirs.current_arrays = record(w) if name == "FedAvgM" else w
        arrays, _ = theirs.aggregate_train(t, record({k: v + mean[k] for k, v in w.items()}))
        return {k: arrays[k].numpy() for k in w}

    return step


def random_rounds(count=5):
    """A start and the mean updates of some rounds: two tensors, updates of very different sizes."""
    made = np.random.default_rng(0)
    shapes = {"a": (3, 2), "b": (5,)}
    start = {k: made.normal(size=s) for k, s in shapes.items()}
    return start, [
        {k: made.normal(size=s) * 10.0 ** made.uniform(-4, 0, s) for k, s in shapes.items()} for _ in range(count)
    ]


@pytest.mark.parametrize("name, theirs", [("fedadagrad", "FedAdagrad"), ("fedyogi", "FedYogi"), ("fedadam", "FedAdam")])
def test_the_adaptive_ones_are_flowers(monkeypatch, name, theirs):
    """From v = 0, and for FedAdam with Flower's scale of eta."""
    betas = {} if name == "fedadagrad" else {"beta_1": B1, "beta_2": B2}
    step = flower(monkeypatch, theirs, eta=ETA, tau=TAU, **betas)
    ours = {"beta1": 0.0} if name == "fedadagrad" else {}
    reference, rounds = random_rounds()
    w = {k: torch.tensor(v) for k, v in reference.items()}
    server = {"v": {k: torch.zeros_like(t) for k, t in w.items()}}
    for t, mean in enumerate(rounds, start=1):
        reference = step(t, reference, mean)
        scale = np.sqrt(1 - B2 ** (t + 1)) / (1 - B1 ** (t + 1)) if name == "fedadam" else 1.0
        algorithm = adaptive(name, eta=float(ETA * scale), **ours)
        w, server = algorithm.server_step(w, Aggregate({k: torch.tensor(v) for k, v in mean.items()}, {}, 1, 1), server)
        for k, expected in reference.items():
            np.testing.assert_allclose(w[k].numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("beta, eta", [(0.9, 1.0), (0.5, 0.3), (0.0, 0.5)])
def test_fedavgm_is_flowers(monkeypatch, beta, eta):
    step = flower(monkeypatch, "FedAvgM", server_momentum=beta, server_learning_rate=eta)
    algorithm = make_algorithm("fedavgm", beta=beta, eta=eta)
    reference, rounds = random_rounds()
    w, server = {k: torch.tensor(v) for k, v in reference.items()}, {}
    for t, mean in enumerate(rounds, start=1):
        reference = step(t, reference, mean)
        w, server = algorithm.server_step(w, Aggregate({k: torch.tensor(v) for k, v in mean.items()}, {}, 1, 1), server)
        for k, expected in reference.items():
            np.testing.assert_allclose(w[k].numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("form", ["reddi", "systems"])
@pytest.mark.parametrize("name", [*ADAPTIVE, "fedavgm"])
def test_a_server_state_read_back_goes_on_the_same(name, form):
    """Five rounds in one go, or with a copy of all tensors after two, go on to the same bits."""
    form = {"reddi": "hsu"}.get(form, form) if name == "fedavgm" else form
    algorithm = make_algorithm(name, form=form)
    w, server = tensor(1.0, -2.0), {}
    for t, d in enumerate(MEANS):
        if t == 2:
            again = copy.deepcopy((w, server))
        w, server = algorithm.server_step(w, Aggregate(tensor(d, -d), {}, 1, 1), server)
    other, kept = again
    for d in MEANS[2:]:
        other, kept = algorithm.server_step(other, Aggregate(tensor(d, -d), {}, 1, 1), kept)
    assert same(other, w) and all(same(kept[s], server[s]) for s in server)


def test_the_base_of_the_adaptive_ones_is_no_algorithm():
    from fedkit.algorithms.adaptive import Adaptive

    assert Adaptive.name not in ALGORITHMS
    with pytest.raises(NotImplementedError, match="no rule for v"):
        Adaptive().server_step(tensor(1.0), Aggregate(tensor(1.0), {}, 1, 1), {})
    with pytest.raises(FedkitError):
        Adaptive(form="adam")
