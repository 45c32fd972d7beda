"""Short runs beside one another, on the embedded world of the smoke profile; and their drawings."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch

from fedkit.algorithms.registry import make_algorithm
from fedkit.analysis.figures.methods import away, by_round, drift
from fedkit.analysis.figures.style import axes
from fedkit.analysis.toy import two_clients
from fedkit.common.errors import FedkitError
from fedkit.evaluation.specs import AVERAGE, RIGHT
from fedkit.evaluation.yardsticks import YARDSTICKS
from fedkit.privacy.published import PublishedNoise
from fedkit.report.paper import label
from fedkit.report.trials import Comparison, gains_over_local, yardstick_rows
from fedkit.session import Session

VARIANTS = {"FedAvg": ("fedavg", {}), "mu = 1": ("fedprox", {"mu": 1.0}), "FFA-LoRA": ("ffa_lora", {})}


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return Session("smoke", results_dir=tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def runs(kit):
    return kit.compare(kit.build("fed_aya"), VARIANTS, rounds=99, clients_per_round=1)


def test_variants_share_clients_and_never_exceed_the_profile(kit, runs):
    spec = kit.profile.dataset("fed_aya").train
    assert list(runs.runs) == list(VARIANTS) and len({r.config.hash for r in runs.runs.values()}) == 3
    assert {(r.config.train.rounds, r.config.train.clients_per_round) for r in runs.runs.values()} == {(spec.rounds, 1)}
    drawn = [[[c["client"] for c in line["clients"]] for line in r.history] for r in runs.runs.values()]
    assert drawn[0] == drawn[1] == drawn[2] and runs["FFA-LoRA"] is runs.runs["FFA-LoRA"]


def test_losses_are_those_of_the_history(runs):
    frame = runs.losses_by_round()
    assert frame.index.tolist() == list(range(1, len(frame) + 1)) and frame.columns.tolist() == list(runs.runs)
    for name, run in runs.runs.items():
        assert frame[name].tolist() == [line["loss"] for line in run.history]


def test_the_summary(kit, runs):
    """A row from its parts: the loss of the answers, the norm of the move, the bytes of the history."""
    from fedkit.evaluation.likelihood import completion_loss
    from fedkit.training.models import initial_state

    frame = runs.summary()
    run, train = runs["mu = 1"], kit.profile.dataset("fed_aya").train
    answers = [
        {"instruction": q.instruction, "response": q.reference, "language": q.language}
        for q in kit.questions("fed_aya")
    ]
    loaded = kit.loaded("fed_aya", run.adapter)
    loss = completion_loss(loaded, answers, max_length=train.max_length, template=train.template)["loss"]
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
    here = kit.compare(kit.build("fed_chatbot_it"), {"FedAvg": ("fedavg", {})}, rounds=1, clients_per_round=1)
    there = Comparison(with_file, here.data, here.seeds)
    assert there.held_out_loss(here["FedAvg"]) == here.held_out_loss(here["FedAvg"])


def test_runs_and_losses_of_several_seeds(kit, runs):
    """The first seed's are the short runs; the table has each loss, and its difference from the first run's by seed."""
    pair = {name: VARIANTS[name] for name in ("FedAvg", "mu = 1")}
    both = kit.compare(runs.data.dataset, pair, rounds=99, clients_per_round=1, seeds=[0, 1])
    assert {s: list(by_name) for s, by_name in both.seeds.items()} == {0: list(pair), 1: list(pair)}
    assert both["mu = 1"].folder == runs["mu = 1"].folder and both.seeds[1]["mu = 1"].config.seed == 1
    table = both.by_seed("methods").by_seed().set_index(["metric", "row", "seed"])["value"]
    for seed in both.seeds:
        losses = both.summary(seed)["held-out loss"]
        assert table["held-out loss", "FedAvg", seed] == losses["FedAvg"]
        assert table["less FedAvg", "mu = 1", seed] == losses["mu = 1"] - losses["FedAvg"]
    assert len(table) == 6


def test_scores_stand_beside_what_needs_no_model(kit, runs):
    """Yardsticks, the base, the runs: all by `Session.evaluate`. An echo wins nothing; facts are counted beside."""
    table = runs.scores("trial").frame().pivot(index="row", columns="metric", values="value")
    assert set(table.index) == {*YARDSTICKS, label("base"), *VARIANTS}
    assert table.loc["echo", AVERAGE] == 1.0 and table.loc["echo", RIGHT] == 0.0
    assert table.loc["constant", AVERAGE] <= 1.5 and table[RIGHT].between(0, 100).all()
    known = kit.evaluate(runs["mu = 1"]).series()
    assert table.loc["mu = 1"].to_dict() == pytest.approx(known.to_dict())
    rows = yardstick_rows(kit, runs.data.dataset, "chatbot_it")
    assert rows["echo"].score("Ref").value == 1.0 and rows["echo"].score("MMLU").value is None
    assert rows["echo"].score("MMLU").note == "not run: it asks a model, and echo is none"


def test_gains_over_local_training():
    """All: the averages' difference. Own: the difference in the local client's language alone."""
    alone = [("Local Training (ar)", "ar", 4.0), ("Local Training (ar)", AVERAGE, 2.0)]
    other = [("Local Training (en)", "en", 5.0), ("Local Training (en)", AVERAGE, 3.0)]
    ours = [("FedAvg", "ar", 6.0), ("FedAvg", "en", 5.5), ("FedAvg", AVERAGE, 5.75), ("echo", AVERAGE, 1.0)]
    frame = pd.DataFrame([*alone, *other, *ours], columns=["row", "metric", "value"]).assign(seed=3)
    gains = gains_over_local(frame)
    assert gains.values.tolist() == [["ar", 3, 3.75, 2.0], ["en", 3, 2.75, 0.5]]
    assert gains.columns.tolist() == ["language", "seed", "all", "own"]
    with pytest.raises(FedkitError, match="has no row 'FedProx'"):
        gains_over_local(frame, "fedprox")
    with pytest.raises(FedkitError, match="has no value for .*'Local Training"):
        gains_over_local(frame[~((frame["row"] == "Local Training (en)") & (frame["metric"] == AVERAGE))])


def test_other_settings_are_other_runs(kit, runs):
    brief = {"rounds": 1, "clients_per_round": 1, "settings": {"local_steps": 1}}
    one = kit.compare(runs.data, {"FedAvg": VARIANTS["FedAvg"]}, **brief)["FedAvg"]
    train = one.config.train
    assert (train.rounds, train.local_steps) == (1, 1) and one.folder != runs["FedAvg"].folder
    assert [c["steps"] for line in one.history for c in line["clients"]] == [1]


def test_what_is_said_of_runs(kit, runs):
    assert runs.rules() == "FedProx: mu 1"
    variants = {"a": ("fedavgm", {"form": "systems"}), "b": ("fedadagrad", {}), "c": ("fedavg", {})}
    variants |= {"again": variants["a"], "d": ("fedavg", {}, PublishedNoise(sigma=0.1))}
    brief = {"rounds": 1, "clients_per_round": 1, "settings": {"local_steps": 1}}
    compared = kit.compare(runs.data, variants, **brief)
    assert compared.rules() == (
        "FedAvgM: beta 0.5, eta 1, form systems; FedAdagrad: eta 0.001, beta1 0, tau 0.001, form reddi; "
        "FedAvg under published privacy: sigma 0.1"
    )
    assert compared["d"].config.privacy == {"name": "published", "sigma": 0.1} and compared["d"].manifest["privacy"]
    dataset = runs.data.dataset
    numbers = f"{len(dataset)} clients, {dataset.n_records} records; "
    numbers += "2 rounds a run, 1 clients a round, 2 local steps"
    assert runs.describe() == f"{runs.data.located.describe()}\n{numbers}"
    assert Comparison(kit, dataset, runs.seeds).describe() == numbers


def test_distances_to_the_optimum():
    toy = two_clients()
    played = {"FedAvg": toy.play(make_algorithm("fedavg"), rounds=2, steps=3)}
    for weighting in ("samples", "uniform"):
        (x, y) = away(toy, played, weighting=weighting)["FedAvg"]
        off = (played["FedAvg"].path - toy.optimum(weighting)).square().sum(1).sqrt()
        assert list(x) == [0, 1, 2] and y == pytest.approx(off.tolist(), rel=1e-12)


def test_the_plane_shows_every_path_and_the_star():
    """In the order drawn: two crosses, the star at the optimum, a path a client and round, the server's."""
    toy = two_clients()
    played = toy.play(make_algorithm("fedavg"), rounds=2, steps=3)
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
