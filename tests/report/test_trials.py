"""Short runs beside one another, on the embedded world of the smoke profile; and their drawings."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from fedkit.algorithms import make_algorithm
from fedkit.analysis.figures import axes
from fedkit.analysis.figures.methods import away, by_round, drift
from fedkit.analysis.toy import play, two_clients
from fedkit.report.trials import (
    described,
    held_out_loss,
    losses_by_round,
    losses_by_seed,
    rules,
    runs_by_seed,
    short_runs,
    summary,
)
from fedkit.session import Session

VARIANTS = {"FedAvg": ("fedavg", {}), "mu = 1": ("fedprox", {"mu": 1.0}), "FFA-LoRA": ("ffa_lora", {})}


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return Session("smoke", results_dir=tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def runs(kit):
    dataset = kit.build("fed_aya").dataset
    return dataset, short_runs(kit, dataset, VARIANTS, rounds=99, clients_per_round=1)


def test_variants_share_clients_and_never_exceed_the_profile(kit, runs):
    _, found = runs
    spec = kit.profile.dataset("fed_aya").train
    assert list(found) == ["FedAvg", "mu = 1", "FFA-LoRA"] and len({r.config.hash for r in found.values()}) == 3
    assert {(r.config.train.rounds, r.config.train.clients_per_round) for r in found.values()} == {(spec.rounds, 1)}
    drawn = [[[c["client"] for c in line["clients"]] for line in r.history] for r in found.values()]
    assert drawn[0] == drawn[1] == drawn[2]


def test_losses_are_those_of_the_history(runs):
    _, found = runs
    frame = losses_by_round(found)
    assert frame.index.tolist() == list(range(1, len(frame) + 1)) and frame.columns.tolist() == list(found)
    for name, run in found.items():
        assert frame[name].tolist() == [line["loss"] for line in run.history]


def test_the_summary(kit, runs):
    """A row from its parts: the loss of the answers, the norm of the move, the bytes of the history."""
    from fedkit.evaluation.ref import completion_loss
    from fedkit.training.models import initial_state

    dataset, found = runs
    frame = summary(kit, found, dataset)
    run, train = found["mu = 1"], kit.profile.dataset("fed_aya").train
    asked = [
        {"instruction": q.instruction, "response": q.reference, "language": q.language}
        for q in kit.questions("fed_aya")
    ]
    loaded = kit.loaded(run.adapter)
    loss = completion_loss(loaded.model, loaded.tokenizer, asked, train.template, train.max_length)["loss"]
    assert frame.loc["mu = 1", "held-out loss"] == pytest.approx(loss, rel=1e-6)
    start = initial_state(loaded.model, 0)
    moved = torch.cat([(t - start[name]).flatten() for name, t in run.adapter.items()]).norm()
    assert frame.loc["mu = 1", "moved by"] == pytest.approx(float(moved), rel=1e-5)
    sent = sum(line["bytes_up"] + line["bytes_down"] for line in run.history)
    assert frame.loc["mu = 1", "MB"] == sent / 1e6
    assert frame.loc["FFA-LoRA", "MB"] < frame.loc["FedAvg", "MB"]
    assert len(set(frame["held-out loss"])) == 3


def test_a_loss_is_of_questions_with_answers(kit, tmp_path):
    """The published questions of Fed-ChatbotIT have none: embedded records are measured by embedded questions."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "chatbot_test.json").write_text('[{"instruction": "Who?"}, {"instruction": "Where?"}]')
    with_file = Session("smoke", results_dir=tmp_path / "results", data_dir=tmp_path / "data")
    assert [q.reference for q in with_file.questions("fed_chatbot_it")] == ["", ""]
    assert with_file.questions("fed_chatbot_it", answered=True) == kit.questions("fed_chatbot_it", answered=True)
    dataset = kit.build("fed_chatbot_it").dataset
    run = short_runs(kit, dataset, {"FedAvg": ("fedavg", {})}, rounds=1, clients_per_round=1)["FedAvg"]
    assert held_out_loss(with_file, run, dataset) == held_out_loss(kit, run, dataset)


