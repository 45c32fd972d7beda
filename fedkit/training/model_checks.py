"""What a base model has to be before anything is trained on it or asked of it: whole, and long enough for its texts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch

from ..common.errors import FedkitError


def check_whole(name: str, read: Mapping[str, Any]) -> None:
    """Refuse a model whose files lack tensors or have others: transformers would draw them by chance.

    A tied tensor is not lacking.
    """
    faults = {
        "its files lack {}, which would be random numbers": sorted(read["missing_keys"]),
        "{} has another shape than config.json says": sorted(str(key[0]) for key in read["mismatched_keys"]),
        "{}": [str(said) for said in read["error_msgs"]],
    }
    for said, names in faults.items():
        if names:
            more = f" and {len(names) - 1} more" if names[1:] else ""
            raise FedkitError(
                f"base model {name!r} is not whole: {said.format(names[0] + more)}; fetch its files anew, all shards,"
                " or give another model"
            )
    if unread := sorted(read["unexpected_keys"]):
        more = f" and {len(unread) - 1} more" if unread[1:] else ""
        warnings.warn(
            f"base model {name!r}: {unread[0]}{more} of its files {'are' if more else 'is'} no part of its architecture"
            " and left out",
            stacklevel=5,
        )


def learned_positions(model: Any) -> int | None:
    """Tokens that a model with a learned embedding for each position reads at most (GPT-2, OPT); None for others."""
    base = model.get_base_model()
    most = getattr(base.config.get_text_config(), "max_position_embeddings", None)
    others = {m for m in base.modules() if isinstance(m, torch.nn.Embedding)} - {base.get_input_embeddings()}
    # OPT's first position has the number 2
    return most if most and any(most <= m.num_embeddings <= most + 2 for m in others) else None


def check_length(model: Any, tokens: int, what: str) -> None:
    """`FedkitError` where a model has no positions for so many tokens; `what` is their name."""
    most = learned_positions(model)
    if most is not None and tokens > most:
        raise FedkitError(f"{what} is {tokens}, but the base model has {most} positions; lower it to {most}")
