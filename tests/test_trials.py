"""Short runs beside one another, on the embedded world of the smoke profile."""

from __future__ import annotations

import pytest

from fedkit.session import Session
from fedkit.trials import losses_by_round, short_runs, summary


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return Session("smoke", results_dir=tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def runs(kit):
    dataset = kit.build("fed_aya").dataset
    variants = {"FedAvg": ("fedavg", {}), "mu = 1": ("fedprox", {"mu": 1.0}), "FFA-LoRA": ("ffa_lora", {})}
    return dataset, short_runs(kit, dataset, variants, rounds=99, clients_per_round=1)


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
    """FFA-LoRA sends less; a strong pull back moves less; a loss is about that of guessing among all tokens or less."""
    dataset, found = runs
    frame = summary(kit, found, dataset)
    assert frame.loc["FFA-LoRA", "MB"] < frame.loc["FedAvg", "MB"]
    assert 0 < frame.loc["mu = 1", "moved by"] <= 1.001 * frame.loc["FedAvg", "moved by"]
    assert frame["held-out loss"].between(0.1, 12).all()
