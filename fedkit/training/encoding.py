"""Records as token ids whose labels cover exactly the answer: one exchange, a conversation, or a preference pair.

Prompt and answer are tokenized apart and joined, so the boundary is a token boundary by construction and no merge can
run across it; both answers of a pair stand after the very same prompt. Begin and end tokens are put in by id; what
people wrote holds no control token (`tokens`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.errors import FedkitError
from .prompts import Template, turn_prompts
from .tokens import text_ids

IGNORED = -100  # the label of a token outside the loss, as torch's cross entropy has it


class NoRoomError(FedkitError):
    """A client has no record to train on within `max_length` tokens."""


def prompt_ids(
    tokenizer: Any, template: Template, records: Sequence[Mapping[str, Any]], *, where: str
) -> list[list[int]]:
    """Token ids before the answer of each record (fields `instruction`, optional `language`), all tokenized at once.

    `FedkitError` where there is no record.
    """
    if not records:
        raise FedkitError(f"{where}: it has no records; leave it out of the federation")
    texts = [template.prompt(r["instruction"], r.get("language") or "en") for r in records]
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    return [begin + ids for ids in text_ids(tokenizer, texts)]


def answer_ids(tokenizer: Any, answers: Sequence[str]) -> list[list[int]]:
    """Token ids of answers, each with the end token; `FedkitError` where the tokenizer has none."""
    if tokenizer.eos_token_id is None:
        raise FedkitError("the tokenizer has no end token; set tokenizer.eos_token so that answers can end")
    return [ids + [tokenizer.eos_token_id] for ids in text_ids(tokenizer, [answer.strip() for answer in answers])]


def no_room(heads: Sequence[Sequence[int]], max_length: int, where: str) -> NoRoomError:
    """What is said where every prompt fills `max_length`."""
    return NoRoomError(
        f"{where}: max_length {max_length} leaves no answer token in any of {len(heads)} records; "
        f"raise max_length to at least {min(map(len, heads)) + 1} tokens"
    )


@dataclass(frozen=True)
class Encoded:
    """A client's records as token ids, kept flat: record i is `tokens[offsets[i]:offsets[i + 1]]`."""

    tokens: np.ndarray  # int32, all records end to end
    answered: np.ndarray  # bool, as long: the tokens that the loss covers
    offsets: np.ndarray  # int64, (records + 1,)
    skipped: int  # records whose prompt leaves no room for an answer token

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        """`input_ids` and `labels` of one record; labels are `IGNORED` where nothing is answered."""
        part = slice(self.offsets[index], self.offsets[index + 1])
        ids = self.tokens[part]
        return {"input_ids": ids.tolist(), "labels": np.where(self.answered[part], ids, IGNORED).tolist()}

    @property
    def prompt_lengths(self) -> np.ndarray:
        """Tokens before the first answer of each record: int64 (records,)."""
        ends = zip(self.offsets[:-1], self.offsets[1:], strict=True)
        return np.array([self.answered[a:b].argmax() for a, b in ends], dtype=np.int64)


Parts = Sequence[tuple[Sequence[int], bool]]  # pieces of a record in order: token ids, and whether they are an answer


def pack(rows: Sequence[Parts], max_length: int, *, where: str) -> Encoded:
    """Records from their pieces, each cut at `max_length`; a first prompt that fills it skips the record.

    `FedkitError` where no record is left.
    """
    kept = [row for row in rows if len(row[0][0]) < max_length]
    if not kept:
        raise no_room([row[0][0] for row in rows], max_length, where)
    tokens, answered, ends = list[int](), list[bool](), [0]
    for row in kept:
        for ids, answer in row:
            part = ids[: max_length - (len(tokens) - ends[-1])]
            tokens += part
            answered += [answer] * len(part)
        ends.append(len(tokens))
    return Encoded(
        np.array(tokens, dtype=np.int32),
        np.array(answered, dtype=bool),
        np.array(ends, dtype=np.int64),
        len(rows) - len(kept),
    )


def encode(
    tokenizer: Any, template: Template, records: Sequence[Mapping[str, Any]], max_length: int, *, where: str = "records"
) -> Encoded:
    """Tokenize records (fields `instruction`, `response`, optional `language`) to at most `max_length` tokens.

    The answer ends in the end token unless truncation takes it; a prompt that fills `max_length` leaves no answer
    token, so the record is skipped and counted. `FedkitError` where no record at all is left.
    """
    heads = prompt_ids(tokenizer, template, records, where=where)
    answers = answer_ids(tokenizer, [r["response"] for r in records])
    rows = [((head, False), (answer, True)) for head, answer in zip(heads, answers, strict=True)]
    return pack(rows, max_length, where=where)


def encode_conversations(
    tokenizer: Any, template: Template, records: Sequence[Mapping[str, Any]], max_length: int, *, where: str = "records"
) -> Encoded:
    """Tokenize records (field `conversation`: turns; optional `language`) to at most `max_length` tokens.

    The loss covers every answer and its end token, nothing else (FedLLM-Bench, Fed-WildChat multi-turn). A turn of the
    user that nothing answers is left out. A conversation whose first prompt fills `max_length` is skipped and counted;
    a longer one is cut. `FedkitError` where no record is left.
    """
    chats = [chat[: len(chat) // 2 * 2] for chat in (r["conversation"] for r in records)]
    if not chats or not all(chats):
        raise FedkitError(f"{where}: a conversation has no answer, or there is none; leave it out of the federation")
    texts = [turn_prompts(template, chat, r.get("language") or "en") for chat, r in zip(chats, records, strict=True)]
    prompts = iter(text_ids(tokenizer, [text for each in texts for text in each]))
    answers = iter(answer_ids(tokenizer, [turn["content"] for chat in chats for turn in chat[1::2]]))
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    rows = []
    for each in texts:
        row: list[tuple[Sequence[int], bool]] = []
        for _ in each:
            row += [(next(prompts), False), (next(answers), True)]
        row[0] = ([*begin, *row[0][0]], False)
        rows.append(row)
    return pack(rows, max_length, where=where)


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
        raise NoRoomError(
            f"{where}: no pair has answers that differ within max_length {max_length}; raise max_length, or leave it"
            " out of the federation"
        )
    offsets = np.zeros(len(parts) + 1, dtype=np.int64)
    np.cumsum([len(p) for p in parts], out=offsets[1:])
    tokens = np.fromiter((t for p in parts for t in p), dtype=np.int32, count=int(offsets[-1]))
    return EncodedPairs(tokens, offsets, np.array(kept), full, len(records) - len(kept) - full)
