"""Epsilon of a noise multiplier and the other way round, by Google's dp-accounting; refused where it is not covered.

A round adds Gaussian noise of deviation z S to a sum of client updates, each of norm at most S: z is the noise
multiplier. A user is a client with all its records. Two samplings are covered:

- `poisson`: each client takes part with probability q, by a coin of its own that nobody else sees. Neighbouring
  federations differ by one client that is there or not; privacy loss distributions (Koskela et al. 2020) are composed.
- `fixed`: exactly m of n clients, drawn without replacement, in secret. Neighbours differ by one client replaced by
  another; Renyi accounting (Wang et al. 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from ..errors import FedkitError, unknown


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


def _poisson(z: float, sampling: Sampling, rounds: int, grain: float) -> tuple[Any, Any]:
    import dp_accounting as dp
    from dp_accounting.pld import PLDAccountant

    event = dp.PoissonSampledDpEvent(sampling.rate, dp.GaussianDpEvent(z))
    return PLDAccountant(value_discretization_interval=grain), dp.SelfComposedDpEvent(event, rounds)


def _fixed(z: float, sampling: Sampling, rounds: int, grain: float) -> tuple[Any, Any]:
    import dp_accounting as dp
    from dp_accounting.rdp import RdpAccountant

    event = dp.SampledWithoutReplacementDpEvent(sampling.clients, sampling.sampled, dp.GaussianDpEvent(z))
    accountant = RdpAccountant(neighboring_relation=dp.NeighboringRelation.REPLACE_ONE)
    return accountant, dp.SelfComposedDpEvent(event, rounds)


KINDS: Mapping[str, Callable[[float, Sampling, int, float], tuple[Any, Any]]] = MappingProxyType(
    {"poisson": _poisson, "fixed": _fixed}
)


def epsilon(z: float, sampling: Sampling, rounds: int, delta: float) -> float:
    """The epsilon of (epsilon, delta)-DP for a user after `rounds` rounds with noise multiplier `z`; inf for z = 0.

    `FedkitError`, and no number, for a sampling that the accountant does not cover or a value out of range.
    """
    _check(sampling, rounds, delta)
    if not 0 <= z < math.inf:
        raise FedkitError(f"the noise multiplier is {z}; it must be a finite number of at least 0")
    return math.inf if z == 0 else _epsilon(z, sampling, rounds, delta, 1e-4)


@lru_cache(maxsize=256)
def _epsilon(z: float, sampling: Sampling, rounds: int, delta: float, grain: float) -> float:
    accountant, event = KINDS[sampling.kind](z, sampling, rounds, grain)
    if not accountant.supports(event):
        raise FedkitError(f"the accountant does not cover {sampling.kind} sampling; no epsilon is stated for it")
    return float(accountant.compose(event).get_epsilon(delta))


@lru_cache(maxsize=64)
def noise_multiplier(target: float, sampling: Sampling, rounds: int, delta: float) -> float:
    """The least noise multiplier (to 0.1 %) whose epsilon is at most `target`; errors as `epsilon`."""
    import dp_accounting as dp

    _check(sampling, rounds, delta)
    if not 0 < target < math.inf:
        raise FedkitError(f"the target epsilon is {target}; it must be a finite number above 0")
    grain = min(1e-3, target / 1000)  # a coarse grid cannot resolve a small epsilon, a fine one is slow
    make, low = KINDS[sampling.kind], 0.5
    while _epsilon(low, sampling, rounds, delta, grain) <= target:  # little noise makes the accountant slow: not lower
        low /= 2  # than needed
    found = dp.calibrate_dp_mechanism(
        lambda: make(1.0, sampling, rounds, grain)[0],
        lambda z: make(z, sampling, rounds, grain)[1],
        target,
        delta,
        bracket_interval=dp.LowerEndpointAndGuess(low, 1.0),
        tol=1e-3,
    )
    return float(found)


def _check(sampling: Sampling, rounds: int, delta: float) -> None:
    if not sampling.secret:
        raise FedkitError(
            "who takes part in a round is not secret here, so the accountant's gain from sampling does not hold and no"
            " epsilon is stated; draw clients in secret, or account with all clients in every round"
        )
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
        raise FedkitError(f"rounds is {rounds!r}; it must be a whole number of at least 1")
    if not 0 < delta < 1:
        raise FedkitError(f"delta is {delta}; it must lie between 0 and 1, well below one over the number of clients")
