"""What an attacker learns: the advantage of a membership test, and the exposure of a planted secret.

A mechanism's epsilon bounds every attack from above; an attack bounds the true epsilon from below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..common.errors import FedkitError
from ..common.intervals import wilson
from .likelihood import continuation_nll

if TYPE_CHECKING:
    from ..training.models import Loaded

BATCH = 250  # candidates scored at once


def advantage(scores_in: Sequence[float], scores_out: Sequence[float]) -> tuple[float, float, float]:
    """True less false positive rate of "in if the score is at least t", with a 95 % interval: (value, low, high).

    Every second score of each side picks t, the others are judged by it: a t picked on the scores that it judges would
    find an advantage in noise. Interval: Newcombe's for two proportions, from Wilson's (Newcombe 1998, method 10).
    `FedkitError` for fewer than four scores a side or one that is not finite.
    """
    inside, outside = (np.asarray(s, dtype=float).ravel() for s in (scores_in, scores_out))
    for name, scores in (("scores_in", inside), ("scores_out", outside)):
        if len(scores) < 4 or not np.isfinite(scores).all():
            raise FedkitError(f"{name}: give at least four finite scores (it has {len(scores)})")
    threshold = _best_threshold(inside[::2], outside[::2])
    told, false = (s[1::2] >= threshold for s in (inside, outside))
    (p, p_low, p_high), (f, f_low, f_high) = _proportion(told), _proportion(false)
    value = p - f
    return value, value - math.hypot(p - p_low, f_high - f), value + math.hypot(p_high - p, f - f_low)


def advantage_bound(epsilon: float, delta: float) -> float:
    """(e^eps - 1 + 2 delta) / (e^eps + 1): no test of membership under (epsilon, delta)-DP has a larger advantage.

    Both TPR <= e^eps FPR + delta and 1 - FPR <= e^eps (1 - TPR) + delta hold (Kairouz et al. 2015, theorem 2.1); the
    largest TPR - FPR that they leave is where both are equalities. 1 for an infinite epsilon.
    """
    if not epsilon >= 0 or not 0 <= delta <= 1:
        raise FedkitError(f"epsilon is {epsilon} and delta {delta}; epsilon is at least 0, delta lies between 0 and 1")
    small = math.exp(-epsilon)
    return (1 - small + 2 * delta * small) / (1 + small)


def rank_exposure(losses: Sequence[float], place: int) -> float:
    """log2 |R| - log2 rank, in bits, of the candidate at `place` by its loss among those of all candidates R.

    The lowest loss has rank 1; candidates of the same loss count before it. Carlini et al. 2019, "The secret sharer",
    section 4 (rank and exposure). A model that knows nothing gives at least x bits to a random secret with probability
    about 2^-x.
    """
    scored = np.asarray(losses, dtype=float)
    if scored.ndim != 1 or not 0 <= place < len(scored) or not np.isfinite(scored).all():
        raise FedkitError(f"place is {place} of {scored.shape} losses; give finite losses and a place among them")
    return math.log2(len(scored)) - math.log2(int((scored <= scored[place]).sum()))


def candidate_losses(
    loaded: Loaded, candidates: Sequence[str], *, instruction: str, response: str, template: str
) -> np.ndarray:
    """Negative log-likelihood (nats) of `response` with each candidate in its place of "{}", float64 (candidates,)."""
    from ..training.encoding import encode
    from ..training.prompts import get_template

    if "{}" not in response:
        raise FedkitError(f"response {response!r} has no place for the secret; write {{}} where it stands")
    longest = loaded.model.config.max_position_embeddings
    records = [{"instruction": instruction, "response": response.replace("{}", c)} for c in candidates]
    encoded = encode(loaded.tokenizer, get_template(template), records, longest, where="candidates")
    rows = [(encoded[i]["input_ids"], start) for i, start in enumerate(encoded.prompt_lengths.tolist())]
    return continuation_nll(loaded, rows, batch_tokens=BATCH * max(len(ids) for ids, _ in rows))


def exposure(
    loaded: Loaded, secret: str, candidates: Sequence[str], *, instruction: str, response: str, template: str
) -> float:
    """Bits by which the model that `loaded` carries gives the secret away: `rank_exposure` of its loss.

    `candidates`: all the values that the secret might have had (R), itself among them. 0: the least likely of all;
    log2 |R|: the most likely. `FedkitError` where the secret is not among the candidates or one stands there twice.
    """
    if secret not in candidates or len(set(candidates)) != len(candidates):
        raise FedkitError(f"candidates must hold each value once, the secret {secret!r} among them")
    losses = candidate_losses(loaded, candidates, instruction=instruction, response=response, template=template)
    return rank_exposure(losses, list(candidates).index(secret))


def _best_threshold(inside: np.ndarray, outside: np.ndarray) -> float:
    """The score with the largest share of `inside` less that of `outside` at or above it."""
    steps = np.unique(np.concatenate([inside, outside]))
    above = [1 - np.searchsorted(np.sort(s), steps, side="left") / len(s) for s in (inside, outside)]
    return float(steps[np.argmax(above[0] - above[1])])


def _proportion(told: np.ndarray) -> tuple[float, float, float]:
    return (float(told.mean()), *wilson(told.sum(), len(told)))
