"""How much each client holds (FedLLM-Bench section 3.3 (5), Figure 5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..common.errors import FedkitError
from .diversity import gini


def describe_sizes(sizes: ArrayLike) -> dict[str, float]:
    """Sizes in numbers: clients, records, mean, sd (over the clients at hand), smallest, median, largest; the part of
    all records that the largest tenth of the clients holds (one client at least); Gini coefficient."""
    n = np.sort(np.asarray(sizes, dtype=np.int64))
    if not n.size:
        raise FedkitError("there are no clients; give the size of one at least")
    tenth = max(1, len(n) // 10)
    return {
        "clients": len(n),
        "records": int(n.sum()),
        "mean": float(n.mean()),
        "sd": float(n.std()),
        "smallest": int(n[0]),
        "median": float(np.median(n)),
        "largest": int(n[-1]),
        "held by the largest tenth": float(n[-tenth:].sum() / n.sum()),
        "Gini": gini(n),
    }


def lorenz(sizes: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Lorenz curve: (part of the clients, smallest first; part of all records that they hold), each (clients + 1,).

    The Gini coefficient is 1 minus twice the area below it.
    """
    n = np.sort(np.asarray(sizes, dtype=np.float64))
    gini(n)  # refuses what has no curve
    return np.linspace(0, 1, len(n) + 1), np.concatenate([[0.0], np.cumsum(n) / n.sum()])
