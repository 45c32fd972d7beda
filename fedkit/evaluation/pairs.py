"""Whether a policy prefers what was preferred: implicit rewards on held-out pairs (Rafailov et al. 2023, section 4).

An answer's reward is beta (log p(answer) - log p_ref(answer)); a pair counts as right where the chosen answer's is
above the rejected one's. The margin, their difference, is the number whose -log sigmoid DPO minimises.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.errors import FedkitError
from ..common.intervals import wilson
from ..data.federated import FederatedDataset
from .likelihood import Row, continuation_nll

if TYPE_CHECKING:
    from ..training.models import Loaded, State


@dataclass(frozen=True)
class PairRewards:
    """Rewards of pairs, each float64 (pairs,), and how many records could not be read."""

    chosen: np.ndarray
    rejected: np.ndarray
    skipped: int

    @property
    def margins(self) -> np.ndarray:
        """Reward of the chosen answer less that of the rejected one: (pairs,)."""
        return self.chosen - self.rejected

    def summary(self, confidence: float = 0.95) -> dict[str, float]:
        """accuracy with low and high (Wilson's interval over the pairs), margin (mean), ties, pairs, skipped.

        A tie (a margin of exactly 0, as all are before training) counts as one half, so that a policy without a
        preference has the accuracy of chance; TRL's training metric counts it as wrong. The interval takes pairs as
        independent. Pairs of one client are alike, so for few clients of many pairs it is too narrow.
        """
        ties, n = int((self.margins == 0).sum()), len(self.margins)
        right = int((self.margins > 0).sum()) + ties / 2
        return {
            "accuracy": right / n,
            "low": wilson(math.floor(right), n, confidence)[0],  # of an odd number of ties the wider interval
            "high": wilson(math.ceil(right), n, confidence)[1],
            "margin": float(self.margins.mean()),
            "ties": ties,
            "pairs": n,
            "skipped": self.skipped,
        }


def hold_out(dataset: FederatedDataset, one_in: int = 5) -> tuple[FederatedDataset, list[dict[str, Any]]]:
    """A dataset less one in `one_in` of its records, and those records, with their client as `client`.

    The hash of the instruction's first turn decides, so that neither equal instructions nor dialogues that begin alike
    are on both sides, and neither the order of records nor a seed matters. A client of whom nothing is left is no
    longer there. `FedkitError` where one side is empty.
    """
    if one_in < 2:
        raise FedkitError(f"one_in is {one_in}; give at least 2, so that something is left to train on")
    turns = map(first_turn, dataset.table["instruction"].to_pylist())
    mark = np.array([_hash(text) % one_in == 0 for text in turns], dtype=bool)
    if mark.all() or not mark.any():
        raise FedkitError(f"{dataset.name} cannot be held out one in {one_in}: one side is empty; use more records")
    owner = np.repeat(np.arange(len(dataset)), dataset.sizes)
    parts = {}
    for k, client in enumerate(dataset.clients):
        rows = np.flatnonzero((owner == k) & ~mark)
        if len(rows):
            parts[client] = rows
    info = {**dataset.info, "held_out": f"one in {one_in} by the hash of the first turn: {int(mark.sum())} records"}
    kept = FederatedDataset.from_partition(dataset.table, parts, name=dataset.name, info=info)
    rows = np.flatnonzero(mark)
    names = [dataset.clients[owner[i]] for i in rows]
    return kept, [r | {"client": name} for r, name in zip(dataset.table.take(rows).to_pylist(), names, strict=True)]


def first_turn(instruction: str) -> str:
    """What a human said first: the instruction up to the assistant's first answer, all of it where there is none.

    Dialogues stand in instructions with the marks of HH-RLHF (`fedkit.data.datasets.hh_rlhf`).
    """
    return instruction.partition("\n\nAssistant:")[0].strip()


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def length_rules(pairs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Shares of pairs that `shorter` and `longer` get right: take the answer with fewer, or more, characters.

    Rules that need no model, to measure a policy against. Equal lengths count as one half.
    """
    more = np.array([len(pair["chosen"]) - len(pair["rejected"]) for pair in pairs])
    longer = float((more > 0).mean() + (more == 0).mean() / 2)
    return {"shorter": 1 - longer, "longer": longer}


class PairScorer:
    """Held-out pairs (instruction, chosen, rejected, language), scored once by the reference adapter.

    Pairs are cut and skipped as in training; `pairs` are those that are scored. `FedkitError` where none can be read.
    """

    def __init__(
        self,
        loaded: Loaded,
        reference: State,
        pairs: Sequence[Mapping[str, Any]],
        *,
        template: str,
        max_length: int,
    ) -> None:
        from ..training.encoding import encode_pairs
        from ..training.prompts import get_template

        encoded = encode_pairs(loaded.tokenizer, get_template(template), pairs, max_length, where="held-out pairs")
        self.loaded, self.skipped = loaded, encoded.skipped
        each = [encoded[i] for i in range(len(encoded))]
        self.rows: list[Row] = [
            (pair["prompt_ids"] + pair[side], len(pair["prompt_ids"]))
            for pair in each
            for side in ("chosen_ids", "rejected_ids")
        ]
        self.pairs = [pairs[i] for i in encoded.kept]
        self.reference = self.logps(reference)

    def logps(self, state: State) -> np.ndarray:
        """log p of chosen and rejected answers under an adapter, which stays in the model: float64 (pairs, 2)."""
        from ..training.models import set_adapter_state

        set_adapter_state(self.loaded.model, state)
        return -continuation_nll(self.loaded, self.rows).reshape(-1, 2)

    def rewards(self, policy: State, beta: float = 0.1) -> PairRewards:
        """Rewards under an adapter, scored in the very batches of the reference."""
        chosen, rejected = (beta * (self.logps(policy) - self.reference)).T
        return PairRewards(chosen, rejected, self.skipped)
