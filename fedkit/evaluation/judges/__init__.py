"""Judges behind the OpenAI API, and any judge over many items; the offline judge is `judge.ReferenceJudge`."""

from __future__ import annotations

from collections.abc import Sequence

from .cache import JudgeCache
from .chat import JudgeSpec
from .choice import JudgeChoice
from .client import OpenAIJudge
from .items import JudgeItem, mt_bench_items, read_references, ref_item, vicuna_items, without_reference
from .judge import Judge
from .prompts import JudgePrompt, load_prompts
from .ratings import Rating, parse_rating
from .report import Judgement, JudgeReport

__all__ = [
    "JudgeCache",
    "JudgeChoice",
    "JudgeItem",
    "JudgePrompt",
    "JudgeReport",
    "JudgeSpec",
    "Judgement",
    "OpenAIJudge",
    "Rating",
    "load_prompts",
    "mt_bench_items",
    "parse_rating",
    "rate_all",
    "read_references",
    "ref_item",
    "vicuna_items",
    "without_reference",
]


def rate_all(judge: Judge, items: Sequence[JudgeItem]) -> list[float | None]:
    """One rating an item by any judge: many at a time where it can, else one by one on each item's last turn."""
    many = getattr(judge, "rate_all", None)
    if many is not None:
        return list(many(items))
    return [
        judge.rate(item.questions[-1], item.answers[-1], item.references[-1] if item.references else "")
        for item in items
    ]
