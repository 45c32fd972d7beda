"""Batched answers from a model: left padding, batches sorted by length, a key-value cache, a stop at the end token.

An answer does not depend on what shares its batch. At temperature 0 it is the most likely token each time (equal to
one prompt at a time in float32, but for logits nearer to each other than rounding). Above, the Gumbel-max trick
(argmax of logits / T + Gumbel noise samples the softmax) takes its noise from a generator of the prompt's own.
"""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..common.errors import FedkitError
from ..common.seeds import derive
from ..training.prompts import Prompt, encode_prompt


@dataclass
class _Row:
    """One prompt on its way: where its answer goes, its tokens, its noise."""

    index: int
    ids: list[int]
    noise: torch.Generator | None = None
    answer: list[int] = field(default_factory=list)


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    *,
    max_new_tokens: int,
    batch_size: int = 64,
    temperature: float = 0.0,
    seed: int = 0,
    progress: bool = False,
    merge: bool = True,
    strip: bool = True,
) -> list[str]:
    """The answers to `prompts`, in their order, stripped of special tokens and, with `strip`, of outer blanks.

    Without `strip` prompt + answer is the text as the model wrote it, which matters where blanks mean something (code).

    Prompts are tokenized as in training (`fedkit.training.prompts.encode_prompt`). One that leaves no room for
    `max_new_tokens` positions loses its beginning, with a warning that counts such prompts. With `merge`, LoRA layers
    in float32 are folded into their base weights while answers are made, and put back bit for bit. On a GPU that runs
    out of memory the batch is halved until it fits. `FedkitError` for a size below 1 or an empty prompt.
    """
    for name, value in (("max_new_tokens", max_new_tokens), ("batch_size", batch_size)):
        if value < 1:
            raise FedkitError(f"generate: {name} is {value}; give at least 1")
    if temperature < 0:
        raise FedkitError(f"generate: temperature is {temperature}; give 0 for the most likely answer, or more")
    if isinstance(prompts, str):
        raise FedkitError("generate: prompts is one text; give a list of texts")
    rows = _rows(model, tokenizer, prompts, max_new_tokens, seed if temperature > 0 else None)
    with answering(model), merged_adapters(model) if merge else contextlib.nullcontext(), torch.inference_mode():
        _run(model, tokenizer, rows, max_new_tokens, batch_size, temperature, progress)
    if strip:
        return [tokenizer.decode(row.answer, skip_special_tokens=True).strip() for row in rows]
    return [_continuation(tokenizer, row) for row in rows]


def _continuation(tokenizer: Any, row: _Row) -> str:
    """The answer's text with all its blanks. Many tokenizers leave out the blank at the very beginning of what they
    decode, so the prompt's last token is decoded with it and taken away again."""
    last = tokenizer.decode(row.ids[-1:], skip_special_tokens=True)
    whole = tokenizer.decode(row.ids[-1:] + row.answer, skip_special_tokens=True)
    return whole[len(last) :] if whole.startswith(last) else tokenizer.decode(row.answer, skip_special_tokens=True)


def _rows(model: Any, tokenizer: Any, prompts: Sequence[Prompt], max_new_tokens: int, seed: int | None) -> list[_Row]:
    positions = getattr(model.config, "max_position_embeddings", None)
    room = max(1, positions - max_new_tokens) if positions else None
    seen: Counter[Prompt] = Counter()
    rows, cut = [], 0
    for index, prompt in enumerate(prompts):
        ids = encode_prompt(tokenizer, prompt)
        if not ids:
            raise FedkitError(f"generate: prompts[{index}] is empty; put it through a template first")
        if room and len(ids) > room:
            ids, cut = ids[-room:], cut + 1
        noise = None
        if seed is not None:  # named by its text: other prompts, their order and number do not change it
            noise = torch.Generator().manual_seed(derive(seed, "sample", round=seen[prompt], client=str(prompt)))
            seen[prompt] += 1
        rows.append(_Row(index, ids, noise))
    if cut:
        warnings.warn(
            f"{cut} of {len(prompts)} prompts are longer than the {room} tokens that this model leaves for a prompt; "
            "their beginnings were cut off",
            stacklevel=3,
        )
    return rows