def test_runs_and_losses_of_several_seeds(kit, runs):
    """The first seed's are the short runs; the table has each loss, and its difference from the first run's by seed."""
    dataset, found = runs
    pair = {name: VARIANTS[name] for name in ("FedAvg", "mu = 1")}
    both = runs_by_seed(kit, dataset, pair, rounds=99, clients_per_round=1, seeds=[0, 1])
    assert {s: list(by_name) for s, by_name in both.items()} == {0: list(pair), 1: list(pair)}
    assert both[0]["mu = 1"].folder == found["mu = 1"].folder and both[1]["mu = 1"].config.seed == 1
    table = losses_by_seed(kit, both, dataset, table="methods").by_seed().set_index(["metric", "row", "seed"])["value"]
    for seed, by_name in both.items():
        losses = summary(kit, by_name, dataset)["held-out loss"]
        assert table["held-out loss", "FedAvg", seed] == losses["FedAvg"]
        assert table["less FedAvg", "mu = 1", seed] == losses["mu = 1"] - losses["FedAvg"]
    assert len(table) == 6


def test_other_settings_are_other_runs(kit, runs):
    dataset, found = runs
    one = short_runs(
        kit, dataset, {"FedAvg": VARIANTS["FedAvg"]}, rounds=1, clients_per_round=1, settings={"local_steps": 1}
    )
    train = one["FedAvg"].config.train
    assert (train.rounds, train.local_steps) == (1, 1) and one["FedAvg"].folder != found["FedAvg"].folder
    assert [c["steps"] for line in one["FedAvg"].history for c in line["clients"]] == [1]


def test_what_is_said_of_runs(kit, runs):
    _, found = runs
    assert rules(run.config for run in found.values()) == "FedProx: mu 1"
    dataset = kit.build("fed_aya").dataset
    plans = [kit.plan("fedavgm", dataset, form="systems"), kit.plan("fedadagrad", dataset), kit.plan("fedavg", dataset)]
    assert rules(plans + plans[:1]) == (
        "FedAvgM: beta 0.5, eta 1, form systems; FedAdagrad: eta 0.001, beta1 0, tau 0.001, form reddi"
    )
    said = described(kit.build("fed_aya"), found)
    assert (
        f"{len(dataset)} clients, {dataset.n_records} records; 2 rounds a run, 1 clients a round, 2 local steps" in said
    )


def test_distances_to_the_optimum():
    toy = two_clients()
    played = {"FedAvg": play(make_algorithm("fedavg"), toy, rounds=2, steps=3)}
    for weighting in ("samples", "uniform"):
        (x, y) = away(toy, played, weighting=weighting)["FedAvg"]
        off = (played["FedAvg"].path - toy.optimum(weighting)).square().sum(1).sqrt()
        assert list(x) == [0, 1, 2] and y == pytest.approx(off.tolist(), rel=1e-12)


def test_the_plane_shows_every_path_and_the_star():
    """In the order drawn: two crosses, the star at the optimum, a path a client and round, the server's."""
    toy = two_clients()
    played = play(make_algorithm("fedavg"), toy, rounds=2, steps=3)
    _, ax = axes()
    drift(ax, toy, played, title="two rounds", weighting="uniform")
    drawn = [line.get_xydata() for line in ax.lines]
    plt.close(ax.figure)
    assert len(drawn) == 2 + 1 + 2 * 2 + 1
    assert drawn[2][0] == pytest.approx(toy.optimum("uniform").tolist())
    assert drawn[3] == pytest.approx(played.local[0]["A"].numpy()) and drawn[-1] == pytest.approx(played.path.numpy())
    assert ax.get_title(loc="left") == "two rounds"


def test_the_baseline_lies_at_zero_by_round():
    losses = pd.DataFrame({"FedAvg": [3.0, 2.0], "other": [3.5, 1.0]}, index=[1, 2])
    figure, panels = plt.subplots(1, 2)
    by_round(panels, losses, baseline="FedAvg")
    left, right = ([list(line.get_ydata()) for line in ax.lines] for ax in panels)
    plt.close(figure)
    assert left == [[3.0, 2.0], [3.5, 1.0]] and right[1:] == [[0.0, 0.0], [0.5, -1.0]]
