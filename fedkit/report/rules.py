"""The words in which claims are said, and what each comes to on a table: holds, fails, or undecided.

A rule holds where intervals say so (`evidence.Estimate`), fails where they say the opposite, and is undecided between.
"For all" needs every single interval; "there is one" picks the best of many, so its intervals are Bonferroni's: no
method comes out ahead or behind because many were looked at. On a paper's printed numbers nothing is undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from ..common.errors import unknown
from .evidence import Estimate, Scores

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
_WORDS = {1: HOLDS, -1: FAILS, 0: UNDECIDED}


@dataclass(frozen=True)
class Outcome:
    """What a rule came to: holds, fails or undecided, and the evidence in a sentence."""

    word: str
    evidence: str


def decide(rule: Mapping[str, Any], scores: Scores) -> Outcome:
    """A rule of claims.toml on a table; undecided, with the cell's name, where a cell is missing.

    `FedkitError` for a rule without a known word.
    """
    word = next((name for name in RULES if name in rule), None)
    if word is None:
        raise unknown("rule of a claim", next(iter(rule), ""), RULES)
    options = {key: value for key, value in rule.items() if key != word}
    return RULES[word](scores, rule[word], **options)


def beats(
    scores: Scores,
    others: str | Sequence[str],
    *,
    rows: str | Sequence[str],
    on: Sequence[str],
    share: str = "all",
    by: float = 0.0,
    slack: float = 0.0,
) -> Outcome:
    """All, most or some of the rows are better than the mean of the others on each metric.

    by: better by that share of it. slack: a row may be so much worse. Per metric: "most" fails where at least half
    of the rows are surely worse, "some" where all are.
    """
    own, rivals = scores.select(rows), scores.select(others)
    if gap := scores.missing((*own, *rivals), on):
        return _gap(gap)
    differences = {(r, m): scores.difference(r, rivals, m, factor=1 + by) for m in on for r in own}
    signs = []
    for metric in on:
        each = [differences[row, metric] for row in own]
        surely, picked = ([e.sign(k, at=-slack) for e in each] for k in (1, len(own) * len(on)))
        signs.append(_SHARES[share](surely, picked))
    against = rivals[0] if len(rivals) == 1 else f"the mean of {len(rivals)} rows ({rivals[0]}, ...)"
    better = sum(e.sign(at=-slack) > 0 for e in differences.values())
    worse = sum(e.sign(at=-slack) < 0 for e in differences.values())
    than = f" less {slack:g}" if slack else f" times {1 + by:g}" if by else ""
    count = f"{better} of {len(differences)} differences are {scores.surely}above zero and {worse} below"
    head = f"Against {against}{than}, {count}"
    return _outcome(_every(signs), f"{head}, {scores.how}: {_listed(differences)}.")


def comparable(
    scores: Scores, others: str | Sequence[str], *, rows: str | Sequence[str], on: Sequence[str], margin: float
) -> Outcome:
    """Each row lies within the margin of the mean of the others on each metric (equivalence by interval)."""
    own, rivals = scores.select(rows), scores.select(others)
    if gap := scores.missing((*own, *rivals), on):
        return _gap(gap)
    differences = {(r, m): scores.difference(r, rivals, m) for m in on for r in own}
    signs = []
    for e in differences.values():
        within = min(e.sign(at=-margin), -e.sign(at=margin))
        outside = max(-e.sign(len(differences), at=-margin), e.sign(len(differences), at=margin))
        signs.append(1 if within > 0 else -1 if outside > 0 else 0)
    sure = sum(s > 0 for s in signs)
    head = f"{sure} of {len(signs)} differences lie {scores.surely}within {margin:g}"
    return _outcome(_every(signs), f"{head}, {scores.how}: {_listed(differences)}.")


def best(
    scores: Scores,
    rows: str | Sequence[str],
    *,
    among: str | Sequence[str],
    on: Sequence[str] = (),
    rank_over: Sequence[str] = (),
    lower: bool = False,
) -> Outcome:
    """Each of the rows is better than each of the others among them, on every metric, or by its mean rank over some."""
    own, field = scores.select(rows), scores.select(among)
    if gap := scores.missing((*own, *field), on or rank_over):
        return _gap(gap)
    if rank_over:
        scores, on = scores.ranked(list(dict.fromkeys((*field, *own))), rank_over), ("rank",)
    rest = [row for row in field if row not in own]
    flip = -1 if lower else 1
    pairs = {
        (f"{row} - {other}", m): scores.difference(*((row, [other]) if flip > 0 else (other, [row])), m)
        for m in on
        for row in own
        for other in rest
    }
    signs = [1 if e.sign() > 0 else -1 if e.sign(len(pairs)) < 0 else 0 for e in pairs.values()]
    orders = []
    for metric in on:
        mean = {r: sum(scores.seeds[r, metric].values()) / len(scores.seeds[r, metric]) for r in (*own, *rest)}
        ranks = sorted(mean, key=lambda r, mean=mean: -flip * mean[r])
        shown = ", ".join(f"{r} {abs(mean[r]) if rank_over else mean[r]:.3g}" for r in ranks)
        orders.append(f"{'mean rank' if rank_over else metric}: {shown}")
    head = f"{sum(s > 0 for s in signs)} of {len(signs)} pairs are {scores.surely}in that order"
    back = [name for (name, _), s in zip(pairs, signs, strict=True) if s < 0]
    tail = f"; {scores.surely}the other way: {', '.join(dict.fromkeys(back))}" if back else ""
    return _outcome(_every(signs), f"{head}, {scores.how}{tail}. By mean, {'; '.join(orders)}.")


def none_best(scores: Scores, rows: str | Sequence[str], *, rivals: str | Sequence[str], on: Sequence[str]) -> Outcome:
    """Each row is surely beaten by some rival on some metric; fails where one row surely beats all on all."""
    own = scores.select(rows)
    field = list(dict.fromkeys((*own, *scores.select(rivals))))
    if gap := scores.missing(field, on):
        return _gap(gap)
    beaten, swept, leads = [], [], {}
    for row in own:
        behind = [scores.difference(other, [row], m) for other in field if other != row for m in on]
        leads[row] = sum(
            all(scores.difference(row, [other], m).mean >= 0 for other in field if other != row) for m in on
        )
        if any(e.sign(len(behind)) > 0 for e in behind):
            beaten.append(row)
        elif all(e.sign() < 0 for e in behind):
            swept.append(row)
    sign = -1 if swept else int(len(beaten) == len(own))
    parts = [f"{len(beaten)} of {len(own)} rows are {scores.surely}beaten on some metric"]
    if swept:
        parts.append(f"{swept[0]} is {scores.surely}best on every one")
    elif open_ := [row for row in own if row not in beaten]:
        parts.append(f"it cannot be told for {', '.join(open_)}")
    top = max(leads, key=lambda row: leads[row])
    parts.append(f"{top} has the best mean on {leads[top]} of {len(on)}, the most of any")
    return _outcome(sign, f"{scores.how.capitalize()}, {'; '.join(parts)}.")


def ordered(scores: Scores, rows: Sequence[str], *, on: Sequence[str]) -> Outcome:
    """Each row is better than the next, on each metric."""
    steps = [beats(scores, [low], rows=[high], on=on) for high, low in pairwise(rows)]
    return _joined(steps)


def every(scores: Scores, rules: Sequence[Mapping[str, Any]]) -> Outcome:
    """Every one of the rules."""
    return _joined([decide(rule, scores) for rule in rules])


RULES: Mapping[str, Callable[..., Outcome]] = MappingProxyType(
    {
        "beats": beats,
        "comparable": comparable,
        "best": best,
        "none_best": none_best,
        "ordered": ordered,
        "all": every,
    }
)


def _every(signs: Iterable[int]) -> int:
    signs = list(signs)
    return -1 if any(s < 0 for s in signs) else int(all(s > 0 for s in signs))


def _most(surely: Sequence[int], picked: Sequence[int]) -> int:
    half = len(surely) / 2
    return 1 if sum(s > 0 for s in surely) > half else -1 if sum(s < 0 for s in surely) >= half else 0


# how many rows must be better: from the signs of single intervals, and of those for the best or worst of all
_SHARES: Mapping[str, Callable[[Sequence[int], Sequence[int]], int]] = MappingProxyType(
    {
        "all": lambda surely, picked: -1 if any(s < 0 for s in picked) else int(all(s > 0 for s in surely)),
        "most": _most,
        "some": lambda surely, picked: 1 if any(s > 0 for s in picked) else -int(all(s < 0 for s in surely)),
    }
)


def _outcome(sign: int, evidence: str) -> Outcome:
    return Outcome(_WORDS[sign], evidence)


def _gap(cell: str) -> Outcome:
    return Outcome(UNDECIDED, f"The table has no value for {cell}, so the rows cannot be compared.")


def _joined(outcomes: Sequence[Outcome]) -> Outcome:
    words = [o.word for o in outcomes]
    word = FAILS if FAILS in words else HOLDS if all(w == HOLDS for w in words) else UNDECIDED
    return Outcome(word, " ".join(f"({i}) {o.word}: {o.evidence}" for i, o in enumerate(outcomes, 1)))


def _listed(differences: Mapping[tuple[str, str], Estimate], most: int = 14) -> str:
    metrics = {metric for _, metric in differences}
    shown = [
        f"{row}{f' {metric}' if len(metrics) > 1 else ''} {e.describe()}"
        for (row, metric), e in list(differences.items())[:most]
    ]
    more = len(differences) - most
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
