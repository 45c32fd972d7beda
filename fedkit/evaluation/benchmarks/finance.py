"""Financial sentiment as label generation (OpenFedLLM, section 4.3, Table 4): FPB, FiQA-SA, TFNS, NWGI.

Items, instructions and the reading of answers are those of OpenFedLLM's scripts, which are FinGPT's. The prompt is the
template of training, with the text after the instruction, and answers are greedy. F1 is weighted by class, which is
how Table 4's F1 can lie so near to its accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from ...common.errors import FedkitError
from ...data.datasets.fingpt import TFNS
from ...data.sources import RawSource, spellings
from .base import Benchmark, Item, Pool, Score, constant, cut_note, notes, part_note, sample, share
from .finance_files import PUBLISHERS, joined
from .harness import close_ended, written

FPB = RawSource(
    "fpb",
    (
        "fpb/Sentences_50Agree.txt",
        "fpb/all-data.csv",  # as Kaggle has it
        *spellings("fpb", "test"),
        *spellings("fpb", "train"),
        "fpb/*.parquet",
    ),
    fields=MappingProxyType({}),
    # A dataset with a script, which datasets 4 and later no longer runs: give the file in its archive.
    hub="takala/financial_phrasebank",
    hub_config="sentences_50agree",
    embedded=True,
    licence="CC BY-NC-SA 3.0",
    description="Financial PhraseBank (Malo et al. 2014): 4,846 sentences of news; a quarter is the test",
)
FIQA_SA = RawSource(
    "fiqa_sa",
    tuple(f"fiqa_sa/{end}" for end in ("data/*.parquet", "*.parquet", "*.jsonl*", "*.json", "*.json.gz", "*.csv*")),
    fields=MappingProxyType({}),
    hub="pauri32/fiqa-2018",
    split="train+validation+test",
    embedded=True,
    licence="MIT, by the Hub copy's card",
    description="FiQA-SA (Maia et al. 2018): headlines and posts with a score from -1 to 1; 22.6 % are the test",
)
NWGI = RawSource(
    "nwgi",
    (*spellings("nwgi", "test"), "nwgi/*.parquet"),
    fields=MappingProxyType({}),
    hub="oliverwang15/news_with_gpt_instructions",
    split="test",
    embedded=True,
    licence="none stated",
    description="NWGI (Yang et al. 2023): news with sentiment labels made by a GPT model",
)
# TFNS as a benchmark has a form in the embedded world, where FinGPT's own test set does not read it.
TFNS_BENCHMARK = replace(TFNS, name="tfns_benchmark", embedded=True)

# The label is written by the model; accuracy and F1 are taken from all that it wrote, as in OpenFedLLM's scripts,
# which let it write on to 512 tokens with the prompt.
TASK = written(
    doc_to_text="{{prompt}}",
    doc_to_target="{{label}}",
    target_delimiter="",
    until=[],
    most=64,
    metric={"ignore_case": True, "ignore_punctuation": True},
)
LABELS = ("negative", "neutral", "positive")
_ASK = "What is the sentiment of this {what}? Please choose an answer from {{negative/neutral/positive}}."
_ASK_FPB = "What is the sentiment of this {what}? Please choose only one answer from {{/negative/neutral/positive}}."
_NEUTRAL = 0.1  # FiQA-SA: from -0.1 to below 0.1
_SEED, _DRAWS = 42, 1000  # OpenFedLLM's seed of its splits; draws of the bootstrap

# NWGI grades in seven steps; OpenFedLLM counts the mild ones as neutral.
GOLD: Mapping[str, str] = MappingProxyType(
    {label: label for label in LABELS}
    | {f"{degree} {label}": label for degree in ("strong", "moderately") for label in ("negative", "positive")}
    | {"mildly negative": "neutral", "mildly positive": "neutral"}
)


def read_label(said: str, first: str = "positive") -> str:
    """The label that an answer holds, `first` looked for first and its opposite next, else 'neutral'."""
    text = said.lower()
    order = (first, "negative" if first == "positive" else "positive")
    return next((label for label in order if label in text), "neutral")


def _named(raw: Mapping[str, Any]) -> str | None:
    return GOLD.get(str(raw.get("label")).strip().lower())


def _numbered(labels: Sequence[str], raw: Mapping[str, Any]) -> str | None:
    number = str(raw.get("label")).strip()
    return labels[int(number)] if number in {str(i) for i in range(len(labels))} else _named(raw)


def _graded(raw: Mapping[str, Any]) -> str | None:
    """By the score from -1 to 1 where there is one, or else in words."""
    if "sentiment_score" not in raw and "score" not in raw:
        return _named(raw)
    try:
        value = float(raw.get("sentiment_score", raw.get("score")))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    if not -1 <= value <= 1:  # also where it is not a number
        return None
    return "negative" if value < -_NEUTRAL else "neutral" if value < _NEUTRAL else "positive"


def _news(raw: Mapping[str, Any]) -> str:
    return "news"


def _tweet(raw: Mapping[str, Any]) -> str:
    return "tweet"


def _by_format(raw: Mapping[str, Any]) -> str:
    return "tweet" if raw.get("format") == "post" else "news"


@dataclass(frozen=True)
class Form:
    """One of the four: where its records are, how they are asked and labelled, and which of them are the test."""

    source: RawSource
    gold: Callable[[Mapping[str, Any]], str | None] = _named
    what: Callable[[Mapping[str, Any]], str] = _news
    ask: str = _ASK
    first: str = "positive"  # what an answer is searched for first
    split: float | None = None  # the share that OpenFedLLM draws from all records; None: the file is the test


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "fpb": Form(FPB, partial(_numbered, LABELS), _news, _ASK_FPB, "negative", 0.25),
        "fiqa_sa": Form(FIQA_SA, _graded, _by_format, split=0.226),
        "tfns": Form(TFNS_BENCHMARK, partial(_numbered, ("negative", "positive", "neutral")), _tweet),
        "nwgi": Form(NWGI),
    }
)


def row(form: Form, raw: Any) -> tuple[str, str] | None:
    """Text and label of a record in the schema of upstream or of the embedded world; None for neither."""
    if not isinstance(raw, Mapping):
        return None
    text, label = raw.get("text") or raw.get("sentence") or raw.get("news"), form.gold(raw)
    return (text, label) if isinstance(text, str) and text.strip() and label else None


def items(name: str, pool: Pool, dataset: str) -> list[Item]:
    """instruction and label; `FedkitError` counts the records that have no text or label."""
    form = FORMS[name]
    raw, note = _records(form, pool)
    rows = [row(form, one) for one in raw]
    bad = [number for number, one in enumerate(rows, 1) if one is None]
    if bad:
        raise FedkitError(
            f"record {bad[0]} of {form.source.name} has no text with a sentiment label ({len(bad)} of {len(rows)} "
            "records have none); fetch the file anew"
        )
    both = [
        {
            "instruction": f"{form.ask.format(what=form.what(one))} {text_and_label[0]}",
            "label": text_and_label[1],
            **note,
        }
        for one, text_and_label in zip(raw, rows, strict=True)
        if text_and_label
    ]
    return sample(both, pool.limit, name)


def _records(form: Form, pool: Pool) -> tuple[list[Any], dict[str, str]]:
    """The test records, and a note where they are another test than OpenFedLLM's."""
    located = pool.locate(form.source)
    if form.split is None or located.kind == "embedded":
        return list(located.records()), {}
    if located.files and all("test" in path.name.lower() for path in located.files):
        return list(located.records()), {"note": "the file's own test items, not those that OpenFedLLM draws"}
    raw = joined(located)
    own = any(isinstance(one, Mapping) and one.get("order") == PUBLISHERS for one in raw)
    note = {"note": "drawn from the publisher's order, which is not the one that OpenFedLLM draws from"} if own else {}
    return [raw[i] for i in drawn(len(raw), form.split)], note


