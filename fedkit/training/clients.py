"""The registry of tasks: what a client of each trains. One file and one line each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..common.errors import FedkitError, unknown
from ..data.federated import FederatedDataset
from .client_base import LoraClient
from .dpo import DPOClient
from .sft import SFTClient

CLIENTS: Mapping[str, type[LoraClient]] = MappingProxyType({c.task: c for c in (SFTClient, DPOClient)})


def client_class(task: str) -> type[LoraClient]:
    """The client of a task (`TrainSpec.task`); `FedkitError` names the known ones."""
    if task not in CLIENTS:
        raise unknown("task", task, CLIENTS)
    return CLIENTS[task]


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
