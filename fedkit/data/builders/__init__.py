"""Builders: from raw records to federated datasets. One file a dataset; add a file and its line here.

A builder says where the records come from, counts what it drops, and puts its counts beside the published ones.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...common.errors import FedkitError, unknown
from ...profiles import Profile
from ..sources import Located
from . import openfed
from .built import CONTROLS, Built, Cut, reads
from .chatbot import build_fed_chatbot_it, build_fed_chatbot_pa
from .drops import DropReport
from .fed_aya import build_fed_aya
from .gsm8k import build_gsm8k, gsm8k_test
from .questions import QUESTION_SETS, Question, questions
from .wildchat import build_fed_wildchat, build_fed_wildchat_multi

__all__ = [
    "BUILDERS",
    "CONTROLS",
    "Built",
    "Cut",
    "DropReport",
    "Question",
    "build",
    "held_out",
    "questions",
    "reads",
    "sources_of",
    "test_records",
]

BUILDERS: Mapping[str, Callable[..., Built]] = MappingProxyType(
    {
        "fed_aya": build_fed_aya,
        "fed_chatbot_it": build_fed_chatbot_it,
        "fed_chatbot_pa": build_fed_chatbot_pa,
        "fed_wildchat": build_fed_wildchat,
        "fed_wildchat_multi": build_fed_wildchat_multi,
        "gsm8k": build_gsm8k,
        **openfed.BUILDERS,
    }
)

# Held-out records in the columns of the training set, where the source has them.
TEST_SETS: Mapping[str, Callable[..., tuple[Located, list[dict[str, Any]]]]] = MappingProxyType(
    {"gsm8k": gsm8k_test, **openfed.TEST_SETS}
)

_CUT = ("minimum", "n_clients", "max_records_per_client", "alpha")


def build(
    name: str,
    profile: Profile,
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    partition: str | None = None,
    seed: int = 0,
    **params: Any,
) -> Built:
    """Build a federated dataset as a profile cuts it.

    `partition`: None for the dataset's own split, else a control of `CONTROLS` (`iid`, `dirichlet`, ...) over the
    very same records. `seed` draws splits and caps; the raw records do not depend on it. `params` override the
    profile's `minimum`, `n_clients`, `max_records_per_client`, give `alpha`, or go to the builder.

    `FedkitError` for an unknown dataset, partition or parameter, for any fault of the source, and where fewer clients
    are left than a round of the profile samples.
    """
    if name not in BUILDERS:
        raise unknown("dataset", name, BUILDERS)
    spec = profile.dataset(name)
    builder = BUILDERS[name]
    own = [p for p in inspect.signature(builder).parameters if p not in ("profile", "cut", "data_dir", "offline")]
    for param in params:
        if param not in (*_CUT, *own):
            raise unknown(f"parameter of {name}", param, (*_CUT, *own))
    if partition is not None and partition not in CONTROLS:
        raise unknown("partition", partition, CONTROLS)
    cut = Cut(
        minimum=params.pop("minimum", spec.minimum),
        n_clients=params.pop("n_clients", spec.n_clients),
        max_records_per_client=params.pop("max_records_per_client", spec.max_records_per_client),
        partition=partition,
        alpha=params.pop("alpha", Cut.alpha),
        seed=seed,
    )
    params.setdefault("raw_limit", spec.raw_records)
    built = builder(profile, cut, data_dir=data_dir, offline=offline, **params)
    if len(built.dataset) < spec.train.clients_per_round:
        raise FedkitError(
            f"{name} has {len(built.dataset)} clients, but a round of profile {profile.name} samples"
            f" {spec.train.clients_per_round}; lower its minimum, give more records, or sample fewer"
        )
    return built


def held_out(
    name: str, profile: Profile, *, data_dir: str | Path | None = None, offline: bool = False
) -> dict[str, tuple[str, ...]]:
    """What `build` is told so that no Ref question of the dataset is trained on: {} or its `held_out`."""
    if name not in QUESTION_SETS or not profile.dataset(name).test_questions:
        return {}
    asked = questions(name, profile, data_dir=data_dir, offline=offline)
    return {"held_out": tuple(question.instruction for question in asked)}


def sources_of(name: str) -> tuple[str, ...] | None:
    """The raw sources that a dataset and its questions may read; None where its builder does not declare them.

    A builder declares them as its attribute `sources` (a `Recipe` has it, `reads` sets it on a function).
    """
    declared = getattr(BUILDERS.get(name), "sources", None)
    if declared is None:
        return None
    asked = QUESTION_SETS[name].sources if name in QUESTION_SETS else ()
    return tuple(dict.fromkeys((*declared, *asked)))


def test_records(
    name: str, profile: Profile, *, data_dir: str | Path | None = None, offline: bool = False, limit: int | None = None
) -> tuple[Located, list[dict[str, Any]]]:
    """Held-out records (instruction, response, language) for the completion loss, and where they come from.

    `FedkitError` for a dataset without a test set (Fed-Aya has `questions`).
    """
    if name not in TEST_SETS:
        raise unknown("dataset with test records", name, TEST_SETS)
    located, records = TEST_SETS[name](profile, data_dir=data_dir, offline=offline)
    return located, records[:limit]


test_records.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test
