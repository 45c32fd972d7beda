"""A federated dataset of any task as instructions and responses by client: what every view of it starts from.

Lengths are in tokens (FedLLM-Bench section 3.3 (1), Table 1, Figure 1(b)): one tokenizer for all datasets, that of the
profile's model (the paper: Llama 2's), each text by itself, without begin or end token or template. An empty text has
0 tokens. Of a conversation, all turns of a role count as one text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.errors import FedkitError
from ..common.seeds import generator
from ..training.tokens import text_ids

if TYPE_CHECKING:
    import pandas as pd

    from ..data.federated import FederatedDataset


@dataclass(frozen=True)
class Texts:
    """Records by client, in the order of the dataset; all lists have one entry a record.

    `owner`: int64 (records,), positions in `clients`; `rows`: int64 (records,), rows of the dataset's table.
    `rejected` is None but for preference pairs, whose `response` is the chosen answer.
    """

    name: str
    clients: tuple[str, ...]
    owner: np.ndarray
    rows: np.ndarray
    instruction: list[str]
    response: list[str]
    language: list[str]
    rejected: list[str] | None = None

    def __len__(self) -> int:
        return len(self.owner)

    @cached_property
    def sizes(self) -> np.ndarray:
        """Records of each client, int64 (clients,)."""
        return np.bincount(self.owner, minlength=len(self.clients))


def texts(dataset: FederatedDataset, *, per_client: int | None = None, seed: int = 0) -> Texts:
    """The records of a dataset as texts; at most `per_client` of each client, drawn without replacement.

    Instruction and response are the columns of that name; the chosen answer where a record is a preference pair; for
    a conversation all that the user said and all that the assistant said, turn after turn. `FedkitError` for a
    dataset with none of these columns.
    """
    names = set(dataset.table.column_names)
    owner = np.repeat(np.arange(len(dataset)), dataset.sizes)
    rows = np.arange(dataset.n_records)
    if per_client is not None:
        rows = np.concatenate([_some(dataset, client, per_client, seed) for client in range(len(dataset))])
    table = dataset.table.take(rows)
    language = table["language"].to_pylist() if "language" in names else ["und"] * len(rows)
    rejected = None
    if {"instruction", "response"} <= names:
        instruction, response = table["instruction"].to_pylist(), table["response"].to_pylist()
    elif {"instruction", "chosen", "rejected"} <= names:
        instruction, response = table["instruction"].to_pylist(), table["chosen"].to_pylist()
        rejected = table["rejected"].to_pylist()
    elif "conversation" in names:
        turns = table["conversation"].to_pylist()
        instruction, response = ([_said(talk, role) for talk in turns] for role in ("user", "assistant"))
    else:
        raise FedkitError(
            f"{dataset.name} has the columns {', '.join(sorted(names))}; texts need instruction and response,"
            " instruction with chosen and rejected, or conversation"
        )
    return Texts(dataset.name, dataset.clients, owner[rows], rows, instruction, response, language, rejected)


def drawn_clients(texts: Texts, count: int, *, seed: int = 0, at_least: int = 1) -> np.ndarray:
    """`count` clients with at least that many records, drawn without replacement: positions, ascending.

    All there are, where there are fewer; `FedkitError` where there is none. The paper draws 10 (Figures 2 and 4).
    """
    fit = np.flatnonzero(texts.sizes >= at_least)
    if not len(fit):
        raise FedkitError(f"no client of {texts.name} has {at_least} records; ask for fewer")
    rng = generator(seed, "analysis/clients")
    return np.sort(rng.choice(fit, size=min(count, len(fit)), replace=False))


def of_clients(texts: Texts, places: np.ndarray) -> Texts:
    """The records of these clients (positions) alone; their owners are positions in the new, shorter `clients`."""
    position = np.full(len(texts.clients), -1)
    position[places] = np.arange(len(places))
    keep = np.flatnonzero(position[texts.owner] >= 0)
    columns = {name: getattr(texts, name) for name in ("instruction", "response", "language", "rejected")}
    return replace(
        texts,
        clients=tuple(texts.clients[int(place)] for place in places),
        owner=position[texts.owner[keep]],
        rows=texts.rows[keep],
        **{name: None if column is None else [column[i] for i in keep] for name, column in columns.items()},
    )


def lengths(texts: Texts, tokenizer: Any) -> pd.DataFrame:
    """One row a record, in their order: owner, instruction, response and, of preference pairs, rejected (tokens)."""
    import pandas as pd

    frame = pd.DataFrame({"owner": texts.owner})
    for column in ("instruction", "response", "rejected"):
        column_texts = getattr(texts, column)
        if column_texts is not None:
            frame[column] = token_counts(column_texts, tokenizer)
    return frame


def token_counts(texts: Sequence[str], tokenizer: Any, *, batch: int = 1000) -> np.ndarray:
    """Tokens of each text, all read as text, int64 (texts,); `batch` texts at a time."""
    counts: list[int] = []
    for first in range(0, len(texts), batch):
        counts += map(len, text_ids(tokenizer, texts[first : first + batch]))
    return np.array(counts, dtype=np.int64)


def _said(conversation: list[dict[str, Any]], role: str) -> str:
    """All that one role said in a conversation (`[{role, content}, ...]`), a line for each turn."""
    return "\n".join(turn["content"] for turn in conversation if turn["role"] == role)


def _some(dataset: FederatedDataset, client: int, count: int, seed: int) -> np.ndarray:
    first, size = int(dataset.offsets[client]), int(dataset.sizes[client])
    if size <= count:
        return np.arange(first, first + size)
    rng = generator(seed, "analysis/texts", client=dataset.ids[client].as_py())
    return first + np.sort(rng.choice(size, size=count, replace=False))
