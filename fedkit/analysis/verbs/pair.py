"""What an extractor gives for one instruction."""

from __future__ import annotations

from typing import NamedTuple


class Pair(NamedTuple):
    """Root verb and the noun of its direct object, as lower-case lemmas; None where there is none."""

    verb: str | None
    noun: str | None


NONE = Pair(None, None)
