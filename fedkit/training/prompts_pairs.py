"""Preference pairs as token ids: one prompt, the answer that was chosen and the one that was rejected.

As in `prompts`, prompt and answers are tokenized apart and joined, so that the boundary is a token boundary and both
answers of a pair stand after the very same prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.errors import FedkitError
from .prompts import Template, answer_ids, no_room, prompt_ids


@dataclass(frozen=True)
class EncodedPairs:
    """A client's pairs as token ids, kept flat: prompt, chosen and rejected of pair i are parts 3i, 3i + 1, 3i + 2.

    Part j is `tokens[offsets[j]:offsets[j + 1]]`.
    """

    tokens: np.ndarray  # int32, all parts end to end
    offsets: np.ndarray  # int64, (3 pairs + 1,)
    kept: np.ndarray  # int64, (pairs,): places of the pairs among the records
    no_room: int  # records whose prompt leaves no room for an answer token
    alike: int  # records whose answers are the same as far as they are read, and so say nothing

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def skipped(self) -> int:
        """Records that are left out."""
        return self.no_room + self.alike

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        """`prompt_ids`, `chosen_ids` and `rejected_ids` of one pair, the columns of TRL's DPOTrainer."""
        bounds = self.offsets[3 * index : 3 * index + 4]
        parts = [self.tokens[a:b].tolist() for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
        return dict(zip(("prompt_ids", "chosen_ids", "rejected_ids"), parts, strict=True))


def encode_pairs(
    tokenizer: Any, template: Template, records: Sequence[Mapping[str, Any]], max_length: int, *, where: str = "records"
) -> EncodedPairs:
    """Tokenize pairs (fields `instruction`, `chosen`, `rejected`, optional `language`).

    Prompt and answer together have at most `max_length` tokens; an answer ends in the end token unless truncation
    takes it, and keeps at least one token. A pair whose prompt fills `max_length`, or whose answers do not differ
    within it, is skipped and counted. `FedkitError` where no pair is left.
    """
    heads = prompt_ids(tokenizer, template, records, where=where)
    answers = [answer_ids(tokenizer, [r[side] for r in records]) for side in ("chosen", "rejected")]
    parts: list[list[int]] = []
    kept, full = [], 0
    for place, (head, chosen, rejected) in enumerate(zip(heads, *answers, strict=True)):
        room = max_length - len(head)
        if room < 1:
            full += 1
        elif chosen[:room] != rejected[:room]:
            parts += [head, chosen[:room], rejected[:room]]
            kept.append(place)
    if full == len(records):
        raise no_room(heads, max_length, where)
    if not kept:
        raise FedkitError(
            f"{where}: no pair has answers that differ within max_length {max_length}; raise max_length, or leave it"
            " out of the federation"
        )
    offsets = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum([len(p) for p in parts], out=offsets[1:])
    tokens = np.fromiter((t for p in parts for t in p), dtype=np.int32, count=int(offsets[-1]))
    return EncodedPairs(tokens, offsets, np.array(kept), full, len(records) - len(kept) - full)
