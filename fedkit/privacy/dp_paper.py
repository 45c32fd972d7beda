"""FedAvg with noise on every upload, as FedLLM-Bench publishes it (appendix D.2 and D.3, after Wei et al. 2020).

Each client sends w_k - w_t + N(0, sigma^2 I); the server averages by samples. The noise is fitted to one record's
gradient and not to a bound on the update, so no guarantee for a user follows: `fedkit.privacy.paper_sigma` gives the
paper's sigma, notebook 39 says what it is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..algorithms.aggregators import State, gaussian
from ..algorithms.base import Algorithm, Broadcast
from ..algorithms.ranges import require


@dataclass(frozen=True)
class DPPaper(Algorithm):
    """FedAvg; `sigma` is the deviation of the noise on each coordinate of each upload (0.1 in the paper's Table 8)."""

    name: ClassVar[str] = "dp_paper"
    source: ClassVar[str] = "FedLLM-Bench (Ye et al. 2024), appendix D"
    sigma: float = 0.0

    def __post_init__(self) -> None:
        require(self, "sigma", least=0)

    def privacy(self, clients: int, sampled: int, rounds: int) -> dict[str, Any]:
        """The noise, and why no epsilon stands beside it."""
        return {
            "mechanism": "Gaussian noise on every upload",
            "sigma": self.sigma,
            "epsilon": None,
            "refused": "sigma is not fitted to a bound on an update, the draw is public and weights depend on data; no "
            "epsilon for a client follows",
        }

    def protect(self, message: Broadcast, delta: State, *, seed: int, client: str) -> State:
        """The update with its noise."""
        noise = gaussian(delta, self.sigma, seed, "dp_paper/noise", round=message.round, client=client)
        return {name: t + noise[name] for name, t in delta.items()}
