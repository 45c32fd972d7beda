"""Financial sentiment as label generation (OpenFedLLM, section 4.3, Table 4): FPB, FiQA-SA, TFNS, NWGI.

Items, instructions and the reading of answers are those of OpenFedLLM's scripts, which are FinGPT's. The prompt is the
template of training, with the text after the instruction, and answers are greedy. F1 is weighted by class, which is
how Table 4's F1 can lie so near to its accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ...common.errors import FedkitError
from ...training.prompts import get_template
from .base import Benchmark, Item, Place, Score, Subject, constant, cut_note, notes, part_note, sample, share
from .harness import load_task, run_tasks

if TYPE_CHECKING:
    from ...data.sources import Located
    from ..judges.judge import Judge

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

    source: str
    gold: Callable[[Mapping[str, Any]], str | None] = _named
    what: Callable[[Mapping[str, Any]], str] = _news
    ask: str = _ASK
    first: str = "positive"  # what an answer is searched for first
    split: float | None = None  # the share that OpenFedLLM draws from all records; None: the file is the test


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "fpb": Form("fpb", partial(_numbered, LABELS), _news, _ASK_FPB, "negative", 0.25),
        "fiqa_sa": Form("fiqa_sa", _graded, _by_format, split=0.226),
        "tfns": Form("tfns_benchmark", partial(_numbered, ("negative", "positive", "neutral")), _tweet),
        "nwgi": Form("nwgi"),
    }
)


def row(form: Form, raw: Any) -> tuple[str, str] | None:
    """Text and label of a record in the schema of upstream or of the embedded world; None for neither."""
    if not isinstance(raw, Mapping):
        return None
    text, label = raw.get("text") or raw.get("sentence") or raw.get("news"), form.gold(raw)
    return (text, label) if isinstance(text, str) and text.strip() and label else None


def items(name: str, place: Place, dataset: str) -> list[Item]:
    """instruction and label; `FedkitError` counts the records that have no text or label."""
    form = FORMS[name]
    raw, note = _records(form, place)
    rows = [row(form, one) for one in raw]
    bad = [number for number, one in enumerate(rows, 1) if one is None]
    if bad:
        raise FedkitError(
            f"record {bad[0]} of {form.source} has no text with a sentiment label ({len(bad)} of {len(rows)} records"
            " have none); fetch the file anew"
        )
    found = [
        {"instruction": f"{form.ask.format(what=form.what(one))} {both[0]}", "label": both[1], **note}
        for one, both in zip(raw, rows, strict=True)
        if both
    ]
    return sample(found, place.limit, name)


def _records(form: Form, place: Place) -> tuple[list[Any], dict[str, str]]:
    """The test records, and a note where they are another test than OpenFedLLM's."""
    from ...data.sources import locate, raw_records

    located = locate(form.source, data_dir=place.data_dir, offline=place.offline, embedded=place.profile.embedded)
    if form.split is None or located.kind == "embedded":
        return list(raw_records(located)), {}
    if located.files and all("test" in path.name.lower() for path in located.files):
        return list(raw_records(located)), {"note": "the file's own test items, not those that OpenFedLLM draws"}
    raw = _joined(located)
    return [raw[i] for i in drawn(len(raw), form.split)], {}


def drawn(count: int, share: float) -> list[int]:
    """Which of `count` records OpenFedLLM tests on: `train_test_split` of the library datasets with its seed 42."""
    from datasets import Dataset

    return Dataset.from_dict({"i": range(count)}).train_test_split(share, seed=_SEED)["test"]["i"][:]


def _joined(located: Located) -> list[Any]:
    """All records, files in the order train, validation, test, as OpenFedLLM joins the splits."""
    from ...data.readers import read_file
    from ...data.sources import raw_records

    if not located.files:
        return list(raw_records(located))
    order = ("train", "val", "test")
    rank = {path: next((i for i, part in enumerate(order) if part in path.name.lower()), 0) for path in located.files}
    found: list[Any] = []
    for path in sorted(located.files, key=lambda path: (rank[path], path)):
        found += _phrase_bank(path) if path.suffix == ".txt" else read_file(path)
    return found


def _phrase_bank(path: Path) -> list[dict[str, str]]:
    """The publisher's own form of FPB, `sentence@label` a line in Latin-1."""
    try:
        lines = path.read_text(encoding="iso-8859-1").splitlines()
    except OSError as error:
        raise FedkitError(f"{path} cannot be read ({error}); fetch it anew") from error
    parts = [line.rpartition("@") for line in lines if line.strip()]
    return [{"sentence": text, "label": label} for text, _, label in parts]


def answer(name: str, subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    form = get_template(subject.template)
    docs = [{"prompt": form.prompt(item["instruction"]), "label": item["label"]} for item in asked]
    return run_tasks(subject, [(load_task("sentiment", task=name), {"test": docs})])[name]


def score(name: str, asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`acc`, `f1` (weighted by class, its interval by a bootstrap over items), and `named`: answers with any label.

    Chance is the most frequent label for all.
    """
    truth, said = [item["label"] for item in asked], [read_label(a["said"], FORMS[name].first) for a in answers]
    named = [any(label in answer["said"].lower() for label in LABELS) for answer in answers]
    own = asked[0].get("note", "") if asked else ""
    note = notes(part_note(asked), own, cut_note(answers), f"{named.count(False)} answers name no label")
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
    found = np.zeros((len(LABELS), len(LABELS)), dtype=np.int64)
    np.add.at(found, ([LABELS.index(x) for x in truth], [LABELS.index(x) for x in said]), 1)
    return found


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
    sources = (FORMS[name].source,)
    return Benchmark(
        name, title, sources, partial(items, name), partial(answer, name), partial(score, name), judged=False
    )


FINANCE: Mapping[str, Benchmark] = MappingProxyType(
    {
        "fpb": _benchmark("fpb", "FPB"),
        "fiqa_sa": _benchmark("fiqa_sa", "FiQA-SA"),
        "tfns": _benchmark("tfns", "TFNS"),
        "nwgi": _benchmark("nwgi", "NWGI"),
    }
)
