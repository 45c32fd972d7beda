"""A rating read from a judge's reply."""

from __future__ import annotations

import re
from dataclasses import dataclass

LOWEST, HIGHEST = 1.0, 10.0
RATED, NONE, SEVERAL, OUTSIDE = "rated", "no rating", "two ratings", "out of range"

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_FORMS = (re.compile(rf"\[\[\s*{_NUMBER}\s*\]\]"), re.compile(rf"\[\s*{_NUMBER}\s*\]"))


@dataclass(frozen=True)
class Rating:
    """`value` from 1 to 10, or None with the reason in `why`."""

    value: float | None
    why: str


def parse_rating(reply: str) -> Rating:
    """The rating of a reply: `[[n]]`, else `[n]`, as MT-Bench reads it (Zheng et al. 2023).

    Where the form occurs several times, all must hold one number: a reply with two ratings is unparsed, since to take
    the first or the last would be a guess (MT-Bench's own script takes the first). So is a number outside 1 to 10.
    """
    for form in _FORMS:
        found = {float(text) for text in form.findall(reply)}
        if len(found) > 1:
            return Rating(None, SEVERAL)
        for value in found:
            return Rating(value, RATED) if LOWEST <= value <= HIGHEST else Rating(None, OUTSIDE)
    return Rating(None, NONE)
