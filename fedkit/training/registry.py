"""The registry of tasks: what a client of each trains. One file and one line each, imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..common.errors import FedkitError, unknown
from ..data.federated import FederatedDataset

if TYPE_CHECKING:
    from .client_base import LoraClient

CLIENTS: Mapping[str, tuple[str, str]] = MappingProxyType(  # task -> module and class
    {"sft": ("fedkit.training.sft", "SFTClient"), "dpo": ("fedkit.training.dpo", "DPOClient")}
)


def client_module(task: str) -> str:
    """The module of a task's client (`TrainSpec.task`); `FedkitError` names the known ones."""
    if task not in CLIENTS:
        raise unknown("task", task, CLIENTS)
    return CLIENTS[task][0]


def client_class(task: str) -> type[LoraClient]:
    """The client of a task; `FedkitError` names the known ones."""
    return getattr(import_module(client_module(task)), CLIENTS[task][1])


def check_columns(task: str, dataset: FederatedDataset) -> None:
    """Refuse a dataset that a task cannot read (`FedkitError`)."""
    columns = set(dataset.table.column_names)
    needed = client_class(task).reads
    if not any(columns.issuperset(each) for each in needed):
        wanted = " or ".join(", ".join(each) for each in needed)
        raise FedkitError(
            f"task {task} reads the columns {wanted}, but {dataset.name} has {', '.join(sorted(columns))};"
            " choose the dataset or the task that fits"
        )