def drawn(count: int, share: float) -> list[int]:
    """Which of `count` records OpenFedLLM tests on: `train_test_split` of the library datasets with its seed 42."""
    from datasets import Dataset

    return Dataset.from_dict({"i": range(count)}).train_test_split(share, seed=_SEED)["test"]["i"][:]


def score(name: str, items: Sequence[Item], answers: Sequence[Any]) -> dict[str, Score]:
    """`acc`, `f1` (weighted by class, its interval by a bootstrap over items), and `named`: answers with any label.

    Chance is the most frequent label for all.
    """
    truth, said = [item["label"] for item in items], [read_label(a["said"], FORMS[name].first) for a in answers]
    named = [any(label in answer["said"].lower() for label in LABELS) for answer in answers]
    own = items[0].get("note", "") if items else ""
    note = notes(part_note(items), own, cut_note(answers), f"{named.count(False)} answers name no label")
    seen = counts(truth, said)
    low, high = bootstrap_f1(seen)
    best = counts(truth, [max(LABELS, key=truth.count)] * len(truth))
    return {
        "acc": share((a == b for a, b in zip(truth, said, strict=True)), note, constant(truth)),
        "f1": Score(float(weighted_f1(seen)), len(truth), 0, low, high, note=note, chance=float(weighted_f1(best))),
        "named": share(named, note),
    }


def counts(truth: Sequence[str], said: Sequence[str]) -> np.ndarray:
    """How often each label was given for each: (3, 3), rows the truth."""
    table = np.zeros((len(LABELS), len(LABELS)), dtype=np.int64)
    np.add.at(table, ([LABELS.index(x) for x in truth], [LABELS.index(x) for x in said]), 1)
    return table


def weighted_f1(seen: np.ndarray) -> np.ndarray:
    """F1 of each class weighted by its share, from counts (..., 3, 3): scikit-learn's, for many tables at once."""
    hits, true, given = np.diagonal(seen, axis1=-2, axis2=-1), seen.sum(-1), seen.sum(-2)
    either = np.maximum(true + given, 1)  # a class that is neither true nor given weighs nothing
    return (true * 2 * hits / either).sum(-1) / np.maximum(true.sum(-1), 1)


def bootstrap_f1(seen: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of `weighted_f1` when the items are drawn anew with replacement."""
    from ...common.seeds import generator

    total = int(seen.sum())
    draws = generator(0, "bootstrap f1").multinomial(total, seen.ravel() / total, size=_DRAWS)
    low, high = np.quantile(weighted_f1(draws.reshape(-1, *seen.shape)), (0.025, 0.975))
    return float(low), float(high)


def _benchmark(name: str, title: str) -> Benchmark:
    return close_ended(
        name,
        title,
        (FORMS[name].source,),
        partial(items, name),
        TASK,
        framed="instruction",
        score=partial(score, name),
    )


BENCHMARKS = (
    _benchmark("fpb", "FPB"),
    _benchmark("fiqa_sa", "FiQA-SA"),
    _benchmark("tfns", "TFNS"),
    _benchmark("nwgi", "NWGI"),
)
