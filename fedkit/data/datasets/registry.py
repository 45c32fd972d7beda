"""The federated datasets by name. A dataset is one file here and its line in `FILES`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from ...common.errors import unknown
from ..sources import RawSource
from .base import Dataset
from .questions import QuestionSet

FILES = (
    "fed_aya",
    "chatbot",
    "wildchat",
    "gsm8k",
    "alpaca",
    "fingpt",
    "domains",
    "ultrafeedback",
    "hh_rlhf",
)

DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {dataset.name: dataset for file in FILES for dataset in import_module(f"{__package__}.{file}").DATASETS}
)
SOURCES: Mapping[str, RawSource] = MappingProxyType(
    {source.name: source for dataset in DATASETS.values() for source in dataset.sources}
)


def get_dataset(name: str) -> Dataset:
    """The dataset of that name; `FedkitError` names the known ones."""
    if name not in DATASETS:
        raise unknown("dataset", name, DATASETS)
    return DATASETS[name]


def questions_of(name: str) -> QuestionSet:
    """The Ref questions of a dataset; `FedkitError` names the datasets that have some."""
    known = [one for one, dataset in DATASETS.items() if dataset.questions]
    questions = get_dataset(name).questions
    if questions is None:
        raise unknown("dataset with Ref questions", name, known)
    return questions
