"""Memory and time of a run before anything is loaded: what users of the reference systems ask first.

Plain arithmetic on the architecture, meant to tell whether a run fits a card and a day, not to the gigabyte. Every
assumption is said in `Estimate.assumptions`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.errors import FedkitError
from .specs import LoraSpec, ModelSpec, TrainSpec

GB = 1e9
BYTES_PER_WEIGHT = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "8bit": 1.0, "4bit": 0.5}


@dataclass(frozen=True)
class Architecture:
    """The sizes of a Llama-like decoder that memory and time depend on."""

    hidden: int
    layers: int
    intermediate: int
    vocabulary: int
    heads: int
    kv_heads: int
    tied: bool = False

    @property
    def linear_shapes(self) -> dict[str, tuple[int, int]]:
        """(in, out) of each linear layer of one block."""
        kv = self.hidden * self.kv_heads // self.heads
        return {
            "q_proj": (self.hidden, self.hidden),
            "k_proj": (self.hidden, kv),
            "v_proj": (self.hidden, kv),
            "o_proj": (self.hidden, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    @property
    def block_weights(self) -> int:
        """Weights of all linear layers of all blocks."""
        return self.layers * sum(a * b for a, b in self.linear_shapes.values())

    @property
    def weights(self) -> int:
        """All weights: blocks, norms, embedding, and the head where it is not tied."""
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return self.block_weights + embeddings + self.hidden * (2 * self.layers + 1)


# From the published model configurations.
_LLAMA_7B = Architecture(4096, 32, 11008, 32000, 32, 32)
ARCHITECTURES: Mapping[str, Architecture] = {
    "meta-llama/Llama-2-7b-hf": _LLAMA_7B,
    "wxjiao/alpaca-7b": _LLAMA_7B,  # both were tuned from the first Llama of this size, which has the same shape
    "cognitivecomputations/Wizard-Vicuna-7B-Uncensored": _LLAMA_7B,
    "HuggingFaceTB/SmolLM2-135M": Architecture(576, 30, 1536, 49152, 9, 3, tied=True),
}


@dataclass(frozen=True)
class Estimate:
    """GPU memory in GB (10^9 bytes), hours of training, and what was assumed."""

    weights_gb: float
    adapter_gb: float
    optimizer_gb: float
    activations_gb: float
    total_gb: float
    hours: float
    adapter_parameters: int
    bytes_per_round: int
    assumptions: str


def architecture(name: str) -> Architecture:
    """The sizes of a known model, or of a local folder with a `config.json`; `FedkitError` for any other."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    if name == "mini":
        from .. import mini

        name = str(mini.model_path())
    path = Path(name) / "config.json"
    if not path.is_file():
        raise FedkitError(
            f"no sizes known for model {name!r}; give a folder with config.json, or add it to `ARCHITECTURES`"
        )
    c: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Architecture(
        c["hidden_size"],
        c["num_hidden_layers"],
        c["intermediate_size"],
        c["vocab_size"],
        c["num_attention_heads"],
        c.get("num_key_value_heads", c["num_attention_heads"]),
        c.get("tie_word_embeddings", False),
    )


def adapter_parameters(arch: Architecture, lora: LoraSpec) -> int:
    """LoRA weights: r (in + out) for each targeted layer."""
    shapes = arch.linear_shapes
    targets = shapes if lora.target_modules == "all-linear" else lora.target_modules
    unknown = sorted(set(targets) - set(shapes))
    if unknown:
        raise FedkitError(f"LoRA target module {unknown[0]!r} is not a layer of the model; known: {', '.join(shapes)}")
    return arch.layers * lora.r * sum(sum(shapes[t]) for t in targets)


def estimate(
    model: ModelSpec,
    train: TrainSpec,
    *,
    mean_tokens: int | None = None,
    tflops: float = 71.0,
    utilisation: float = 0.25,
) -> Estimate:
    """Memory (of the longest batch) and time (of sequences of `mean_tokens`, else the longest) of one run on one GPU.

    `tflops`: the card's dense half-precision peak (71 for an RTX 3090, the paper's card); `utilisation`: the part of
    it that is reached; 8- and 4-bit weights halve it. Activations: with checkpointing one hidden state a layer and one
    block in full, else every block in full (34 bytes a token and hidden unit; Korthikanti et al. 2022, equation 2,
    without its attention-matrix term, since fused attention keeps none), plus the answer's logits in float32.
    """
    arch = architecture(model.name)
    tokens = train.batch_size * train.max_length
    lora = adapter_parameters(arch, model.lora)
    weights = arch.block_weights * BYTES_PER_WEIGHT[model.quantization or model.dtype]
    # Embeddings, norms and head are never quantized; peft's preparation of a quantized base casts them to float32.
    kept = BYTES_PER_WEIGHT["float32" if model.quantization else model.dtype]
    weights += (arch.weights - arch.block_weights) * kept
    block = 34 * tokens * arch.hidden
    if model.gradient_checkpointing:
        activations = arch.layers * tokens * arch.hidden * BYTES_PER_WEIGHT[model.dtype] + block
    else:
        activations = arch.layers * block
    activations += 2 * 4 * min(tokens, 4096) * arch.vocabulary  # logits and their gradient, 4096 tokens at a time
    # Forward 2 and backward 2 operations a weight and token (frozen weights need no gradient), one forward more with
    # checkpointing; the attention's own products are small beside them at these lengths.
    passes = 6 if model.gradient_checkpointing else 4
    read = min(mean_tokens or train.max_length, train.max_length)
    steps = train.rounds * train.clients_per_round * train.local_steps * train.grad_accum
    speed = tflops * 1e12 * utilisation * (0.5 if model.quantization else 1.0)
    adapter, optimizer = 2 * 4 * lora, 2 * 4 * lora  # weight and gradient; AdamW's two moments; all float32
    return Estimate(
        weights_gb=weights / GB,
        adapter_gb=adapter / GB,
        optimizer_gb=optimizer / GB,
        activations_gb=activations / GB,
        total_gb=(weights + adapter + optimizer + activations) / GB + 1.0,
        hours=passes * arch.weights * train.batch_size * read * steps / speed / 3600,
        adapter_parameters=lora,
        bytes_per_round=2 * 4 * lora * train.clients_per_round,
        assumptions=(
            f"memory at {train.max_length} and time at {read} tokens a sequence, micro-batch {train.batch_size}, "
            f"{tflops:g} TFLOPS at {utilisation:.0%}{', halved for quantized weights' if model.quantization else ''}, "
            "1 GB for the CUDA context"
        ),
    )
