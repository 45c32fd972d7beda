"""User-level differential privacy: the paper's mechanism as published, and DP-FedAvg with clipping and an accountant.

`published` computes the noise of FedLLM-Bench's appendix D; `accounting` turns noise into epsilon and back, or refuses;
`clipping` bounds an update; `attacks` measures what an attacker learns.
"""

from ..evaluation.attacks import advantage, advantage_bound, exposure, rank_exposure
from .accounting import Sampling, epsilon, noise_multiplier
from .clipping import adapted_bound, clipped
from .published import claimed_epsilon, paper_sigma

__all__ = [
    "Sampling",
    "adapted_bound",
    "advantage",
    "advantage_bound",
    "claimed_epsilon",
    "clipped",
    "epsilon",
    "exposure",
    "noise_multiplier",
    "paper_sigma",
    "rank_exposure",
]
