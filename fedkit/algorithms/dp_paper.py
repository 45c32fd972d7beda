"""FedAvg with noise on every upload, as FedLLM-Bench publishes it (appendix D.2 and D.3, after Wei et al. 2020).

Each client sends w_k - w_t + N(0, sigma^2 I); the server averages by samples. Nothing bounds the update, so no
guarantee for a user follows: `fedkit.privacy.paper_sigma` gives the paper's sigma, notebook 39 says what it is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..aggregators import State, gaussian
from ..errors import FedkitError
from .base import Algorithm, Broadcast


@dataclass(frozen=True)
class DPPaper(Algorithm):
    """FedAvg; `sigma` is the deviation of the noise on each coordinate of each upload (0.1 in the paper's Table 8)."""

    name: ClassVar[str] = "dp_paper"
    source: ClassVar[str] = "FedLLM-Bench (Ye et al. 2024), appendix D"
    sigma: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.sigma < float("inf"):
            raise FedkitError(f"sigma of dp_paper is {self.sigma}; it must be a finite number of at least 0")

    def protect(self, message: Broadcast, delta: State, *, seed: int, client: str) -> State:
        """The update with its noise."""
        noise = gaussian(delta, self.sigma, seed, "dp_paper/noise", round=message.round, client=client)
        return {name: t + noise[name] for name, t in delta.items()}
