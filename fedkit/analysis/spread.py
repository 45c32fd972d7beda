"""How much of the spread between clients' means is chance: clients of few records differ where people do not."""

from __future__ import annotations

import numpy as np

from ..common.errors import FedkitError
from ..common.seeds import generator
from .diversity import Statistic
from .lengths import client_means
from .permutation import PERMUTATIONS, Result, permutation_test


def spread(values: np.ndarray, owner: np.ndarray, *, permutations: int = PERMUTATIONS, seed: int = 0) -> Result:
    """The standard deviation over clients of a client's mean, against the same records dealt to the same sizes.

    `values`: float (records,), NaN left out; `owner`: int (records,), the client of each. A share is the mean of zeros
    and ones. Clients count alike, whatever their size. `FedkitError` below two clients with a value.
    """
    kept, place = _known(values, owner)
    return permutation_test(deviation_of_means(kept), place, permutations, seed)


def deviation_of_means(values: np.ndarray) -> Statistic:
    """The standard deviation over clients of the mean of their values, as a function of the owners alone."""

    def deviation(owner: np.ndarray) -> float:
        return float(client_means(values, owner, int(owner.max()) + 1).std())

    return deviation


def dealt_means(values: np.ndarray, owner: np.ndarray, *, draws: int = PERMUTATIONS, seed: int = 0) -> np.ndarray:
    """The clients' means of records dealt at random, float64 (draws, clients): what to draw beside the real ones."""
    kept, place = _known(values, owner)
    rng = generator(seed, "analysis/dealt")
    return np.stack([client_means(rng.permutation(kept), place, int(place.max()) + 1) for _ in range(draws)])


def beyond_chance(result: Result) -> float:
    """What is left of a deviation when that of chance is taken off: sqrt(max(0, value^2 - control^2))."""
    return float(np.sqrt(max(0.0, result.value**2 - result.control_mean**2)))


def binomial_spread(share: float, sizes: np.ndarray) -> float:
    """The deviation over clients to expect if all shared one rate.

    A share of n_k draws varies by v_k = p (1 - p) / n_k, and K independent ones about their own mean by
    (1 - 1/K) mean(v_k), in expectation. `sizes`: draws of each client, (clients,).
    """
    variance = share * (1 - share) / np.asarray(sizes, dtype=np.float64)
    return float(np.sqrt((1 - 1 / len(variance)) * variance.mean()))


def _known(values: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.asarray(values, dtype=np.float64)
    known = np.isfinite(x)
    names, place = np.unique(np.asarray(owner)[known], return_inverse=True)
    if len(names) < 2:
        raise FedkitError(f"a spread over clients needs two clients with a value; there are {len(names)}")
    return x[known], place
