"""The preference sets (OpenFedLLM 4.5 and 4.6): UltraFeedback's completions and HH-RLHF's dialogues as pairs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ....common.errors import unknown
from ....common.seeds import generator
from ....profiles import Profile
from ...sources import Located, locate
from ..built import Built, Cut, reads
from ..checks import fault, shape_fault, text_fault
from ..schemas import PAIRED
from .corpus import LANGUAGE, Corpus

_FEW, _SAME = "fewer than two scored completions", "chosen and rejected are the same"
_NO_DIALOGUE = "not a dialogue that a human begins and the assistant ends"
_PARTED = "dialogues differ before the last answer"
_NO_QUESTION, _NO_ANSWER = "empty question", "empty last answer"
_SPEAKER = re.compile(r"\n\n(Human|Assistant):")


def ultrafeedback_row(raw: Any, fields: Mapping[str, type], seed: int = 0) -> dict[str, str] | str:
    """The completion with the highest overall score as chosen, one of the others at random as rejected; or the reason.

    Zephyr's treatment, which the paper follows. Of several best ones the first is chosen, and a rejected one may have
    the same score. Completions without a text or a finite score do not count. The draw depends on `seed` and on the
    instruction alone.
    """
    why = shape_fault(raw, fields)
    scored = [] if why else [scored for each in raw["completions"] if (scored := _scored(each)) is not None]
    if why is None and len(scored) < 2:
        why = _FEW
    why = why or text_fault(raw, fields)
    if why is not None:
        return why
    best = max(range(len(scored)), key=lambda i: scored[i][0])
    others = [text for i, (_, text) in enumerate(scored) if i != best]
    rng = generator(seed, "builders/ultrafeedback", client=raw["instruction"])
    chosen, rejected = scored[best][1], others[int(rng.integers(len(others)))]
    return _pair(raw["instruction"], chosen, rejected)


def _scored(completion: Any) -> tuple[float, str] | None:
    """Score and text of a completion; None where one of them cannot be used."""
    if fault(completion, {"response": str}) is not None:
        return None
    score = completion.get("overall_score")
    if isinstance(score, bool) or not isinstance(score, int | float):
        return None
    # An int of hundreds of digits is no score either, and cannot be turned into a float.
    return (float(score), completion["response"]) if abs(score) < 1e6 and math.isfinite(score) else None


def hh_row(raw: Any, fields: Mapping[str, type]) -> dict[str, str] | str:
    """Two dialogues that differ in their last answer alone, as what went before and the two answers; or the reason.

    The instruction is the shared text without the first "Human:", so a dialogue of several turns keeps its marks
    ("\\n\\nAssistant: ", "\\n\\nHuman: "). OpenFedLLM cuts at the first character that differs, so its answers may
    begin in mid-sentence; here they are whole.
    """
    why = fault(raw, fields)
    if why is not None:
        return why
    chosen, rejected = _parted(raw["chosen"]), _parted(raw["rejected"])
    if chosen is None or rejected is None:
        return _NO_DIALOGUE
    if chosen[0] != rejected[0]:
        return _PARTED
    if not chosen[0]:
        return _NO_QUESTION
    if not chosen[1] or not rejected[1]:
        return _NO_ANSWER
    return _pair(chosen[0], chosen[1], rejected[1])


def _parted(text: str) -> tuple[str, str] | None:
    """What stands before the last answer, and that answer; None where the text is no such dialogue."""
    marks = list(_SPEAKER.finditer(text))
    if len(marks) < 2 or text[: marks[0].start()].strip() or marks[0][1] != "Human" or marks[-1][1] != "Assistant":
        return None
    return text[marks[0].end() : marks[-1].start()].strip(), text[marks[-1].end() :].strip()


def _pair(instruction: str, chosen: str, rejected: str) -> dict[str, str] | str:
    if chosen.strip() == rejected.strip():
        return _SAME
    return {"instruction": instruction, "chosen": chosen, "rejected": rejected, "language": LANGUAGE}


ULTRAFEEDBACK = Corpus(
    "ultrafeedback",
    ultrafeedback_row,
    "OpenFedLLM section 4.5 (it prints 62k)",
    clients=5,
    samples=62_000,
    schema=PAIRED,
    rules=(_FEW, _SAME),
)
HH_RLHF = Corpus(
    "hh_rlhf",
    hh_row,
    "OpenFedLLM section 4.6 (it prints 161k)",
    clients=5,
    samples=161_000,
    schema=PAIRED,
    rules=(_NO_DIALOGUE, _PARTED, _NO_QUESTION, _NO_ANSWER, _SAME),
)
_PARTS = MappingProxyType({"all": "hh_rlhf", "harmless": "hh_rlhf_harmless", "helpful": "hh_rlhf_helpful"})


@reads(*ULTRAFEEDBACK.sources)
def build_ultrafeedback(
    profile: Profile,
    cut: Cut,
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    raw_limit: int | None = None,
    pair_seed: int = 0,
) -> Built:
    """UltraFeedback dealt at random; columns instruction, chosen, rejected, language.

    `pair_seed` draws the rejected answers; it is apart from the seed of the split, so that splits share their pairs.
    """
    located = locate("ultrafeedback", data_dir=data_dir, offline=offline, embedded=profile.embedded)
    corpus = replace(ULTRAFEEDBACK, row=partial(ultrafeedback_row, seed=pair_seed))
    return corpus.deal(located, profile, cut, raw_limit)


@reads(*_PARTS.values(), "hh_rlhf_test")
def build_hh_rlhf(
    profile: Profile,
    cut: Cut,
    *,
    data_dir: str | Path | None = None,
    offline: bool = False,
    raw_limit: int | None = None,
    part: str = "all",
) -> Built:
    """HH-RLHF dealt at random; columns instruction, chosen, rejected, language.

    `part`: all four folders, as the paper has it, or `harmless` or `helpful` alone (harmless-base, helpful-base; the
    embedded world has no such parts). A data folder that holds nothing but the test split is read, and
    `located.describe()` says so.
    """
    if part not in _PARTS:
        raise unknown("part of hh_rlhf", part, _PARTS)
    located = locate(_PARTS[part], data_dir=data_dir, offline=offline, embedded=profile.embedded)
    return HH_RLHF.deal(noted(located), profile, cut, raw_limit)


def noted(located: Located) -> Located:
    """The same place, with a note where its files are the test split of HH-RLHF."""
    if not is_test_split(located):
        return located
    return replace(located, note="this is the test split, since the data folder holds no train.jsonl.gz of it")


def is_test_split(located: Located) -> bool:
    """Whether training records would be read from files of the test split."""
    return located.kind == "local" and all(path.name.startswith("test") for path in located.files)
