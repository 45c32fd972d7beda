"""Losses and log-probabilities of answers, computed only where there is an answer.

TRL's fused head scores every position of a batch where Triton is absent, prompt and padding included; with short
answers under a long template that is most of a small model's step. Projecting the answer positions alone gives the
same number (a test holds them together) in less than half the time on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .encoding import IGNORED

# Attributes by which some architectures transform logits after the head; those are asked for all their logits, and
# trained by TRL's own loss.
_HEAD_TRANSFORMS = (
    "final_logit_softcapping",
    "logits_soft_cap",
    "logit_scale",
    "output_multiplier",
    "lm_head_multiplier",
    "logits_scaling",
    "router_aux_loss_coef",
)


def has_plain_head(model: Any) -> bool:
    """Whether the logits are the head's output as it is."""
    config = model.config.get_text_config()
    return all(getattr(config, name, None) is None for name in _HEAD_TRANSFORMS)


def logits_at(model: Any, keep: Tensor, **inputs: Any) -> Tensor:
    """Logits in float32 at the kept positions, (kept, vocabulary): the head is a third of a small model's work.

    `model` is a PEFT model, `inputs` are what its forward takes, `keep` is a mask (batch, length - 1). Where a model
    transforms what its head gives, its logits are computed whole and then picked from.
    """
    inputs.setdefault("use_cache", False)
    if not has_plain_head(model):
        return model(**inputs).logits[:, :-1][keep].float()
    base = model.get_base_model()
    hidden = base.base_model(**inputs).last_hidden_state
    return base.get_output_embeddings()(hidden[:, :-1][keep]).float()


def answer_nll(model: Any, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Summed negative log-likelihood of the answer tokens, in nats, and their number.

    `model` is a PEFT model; all inputs are (batch, length), labels `IGNORED` outside answers.
    """
    mask = labels[:, 1:] != IGNORED
    logits = logits_at(model, mask, input_ids=input_ids, attention_mask=attention_mask)
    return torch.nn.functional.cross_entropy(logits, labels[:, 1:][mask], reduction="sum"), mask.sum()


def answer_logps(model: Any, input_ids: Tensor, attention_mask: Tensor, answer_mask: Tensor) -> Tensor:
    """log p(answer | prompt) in nats of each row, the sum over its answer tokens: (batch,).

    `model` is a PEFT model; all inputs are (batch, length), `answer_mask` 1 on answer tokens.
    """
    mask = answer_mask[:, 1:].bool()
    logits = logits_at(model, mask, input_ids=input_ids, attention_mask=attention_mask)
    each = -torch.nn.functional.cross_entropy(logits, input_ids[:, 1:][mask], reduction="none")
    return each.new_zeros(len(input_ids)).index_add(0, mask.nonzero()[:, 0], each)
