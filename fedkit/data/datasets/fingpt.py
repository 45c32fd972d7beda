"""FinGPT's financial sentiment (OpenFedLLM section 4.3), and TFNS, one of the four sets that the paper tests it on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..origins import TESTS
from ..rules import text_fault
from ..sources import RawSource, spellings, tables
from .alpaca import answered, test_of
from .base import Dealt, Form, Note, Row, paper
from .story import CITE_OPENFEDLLM, OPENFEDLLM, Part, Story, dealt

if TYPE_CHECKING:
    from ..place import Located, Place

SOURCE = RawSource(
    "fingpt",
    tables("fingpt", "train", "fingpt-sentiment-train/data/train*.parquet"),
    fields=MappingProxyType({"instruction": str, "input": str, "output": str}),
    hub="FinGPT/fingpt-sentiment-train",
    embedded=True,
    licence="none stated on its card; its sources (FPB, FiQA, TFNS, NWGI) have terms of their own",
    description="FinGPT sentiment (Yang et al. 2023): 76,772 financial headlines and posts with their sentiment",
)
TFNS = RawSource(
    "tfns",
    ("tfns/sent_valid.csv", *spellings("tfns", "validation"), "tfns/*.parquet"),
    fields=MappingProxyType({"text": str}),  # and `label`: 0 bearish, 1 bullish, 2 neutral; text in a CSV file
    hub="zeroshot/twitter-financial-news-sentiment",
    split="validation",
    licence="MIT",
    description="Twitter financial news (TFNS), 2,388 posts with their sentiment: evaluation, never training",
)

_NO_LABEL = "unknown label"
_SENTIMENT: Mapping[str, str] = MappingProxyType({"0": "negative", "1": "positive", "2": "neutral"})
_ASK = "What is the sentiment of this tweet? Please choose an answer from {negative/neutral/positive}."


def headline_row(raw: Mapping[str, Any], note: Note) -> Row | str:
    """The question about a headline, the headline, its sentiment; all three are needed."""
    return text_fault(raw, SOURCE.fields) or answered(f"{raw['instruction']} {raw['input']}", raw["output"])


def tweet_row(raw: Mapping[str, Any], note: Note) -> Row | str:
    """TFNS (OpenFedLLM Table 4) in the form of FinGPT's records: labels 0, 1, 2 are negative, positive, neutral."""
    label = _SENTIMENT.get(str(raw.get("label")))  # text in a CSV file, a number on the Hub
    return text_fault(raw, TFNS.fields) or (answered(f"{_ASK} {raw['text']}", label) if label else _NO_LABEL)


TWEETS = Form(TFNS, tweet_row, (_NO_LABEL,))


class FinGPT(Dealt):
    """Dealt headlines whose test set, where it is not embedded and no file of your own, is TFNS."""

    def _sources(self) -> tuple[RawSource, ...]:
        return (*super()._sources(), TFNS)

    def test_records(self, place: Place) -> tuple[Located, list[Row]]:
        """Headlines of the embedded world, where FinGPT is embedded, or of fingpt/test.*; else TFNS."""
        if self.locate(place).kind == "embedded" or (self.test and place.files(self.test)):
            return super().test_records(place)
        return self.tweets(place)

    def tweets(self, place: Place) -> tuple[Located, list[Row]]:
        """TFNS; `FedkitError` where it is neither in the data folder nor to be fetched: it is never embedded."""
        located = place.real().locate(TFNS).as_part(TESTS)
        return located, self.read(located, form=TWEETS)[0].to_pylist()


FINGPT = FinGPT(
    name="fingpt",
    form=Form(SOURCE, headline_row),
    test=test_of(SOURCE),
    paper=paper(50, 10_000, "OpenFedLLM section 4.3"),
    story=Story(
        title="FinGPT sentiment",
        paper=f"{OPENFEDLLM}, section 4.3 (financial sentiment).",
        what="""76,772 financial headlines and posts, each with a request to choose its sentiment and the chosen word as
answer. OpenFedLLM's finance federation: 10,000 of them.""",
        hub=SOURCE.hub,
        licence="other",
        parts=(
            Part("the collection", "not stated on its card", "ask before use"),
            Part("FPB, FiQA, TFNS and NWGI", "various", "terms of their own; TFNS is MIT"),
        ),
        tasks=("text-classification", "text-generation"),
        clients=dealt("50"),
        harms="""Sentiments are those of a few annotators or of rules, and of their time. Nothing here is advice on
money.""",
        privacy="Posts were public and may name people and companies; authors' names are not part of the records.",
        citation="""@misc{yang2023fingpt,
  title = {FinGPT: Open-Source Financial Large Language Models},
  author = {Yang, Hongyang and Liu, Xiao-Yang and Wang, Christina Dan},
  howpublished = {arXiv:2306.06031},
  year = {2023}
}"""
        + CITE_OPENFEDLLM,
    ),
)
DATASETS = (FINGPT,)
