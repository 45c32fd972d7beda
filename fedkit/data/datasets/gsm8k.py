"""GSM8K over iid clients (OpenFedLLM section 4.1: one dataset, split at random over its clients)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..rules import text_fault
from ..sources import RawSource, spellings
from .base import Dealt, Form, Note, Row, paper
from .story import CITE_OPENFEDLLM, Part, Story, dealt

_GSM8K: dict[str, Any] = dict(
    fields=MappingProxyType({"question": str, "answer": str}),
    hub="openai/gsm8k",
    hub_config="main",
    embedded=True,
    licence="MIT",
)
TRAIN = RawSource(
    "gsm8k",
    (*spellings("gsm8k", "train"), "gsm8k/main/train*.parquet", "gsm8k/train*.parquet"),
    description="GSM8K (Cobbe et al. 2021): school word problems with worked answers, 7,473 for training",
    **_GSM8K,
)
TEST = RawSource(
    "gsm8k_test",
    (*spellings("gsm8k", "test"), "gsm8k/main/test*.parquet", "gsm8k/test*.parquet"),
    split="test",
    description="GSM8K (Cobbe et al. 2021), 1,319 problems for testing",
    **_GSM8K,
)


def problem(raw: Mapping[str, Any], note: Note) -> Row | str:
    """A problem as instruction (question), response (worked answer) and language, or the rule that it breaks."""
    why = text_fault(raw, TRAIN.fields)
    return why or {"instruction": raw["question"], "response": raw["answer"], "language": "en"}


GSM8K = Dealt(
    name="gsm8k",
    form=Form(TRAIN, problem),
    test=TEST,
    paper=paper(None, 7_473, "Cobbe et al. 2021 (training set); the split is ours"),
    story=Story(
        title="GSM8K",
        paper="Cobbe et al. 2021; the split follows OpenFedLLM, section 4.1, the choice of data is the kit's.",
        what="7,473 school problems in words with answers worked out step by step; 1,319 more for testing.",
        hub=TRAIN.hub,
        version="The Hub's current revision, configuration `main`, split `train`; no revision is pinned.",
        licence="mit",
        parts=(Part("problems and answers", "MIT", "use, change and pass on with the notice"),),
        clients=dealt("none of this set; the kit takes 20, as for OpenFedLLM's general set"),
        harms="""Written by crowd workers and checked; a small share of answers is wrong. Names and sums of money
reflect the United States.""",
        privacy="Invented people only.",
        citation="""@misc{cobbe2021training,
  title = {Training Verifiers to Solve Math Word Problems},
  author = {Cobbe, Karl and Kosaraju, Vineet and Bavarian, Mohammad and others},
  howpublished = {arXiv:2110.14168},
  year = {2021}
}"""
        + CITE_OPENFEDLLM,
    ),
)
DATASETS = (GSM8K,)
