"""How much of a number is due to chance: the same records, dealt to the same clients at random.

The iid control of a view keeps every client's size and permutes the records. That of quantity cannot (it would change
nothing): it gives every record to a client drawn uniformly. `spread` asks it of clients' means: clients of few records
differ where people do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..common.errors import FedkitError
from ..common.seeds import generator
from .measures import Statistic, gini
from .summaries import client_means

PERMUTATIONS = 200


@dataclass(frozen=True)
class Result:
    """A number and its iid control: mean, and the middle 95 % (2.5 and 97.5 percentiles) over the permutations.

    `p` is one-sided: (1 + #{control >= value}) / (permutations + 1) (Phipson and Smyth 2010), so never 0; with 200
    permutations its least value is 1/201.
    """

    value: float
    control_mean: float
    control_low: float
    control_high: float
    p: float
    permutations: int

    @property
    def excess(self) -> float:
        """What is left of the number above its control's mean."""
        return self.value - self.control_mean


def permutation_test(statistic: Statistic, owner: ArrayLike, permutations: int = PERMUTATIONS, seed: int = 0) -> Result:
    """Test a number of clients against records dealt at random in the same sizes.

    `statistic`: owners -> number, from `label_divergence`, `variance_between` or `silhouette`. `owner`: int64
    (records,). The hypothesis that is tested: records are exchangeable between clients.
    """
    owners = np.unique(np.asarray(owner), return_inverse=True)[1].astype(np.int64)
    rng = generator(seed, "analysis/permutation")
    return against(statistic(owners), (statistic(rng.permutation(owners)) for _ in range(permutations)))


def quantity_test(sizes: ArrayLike, permutations: int = PERMUTATIONS, seed: int = 0) -> Result:
    """The Gini coefficient of sizes (clients,) against as many records given to as many clients uniformly at random."""
    n = np.asarray(sizes, dtype=np.int64)
    rng = generator(seed, "analysis/quantity")
    draws = rng.multinomial(int(n.sum()), np.full(len(n), 1 / max(1, len(n))), size=max(0, permutations))
    return against(gini(n), (gini(draw) for draw in draws))


def against(value: float, controls: Iterable[float]) -> Result:
    """A number beside the numbers of its control."""
    drawn = np.fromiter(controls, dtype=np.float64)
    if not len(drawn):
        raise FedkitError("a test without permutations tells nothing; give at least 1")
    low, high = np.percentile(drawn, [2.5, 97.5])
    # Equal up to rounding counts as equal: a sum in another order is no evidence.
    reached = int((drawn >= value - 1e-12 * max(1.0, abs(value))).sum())
    p = (1 + reached) / (len(drawn) + 1)
    return Result(float(value), float(drawn.mean()), float(low), float(high), p, len(drawn))


def spread(values: np.ndarray, owner: np.ndarray, *, permutations: int = PERMUTATIONS, seed: int = 0) -> Result:
    """The standard deviation over clients of a client's mean, against the same records dealt to the same sizes.

    `values`: float (records,), NaN left out; `owner`: int (records,), the client of each. A share is the mean of zeros
    and ones. Clients count alike, whatever their size. `FedkitError` below two clients with a value.
    """
    known, place = _known(values, owner)

    def deviation(owner: np.ndarray) -> float:
        return float(client_means(known, owner, int(owner.max()) + 1).std())

    return permutation_test(deviation, place, permutations, seed)


def dealt_means(values: np.ndarray, owner: np.ndarray, *, draws: int = PERMUTATIONS, seed: int = 0) -> np.ndarray:
    """The clients' means of records dealt at random, float64 (draws, clients): what to draw beside the real ones."""
    known, place = _known(values, owner)
    rng = generator(seed, "analysis/dealt")
    return np.stack([client_means(rng.permutation(known), place, int(place.max()) + 1) for _ in range(draws)])


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
