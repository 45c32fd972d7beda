"""UltraFeedback (OpenFedLLM section 4.5): the best of four scored completions against one of the others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...common.seeds import generator
from ..rules import fault, text_fault
from ..sources import RawSource, tables
from .alpaca import test_of
from .base import PAIRED, Dealt, Form, Note, Row, paper
from .built import Built, Cut
from .story import BROKEN, CITE_OPENFEDLLM, LEFT_OVER, OPENFEDLLM, Part, Story, dealt

if TYPE_CHECKING:
    from ..place import Place

SOURCE = RawSource(
    "ultrafeedback",
    tables("ultrafeedback", "train", "UltraFeedback/*.jsonl", "ultrafeedback/*.jsonl"),
    fields=MappingProxyType({"instruction": str, "completions": list}),
    hub="openbmb/UltraFeedback",
    embedded=True,
    licence="MIT",
    description="UltraFeedback (Cui et al. 2023): some 64,000 instructions, each with 4 answers scored by GPT-4",
)
_FEW, SAME = "fewer than two scored completions", "chosen and rejected are the same"


def ultrafeedback_row(raw: Mapping[str, Any], note: Note, seed: int = 0) -> Row | str:
    """The completion with the highest overall score as chosen, one of the others at random as rejected; or the reason.

    Zephyr's treatment, which the paper follows. Of several best ones the first is chosen, and a rejected one may have
    the same score. Completions without a text or a finite score do not count. The draw depends on `seed` and on the
    instruction alone.
    """
    scored = [pair for each in raw["completions"] if (pair := _scored(each)) is not None]
    why = _FEW if len(scored) < 2 else text_fault(raw, SOURCE.fields)
    if why is not None:
        return why
    best = max(range(len(scored)), key=lambda i: scored[i][0])
    others = [text for i, (_, text) in enumerate(scored) if i != best]
    rng = generator(seed, "builders/ultrafeedback", client=raw["instruction"])
    return paired(raw["instruction"], scored[best][1], others[int(rng.integers(len(others)))])


def _scored(completion: Any) -> tuple[float, str] | None:
    """Score and text of a completion; None where one of them cannot be used."""
    if fault(completion, {"response": str}) is not None:
        return None
    score = completion.get("overall_score")
    if isinstance(score, bool) or not isinstance(score, int | float):
        return None
    # An int of hundreds of digits is no score either, and cannot be turned into a float.
    return (float(score), completion["response"]) if abs(score) < 1e6 and math.isfinite(score) else None


def paired(instruction: str, chosen: str, rejected: str) -> Row | str:
    """An English pair, or the rule that its answers are not the same."""
    if chosen.strip() == rejected.strip():
        return SAME
    return {"instruction": instruction, "chosen": chosen, "rejected": rejected, "language": "en"}


class UltraFeedback(Dealt):
    """Dealt at random. Its option `pair_seed` draws the rejected answers, apart from the split: splits share pairs."""

    def _build(self, place: Place, cut: Cut, **options: Any) -> Built:
        row = partial(ultrafeedback_row, seed=options["pair_seed"])
        return self._deal(self.locate(place), cut, replace(self.form, row=row))


ULTRAFEEDBACK = UltraFeedback(
    name="ultrafeedback",
    form=Form(SOURCE, ultrafeedback_row, (_FEW, SAME)),
    test=test_of(SOURCE),
    schema=PAIRED,
    options=MappingProxyType({"pair_seed": 0}),
    paper=paper(5, 62_000, "OpenFedLLM section 4.5 (it prints 62k)"),
    story=Story(
        title="UltraFeedback",
        paper=f"{OPENFEDLLM}, section 4.5 (value alignment for helpfulness).",
        what="""Some 64,000 instructions, each with four answers by different models and scores by GPT-4. A preference
pair is the answer with the best overall score and one of the other three at random. For federated preference alignment
towards helpfulness.""",
        hub=SOURCE.hub,
        licence="mit",
        parts=(
            Part("the collection", "MIT", "use, change and pass on with the notice"),
            Part("instructions of its sources, answers of its models", "various", "terms of their own"),
        ),
        tasks=("text-generation", "reinforcement-learning"),
        clients=dealt("5"),
        dropped=f"{BROKEN}. {LEFT_OVER} An instruction whose answers cannot be told apart by score, or that has fewer"
        " than two usable ones, is dropped by a rule of its own.",
        harms="""Scores are one model's taste; it prefers long answers and answers like its own. Instructions include
some that ask for harm.""",
        privacy="Collected from public instruction sets; texts that people wrote online are among them.",
        citation="""@misc{cui2023ultrafeedback,
  title = {UltraFeedback: Boosting Language Models with High-quality Feedback},
  author = {Cui, Ganqu and Yuan, Lifan and Ding, Ning and others},
  howpublished = {arXiv:2310.01377},
  year = {2023}
}"""
        + CITE_OPENFEDLLM,
    ),
)
DATASETS = (ULTRAFEEDBACK,)
