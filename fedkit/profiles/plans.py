"""From a profile to the configuration of a run: the profile's settings for a dataset, changed by what is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ..algorithms.registry import make_algorithm
from ..common.errors import FedkitError
from ..privacy.base import Mechanism
from ..training.models import base_fingerprint
from ..training.runs import RunConfig, training_code
from .specs import Profile

if TYPE_CHECKING:
    from ..data.federated import FederatedDataset
    from ..training.runs import Run


def run_config(
    profile: Profile,
    algorithm: str,
    dataset: FederatedDataset,
    *,
    seed: int,
    clients: Sequence[str] | None,
    settings: Mapping[str, Any],
    start: Run | None,
    privacy: Mechanism | None,
    params: Mapping[str, Any],
) -> RunConfig:
    """The configuration of a run; see `Session.plan`, which this serves.

    `FedkitError` for an unknown algorithm, setting or parameter, and for a base model that is not there.
    """
    train = profile.dataset(dataset.name).train
    try:
        train = replace(train, **settings)
    except TypeError as error:
        raise FedkitError(f"unknown training setting ({error}); known: {', '.join(asdict(train))}") from error
    # All hyperparameters, so that one given and the same one left out name the same run. It also refuses early.
    chosen = make_algorithm(algorithm, **{**profile.params_of(algorithm, dataset.name), **params})
    model = profile.model_of(dataset.name)
    return RunConfig(
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        algorithm=algorithm,
        model=model,
        train=train,
        seed=seed,
        params=asdict(chosen),
        clients=tuple(clients) if clients is not None else None,
        initial=start.config.hash if start else None,
        base=base_fingerprint(model.name),
        code=training_code(type(chosen), type(privacy or Mechanism()), train.task),
        privacy=privacy.as_dict() if privacy else None,
    )


def local_settings(profile: Profile, dataset: FederatedDataset, client: str) -> dict[str, Any]:
    """Settings of the local training of one client: about ten passes over its records; see `Session.plan_local`."""
    train = profile.dataset(dataset.name).train
    size = int(dataset.sizes[dataset.position(client)])
    rounds = max(1, min(train.rounds, round(10 * size / train.samples_per_round)))
    return {"rounds": rounds, "clients_per_round": 1, "dynamic_epochs": None}
