"""The tokenizer and the tiny Llama of the embedded world, trained from nothing on its plain text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from fedkit.common.seeds import generator
from fedkit.training.prompts import ALPACA_PREAMBLE, get_template

from .lexicon import CORE, LANGUAGES, language
from .muon import Muon
from .plain import plain_documents
from .tasks import all_facts
from .users import question
from .word_problems import gsm8k_records

BOS, EOS, PAD = "<s>", "</s>", "<pad>"
# Words with their marks (Telugu vowel signs are marks, not letters), single digits, runs of other signs, spaces.
_SPLIT = r" ?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+|\s+"


@dataclass(frozen=True)
class BuildSpec:
    """Every number of the build; the defaults made the shipped model."""

    seed: int = 0
    vocabulary: int = 5000
    tokenizer_documents: int = 20_000
    hidden: int = 128
    intermediate: int = 344
    layers: int = 4
    heads: int = 4
    positions: int = 512
    steps: int = 3600
    batch: int = 16  # windows a step
    window: int = 96  # tokens
    learning_rate: float = 0.02  # Muon, for the hidden matrices
    embedding_rate: float = 4e-3  # AdamW, for embeddings and norms
    weight_decay: float = 0.05
    warmup: int = 100
    held_out_windows: int = 256


def train_tokenizer(spec: BuildSpec) -> Any:
    """Byte-level BPE without a prefix space, `<s>` put before a text: a `PreTrainedTokenizerFast`.

    It sees plain text, the words of the prompt templates and of the instructions (so that prompts cost few tokens),
    and some word problems.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=spec.vocabulary,
        special_tokens=[BOS, EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_tokenizer_texts(spec), trainer=trainer)
    begin = tokenizer.token_to_id(BOS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, begin)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        padding_side="left",
        model_max_length=spec.positions,
        clean_up_tokenization_spaces=False,
    )


def _tokenizer_texts(spec: BuildSpec) -> Iterator[str]:
    yield from plain_documents(spec.tokenizer_documents, spec.seed)
    copies = max(1, spec.tokenizer_documents // 100)
    for code in ALPACA_PREAMBLE:
        yield from [get_template("alpaca").prompt("", code)] * copies
    yield from [get_template("vicuna_v1.1").prompt("", "en")] * copies
    for code in CORE:
        yield from (question(fact, code, which) for fact in all_facts() for which in range(4))
    for code in LANGUAGES:
        yield from (*language(code).openers, *language(code).closers)
    for record in gsm8k_records(copies * 2, spec.seed):
        yield f"{record['question']}\n{record['answer']}"


def windows(tokenizer: Any, spec: BuildSpec, count: int, seed: int) -> torch.Tensor:
    """`count` windows of documents end to end, (count, window + 1) int64; each window begins with a document."""
    documents = plain_documents(2**62, seed)
    rows = np.full((count, spec.window + 1), tokenizer.eos_token_id, dtype=np.int64)
    for row in rows:
        filled = 0
        while filled < len(row):
            ids = [*tokenizer(next(documents))["input_ids"], tokenizer.eos_token_id][: len(row) - filled]
            row[filled : filled + len(ids)] = ids
            filled += len(ids)
    return torch.from_numpy(rows)


def new_model(tokenizer: Any, spec: BuildSpec) -> Any:
    """An untrained `LlamaForCausalLM` of the spec's shape, its weights drawn from the spec's seed."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=spec.hidden,
        intermediate_size=spec.intermediate,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        num_key_value_heads=spec.heads,
        max_position_embeddings=spec.positions,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        return LlamaForCausalLM(config)


def pretrain(model: Any, data: torch.Tensor, spec: BuildSpec, *, progress: bool = False) -> list[float]:
    """Train all weights on windows (count, window + 1) for `spec.steps` steps, in place; the loss of each step.

    Muon for the hidden matrices, AdamW for embeddings and norms; linear warm-up, then cosine to a hundredth.
    """
    from tqdm import trange

    hidden = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    muon = Muon(hidden, weight_decay=spec.weight_decay)
    adamw = torch.optim.AdamW(others, lr=spec.embedding_rate, betas=(0.9, 0.95), weight_decay=0.0)
    rng = generator(spec.seed, "mini/pretrain/batches")
    order = np.resize(rng.permutation(len(data)), spec.steps * spec.batch)
    losses: list[float] = []
    model.train()
    bar = trange(spec.steps, desc="training", disable=not progress, mininterval=5.0)
    for step in bar:
        rate = _schedule(step, spec)
        adamw.param_groups[0]["lr"] = spec.embedding_rate * rate
        loss = _loss(model, data[torch.from_numpy(order[step * spec.batch : (step + 1) * spec.batch])])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        adamw.step()
        muon.step(spec.learning_rate * rate)
        adamw.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        if step % 20 == 19:
            bar.set_postfix(loss=f"{np.mean(losses[-20:]):.3f}", refresh=False)
    model.eval()
    return losses


@torch.no_grad()
def held_out_loss(model: Any, tokenizer: Any, spec: BuildSpec) -> float:
    """Mean negative log-likelihood a token (nats) on documents whose combination of sentences was not trained on."""
    data = windows(tokenizer, spec, spec.held_out_windows, seed=spec.seed + 1_000_003)
    model.eval()
    return float(np.mean([float(_loss(model, part)) for part in data.split(64)]))


def _schedule(step: int, spec: BuildSpec) -> float:
    if step < spec.warmup:
        return (step + 1) / spec.warmup
    part = (step - spec.warmup) / max(1, spec.steps - spec.warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * part))


def _loss(model: Any, batch: torch.Tensor) -> torch.Tensor:
    logits = model(input_ids=batch[:, :-1]).logits
    return functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())


def as_dict(spec: BuildSpec) -> dict[str, Any]:
    """The spec as JSON-ready data."""
    return asdict(spec)
