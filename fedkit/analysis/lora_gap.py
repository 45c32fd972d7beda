"""How far the average of LoRA factors is from the average of their products.

A LoRA layer adds (alpha / r) B A. A server that averages A and B apart gets mean(B) mean(A), but what the clients mean
together is mean(B A). The difference is the covariance of B and A over the clients,

    mean(B_k A_k) - mean(B) mean(A) = mean((B_k - mean(B)) (A_k - mean(A))),

which vanishes where all A_k, or all B_k, are the same, and otherwise only by chance (Sun et al. 2024, FFA-LoRA, keep A
fixed for that reason).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ..algorithms.aggregators import State
from ..algorithms.ffa_lora import LORA_A
from ..common.errors import FedkitError


def averaging_gap(
    states: Sequence[State], weights: Sequence[float] | None = None, *, start: State | None = None
) -> float:
    """|| mean(B_k A_k) - mean(B) mean(A) || / || mean(B_k A_k) ||, Frobenius norms over all layers of the adapter.

    `states` are the clients' local adapters of one round, `weights` their shares (default: alike); the scale alpha / r
    cancels. With `start`, the adapter at the round's beginning, the divisor is the round's own movement,
    || mean(B_k A_k) - B A ||, in the place of all that was gathered before it. 0 where the divisor is zero.
    `FedkitError` for no adapter, or one that holds no pair of A and B.
    """
    shares = torch.tensor([1.0] * len(states) if weights is None else list(weights), dtype=torch.float64)
    names = [name for name in states[0] if LORA_A in name] if states else []
    if not names or len(shares) != len(states) or not shares.sum() > 0:
        raise FedkitError(
            f"{len(states)} adapters with {len(shares)} weights and {len(names)} LoRA layers have no averaging gap; "
            "give one weight, not all of them 0, to each of at least one LoRA adapter"
        )
    shares = shares / shares.sum()
    apart = whole = 0.0
    for name in names:
        other = name.replace(LORA_A, ".lora_B.")
        a, b = (torch.stack([s[n].double() for s in states]) for n in (name, other))
        before = start[other].double() @ start[name].double() if start else 0.0
        mean_a, mean_b = torch.tensordot(shares, a, 1), torch.tensordot(shares, b, 1)
        # The covariance, not the difference of two means: exactly zero for equal A, and no digits cancel.
        covariance = torch.tensordot(shares, (b - mean_b) @ (a - mean_a), 1)
        apart += float(covariance.square().sum())
        whole += float((covariance + mean_b @ mean_a - before).square().sum())
    return math.sqrt(apart / whole) if whole else 0.0
