"""Profiles are data: complete, frozen, and with settings for a dataset that none of them names."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from fedkit.common.errors import FedkitError
from fedkit.data.datasets.built import Cut
from fedkit.data.datasets.registry import DATASETS
from fedkit.profiles.registry import PROFILES, get_profile


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_settings_are_of_datasets_that_are_there(profile):
    """A name that is mistyped here would leave its dataset with the default."""
    assert set(profile.datasets) <= set(DATASETS) and len(profile.datasets) >= 15
    assert all(spec != profile.default for spec in profile.datasets.values())


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_new_dataset_gets_the_default(profile):
    spec = profile.dataset("a_new_one")
    assert spec is profile.default and profile.model_of("a_new_one") == profile.model
    assert spec.train.rounds == profile.dataset("fed_aya").train.rounds  # as long as the profile's others
    assert profile.params_of("fedavgm", "a_new_one") == dict(profile.algorithms.get("fedavgm", {}))


def test_a_spec_gives_the_data_wing_its_part():
    assert get_profile("smoke").dataset("fed_aya").cut == Cut(minimum=8, raw_records=1200)
    assert get_profile("paper").dataset("fingpt").cut == Cut(n_clients=50, max_records_per_client=200)


def test_hyperparameters_come_from_the_dataset_then_the_profile():
    paper = get_profile("paper")
    assert paper.params_of("fedavgm", "fed_aya") == {"form": "systems"}
    assert paper.params_of("fedavgm", "alpaca_gpt4") == {"form": "systems", "beta": 0.9}
    assert get_profile("mini").params_of("fedavgm", "fed_aya") == {}


def test_profiles_cannot_be_changed_and_unknown_ones_are_named():
    mini = get_profile("mini")
    with pytest.raises(FrozenInstanceError):
        mini.seeds = (1,)
    with pytest.raises(TypeError):
        mini.datasets["fed_aya"] = None
    with pytest.raises(FedkitError, match="unknown profile 'huge'; known: course, mini, paper, smoke"):
        get_profile("huge")
