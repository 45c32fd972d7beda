"""Epsilon of a noise multiplier and the other way round, by Google's dp-accounting; refused where it is not covered.

A round adds Gaussian noise of deviation z S to a sum of client updates, each of norm at most S: z is the noise
multiplier, noise over S whatever the sampling. A user is a client with all its records. Two samplings are covered:

- `poisson`: each client takes part with probability q, by a coin of its own that nobody else sees. Neighbouring
  federations differ by one client that is there or not, which moves the sum by at most S; privacy loss distributions
  (Koskela et al. 2020) are composed.
- `fixed`: exactly m of n clients, drawn without replacement, in secret. Neighbours differ by one client replaced by
  another, which moves the sum by at most 2 S (from +S to -S); Renyi accounting (Wang et al. 2019).

A draw never costs privacy, so epsilon is at most that of all clients in every round, which is known exactly: T rounds
are one Gaussian mechanism of multiplier z / sqrt(T) (Balle and Wang 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from types import MappingProxyType
from typing import Any

import numpy as np

from ..common.errors import FedkitError, unknown

LEAST_NOISE, MOST_NOISE = 4e-4, 1e6  # beyond, losses overflow or vanish, and what sampling gains is not counted
LEAST_EXACT = 1e-3  # with less noise the search for a Gaussian's epsilon subtracts numbers too large for it


@dataclass(frozen=True)
class Sampling:
    """How clients of a round are drawn: `kind` of `KINDS`, `sampled` of `clients` (on average, for poisson)."""

    kind: str
    sampled: int
    clients: int
    secret: bool = True  # False: an adversary knows who takes part, so that sampling protects nobody

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown("sampling", self.kind, KINDS)
        if not 1 <= self.sampled <= self.clients:
            raise FedkitError(
                f"a round draws {self.sampled} of {self.clients} clients; give a number from 1 to all of them"
            )

    @property
    def rate(self) -> float:
        """q: the share of clients in a round."""
        return self.sampled / self.clients

    @property
    def neighbours(self) -> str:
        """The two federations that epsilon tells apart."""
        return KINDS[self.kind].neighbours


def _poisson(z: float, sampling: Sampling) -> tuple[Any, Any]:
    import dp_accounting as dp
    from dp_accounting.pld import PLDAccountant

    # Losses are rounded up to a grid, so a coarse one only overstates. A round's loss is of the order of 1 / z^2 for
    # little noise and of 1 / z for much: the grid follows it, or it would be slow there and blunt here.
    grain = min(300.0, 3e-4 / (z * z if z < 1 else z))  # exp(grain) is computed
    event = dp.PoissonSampledDpEvent(sampling.rate, dp.GaussianDpEvent(z))
    return PLDAccountant(value_discretization_interval=grain), event


def _fixed(z: float, sampling: Sampling) -> tuple[Any, Any]:
    import dp_accounting as dp
    from dp_accounting.rdp import RdpAccountant

    event = dp.SampledWithoutReplacementDpEvent(sampling.clients, sampling.sampled, dp.GaussianDpEvent(z))
    return RdpAccountant(neighboring_relation=dp.NeighboringRelation.REPLACE_ONE), event


@dataclass(frozen=True)
class _Kind:
    """Accountant and event of one round, given noise over sensitivity; how many S a neighbour moves the sum by."""

    account: Callable[[float, Sampling], tuple[Any, Any]]
    moves: int
    neighbours: str


KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "poisson": _Kind(_poisson, 1, "one client is there or not"),
        "fixed": _Kind(_fixed, 2, "one client is replaced by another"),
    }
)


def epsilon(z: float, sampling: Sampling, rounds: int, delta: float) -> float:
    """The epsilon of (epsilon, delta)-DP for a user after `rounds` rounds with noise multiplier `z`.

    inf for z = 0, and for a noise whose epsilon exceeds the largest float. An upper bound, as every accountant's.
    `FedkitError`, and no number, for a sampling that the accountant does not cover or a value out of range.
    """
    _check(sampling, rounds, delta)
    if not 0 <= z < math.inf:
        raise FedkitError(f"the noise multiplier is {z}; it must be a finite number of at least 0")
    return _epsilon(float(z), sampling, rounds, delta)


@lru_cache(maxsize=512)
def _epsilon(z: float, sampling: Sampling, rounds: int, delta: float) -> float:
    kind = KINDS[sampling.kind]
    noise = z / kind.moves  # over what a neighbour moves, which is what the accountants take for the multiplier
    everybody = _gaussian(noise / math.sqrt(rounds), delta)
    if sampling.sampled == sampling.clients or not LEAST_NOISE <= z <= MOST_NOISE or not everybody:
        return everybody
    return min(everybody, _composed(*kind.account(noise, sampling), rounds, delta))


def _gaussian(z: float, delta: float) -> float:
    """Epsilon of one Gaussian mechanism of multiplier `z`: Phi(1/2z - eps z) - exp(eps) Phi(-1/2z - eps z) = delta.

    For little noise without the second term, which is never negative: an upper bound, 2e-6 too large at most.
    """
    from dp_accounting.gaussian_mechanism import get_epsilon_gaussian

    if z == 0:
        return math.inf
    if z < LEAST_EXACT:
        return (0.5 / z - NormalDist().inv_cdf(delta)) / z
    with np.errstate(divide="ignore"):  # the logarithm of a delta of 0, for much noise
        return float(get_epsilon_gaussian(z, delta))


def _composed(accountant: Any, event: Any, rounds: int, delta: float) -> float:
    """Epsilon of an event that happens in every round; `FedkitError` where the accountant does not know it."""
    if not accountant.supports(event):
        raise FedkitError(f"{type(accountant).__name__} does not cover {event}; no epsilon is stated for it")
    return float(accountant.compose(event, rounds).get_epsilon(delta))


@lru_cache(maxsize=64)
def noise_multiplier(target: float, sampling: Sampling, rounds: int, delta: float) -> float:
    """A noise multiplier whose `epsilon` is at most `target`, within 0.1 % of the least one; errors as `epsilon`."""
    _check(sampling, rounds, delta)
    if not 0 < target < math.inf:
        raise FedkitError(f"the target epsilon is {target}; it must be a finite number above 0")
    low, high = 0.5, 1.0
    while epsilon(high, sampling, rounds, delta) > target:
        low, high = high, 2 * high
    while epsilon(low, sampling, rounds, delta) <= target:
        low, high = low / 2, low
    while high - low > 1e-3 * high:  # not calibrate_dp_mechanism: its accountant has one grid for every z
        middle = (low + high) / 2
        low, high = (middle, high) if epsilon(middle, sampling, rounds, delta) > target else (low, middle)
    return high


def _check(sampling: Sampling, rounds: int, delta: float) -> None:
    if not sampling.secret and sampling.sampled < sampling.clients:  # a round of everybody gains nothing from a draw
        raise FedkitError(
            "who takes part in a round is not secret here, so the accountant's gain from sampling does not hold and no"
            " epsilon is stated; draw clients in secret, or account with all clients in every round"
        )
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
        raise FedkitError(f"rounds is {rounds!r}; it must be a whole number of at least 1")
    if not 0 < delta < 1:
        raise FedkitError(f"delta is {delta}; it must lie between 0 and 1, well below one over the number of clients")