def _run(
    model: Any, tokenizer: Any, rows: list[_Row], limit: int, size: int, temperature: float, progress: bool
) -> None:
    from ..common.console import progress as new_bar

    waiting = sorted(rows, key=lambda row: -len(row.ids))  # the longest first: too large a batch shows at once
    with new_bar(total=len(rows), unit="answer", desc="answers", disable=not progress) as bar:
        while waiting:
            batch = waiting[:size]
            try:
                _answer(model, tokenizer, batch, limit, temperature)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                for row in batch:
                    row.answer.clear()
                    if row.noise is not None:
                        row.noise.manual_seed(row.noise.initial_seed())
                size = len(batch) // 2
                torch.cuda.empty_cache()
                continue
            del waiting[: len(batch)]
            bar.update(len(batch))


def _answer(model: Any, tokenizer: Any, rows: Sequence[_Row], limit: int, temperature: float) -> None:
    """Fill in the answers of one batch of B rows; the cache shrinks as rows end."""
    device = next(model.parameters()).device
    ends = end_tokens(model, tokenizer)
    longest = max(len(row.ids) for row in rows)
    tokens = torch.zeros(len(rows), longest, dtype=torch.long)  # (B, P); what stands in the padding is never seen
    mask = torch.ones(len(rows), longest + limit, dtype=torch.long)  # (B, P + limit)
    for i, row in enumerate(rows):
        tokens[i, longest - len(row.ids) :] = torch.tensor(row.ids)
        mask[i, : longest - len(row.ids)] = 0
    tokens, mask = tokens.to(device), mask.to(device)
    positions = (mask[:, :longest].cumsum(1) - 1).clamp(min=0)
    active, cache = list(rows), None
    for step in range(limit):
        out = model(
            input_ids=tokens,
            attention_mask=mask[:, : longest + step],
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        chosen = _choose(out.logits[:, -1], active, temperature)  # (B,)
        going = []
        for i, (row, token) in enumerate(zip(active, chosen.tolist(), strict=True)):
            if token not in ends:
                row.answer.append(token)
                going.append(i)
        if not going:
            return
        tokens, positions, cache = chosen[:, None], positions[:, -1:] + 1, out.past_key_values
        if len(going) < len(active):
            keep = torch.tensor(going, device=device)
            cache.reorder_cache(keep)  # which all kinds of layers have
            tokens, positions, mask = tokens[keep], positions[keep], mask[keep]
            active = [active[i] for i in going]


def _choose(logits: Tensor, rows: Sequence[_Row], temperature: float) -> Tensor:
    """The next token of each row from logits (B, V): the most likely, or a draw at a temperature."""
    if temperature == 0:
        return logits.argmax(-1)
    waits = torch.stack([torch.empty(logits.shape[-1]).exponential_(generator=row.noise) for row in rows])
    gumbel = -waits.clamp(min=1e-30).log()
    return (logits.float() / temperature + gumbel.to(logits.device)).argmax(-1)


def end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """All tokens that end an answer: the tokenizer's and those of the model's generation config."""
    ends = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ends = ends if isinstance(ends, list | tuple) else [ends]
    return {e for e in (*ends, tokenizer.eos_token_id) if e is not None}


@contextlib.contextmanager
def answering(model: Any) -> Iterator[None]:
    """Evaluation mode inside (no dropout, no chatter of bitsandbytes), every module's former mode afterwards."""
    from ..common.console import quiet

    training = [m for m in model.modules() if m.training]
    model.eval()
    try:
        with quiet():
            yield
    finally:
        for module in training:
            module.training = True


@contextlib.contextmanager
def merged_adapters(model: Any) -> Iterator[int]:
    """Fold the active LoRA adapters into their base weights inside the block; gives the number of layers folded.

    W + (alpha / r) B A takes the place of W, one matrix product instead of three. Only for plain linear layers in
    float32, whose sum rounds far below what training changes; others stay as they are. Afterwards the very tensors
    of before are back, so nothing has changed by a bit.
    """
    from peft.tuners.lora import Linear

    kept: list[tuple[Any, Tensor]] = []
    try:
        for layer in model.modules():
            if type(layer) is not Linear or layer.merged or layer.disable_adapters:
                continue
            base = layer.get_base_layer()
            if type(base) is not torch.nn.Linear or base.weight.dtype != torch.float32 or base.weight.is_meta:
                continue
            kept.append((layer, base.weight.data))
            base.weight.data = base.weight.data.clone()
            with torch.no_grad():
                layer.merge()
        yield len(kept)
    finally:
        for layer, weight in kept:
            layer.get_base_layer().weight.data = weight
            layer.merged_adapters.clear()
