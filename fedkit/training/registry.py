"""The tasks by name: what a client of each trains. A task is one file here, of its name, and its line in `TASKS`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..common.errors import FedkitError, unknown
from ..common.hyperparameters import class_of
from ..data.federated import FederatedDataset

if TYPE_CHECKING:
    from .client_base import LoraClient

TASKS = (
    "sft",
    "dpo",
)


def client_module(task: str) -> str:
    """The module of a task's client (`TrainSpec.task`); `FedkitError` names the known ones."""
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    return f"{__package__}.{task}"


def client_class(task: str) -> type[LoraClient]:
    """The client of a task, imported when it is used; `FedkitError` names the known ones."""
    from .client_base import LoraClient

    return class_of(client_module(task), LoraClient)


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
