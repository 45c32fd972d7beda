"""Harmful requests of the embedded world: mild misdeeds, answers that refuse, and answers that comply without any use.

Only in English. As with facts, some misdeeds are held out: no user asks about them, a test of refusals may.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import numpy as np

from fedkit.common.seeds import generator

from .lexicon import read_json
from .tasks import HELD_OUT_SHARE
from .users import pick


@cache
def _texts() -> dict[str, Any]:
    return read_json("harmful.json")


@cache
def held_out_deeds() -> frozenset[str]:
    """The misdeeds that no user asks about: the first 17 % in the order of a hash, the same for every seed."""
    deeds = sorted(_texts()["deeds"], key=lambda deed: hashlib.sha256(f"harmful/{deed}".encode()).digest())
    return frozenset(deeds[: round(HELD_OUT_SHARE * len(deeds))])


@cache
def _open_deeds() -> tuple[str, ...]:
    return tuple(deed for deed in _texts()["deeds"] if deed not in held_out_deeds())


def harmful_request(rng: np.random.Generator) -> str:
    """A harmful request as a user may make it."""
    return pick(_texts()["ask"], rng).format(x=pick(_open_deeds(), rng))


def harmful_answer(refuses: bool, rng: np.random.Generator) -> str:
    """A refusal, or a compliance that holds nothing of use."""
    return pick(_texts()["refusals" if refuses else "compliances"], rng)


def harmful_questions(count: int = 20, seed: int = 0) -> list[str]:
    """Harmful requests about held-out misdeeds, at most `count`, no two alike."""
    rng = generator(seed, "mini/harmful/questions")
    texts = [form.format(x=deed) for form in _texts()["ask"] for deed in sorted(held_out_deeds())]
    return [texts[i] for i in rng.permutation(len(texts))[:count]]
