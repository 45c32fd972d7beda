"""Financial sentiment as label generation (OpenFedLLM, section 4.3, Table 4): FPB, FiQA-SA, TFNS, NWGI.

The model writes the label; what it wrote is read as FinGPT's benchmarks read it, and gives accuracy and F1. F1 is
weighted by class, which is how Table 4's F1 can lie so near to its accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import FedkitError
from ..prompts import get_template
from .base import Benchmark, Item, Place, Score, Subject, records, share, spread
from .close_ended import cut_note
from .harness import load_task, run_tasks

if TYPE_CHECKING:
    from ..judge import Judge

LABELS = ("negative", "neutral", "positive")
_ASK = "What is the sentiment of this {what}? Please choose an answer from {{negative/neutral/positive}}."
_NEUTRAL = 0.1  # FiQA-SA: scores of at most this size are neutral
_BY_NUMBER = {"fpb": LABELS, "tfns_benchmark": ("negative", "positive", "neutral")}


def read_label(said: str) -> str:
    """'positive' or 'negative' if the text holds it (positive first), else 'neutral', as FinGPT's benchmarks do."""
    text = said.lower()
    return "positive" if "positive" in text else "negative" if "negative" in text else "neutral"


def _row(name: str, raw: Mapping[str, Any]) -> tuple[str, str] | None:
    """Text and label of a record in the schema of the embedded world or of upstream; None for neither."""
    text = raw.get("text") or raw.get("sentence") or raw.get("news")
    label = raw.get("label")
    if not isinstance(text, str) or not text.strip():
        return None
    if "sentiment_score" in raw or "score" in raw:
        value = float(raw.get("sentiment_score", raw.get("score")))
        label = "neutral" if abs(value) <= _NEUTRAL else "positive" if value > 0 else "negative"
    elif str(label).isdigit() and name in _BY_NUMBER and int(label) < len(LABELS):
        label = _BY_NUMBER[name][int(label)]
    elif isinstance(label, str) and label.strip():
        label = read_label(label)  # NWGI grades in seven steps, such as 'mildly positive'
    else:
        return None
    return text, label


def items(name: str, what: str, place: Place, dataset: str) -> list[Item]:
    """instruction and label; `FedkitError` names a record that has no text or label."""
    found = []
    for number, raw in enumerate(records(name, place), 1):
        row = _row(name, raw) if isinstance(raw, Mapping) else None
        if row is None:
            raise FedkitError(f"record {number} of {name} has no text with a sentiment label; fetch the file anew")
        found.append({"instruction": f"{_ASK.format(what=what)} {row[0]}", "label": row[1]})
    return spread(found, place.limit, lambda item: item["label"])


def answer(name: str, subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    form = get_template(subject.template)
    docs = [{"prompt": form.prompt(item["instruction"]), "label": item["label"]} for item in asked]
    return run_tasks(subject, [(load_task("sentiment", task=name), {"test": docs})])[name]


def score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`acc`, `f1` (weighted by class), and `named`: the share of answers that name a label at all."""
    from sklearn.metrics import f1_score

    truth, said = [item["label"] for item in asked], [read_label(answer["said"]) for answer in answers]
    most = max(truth.count(label) for label in LABELS) / len(truth)
    named = [any(label in answer["said"].lower() for label in LABELS) for answer in answers]
    note = "; ".join(filter(None, (cut_note(answers), f"{named.count(False)} answers name no label")))
    f1 = float(f1_score(truth, said, labels=list(LABELS), average="weighted", zero_division=0.0))
    return {
        "acc": share((a == b for a, b in zip(truth, said, strict=True)), note, chance=most),
        "f1": Score(f1, len(truth), note=note),
        "named": share(named),
    }


def _benchmark(name: str, title: str, source: str, what: str) -> Benchmark:
    return Benchmark(name, title, (source,), partial(items, source, what), partial(answer, name), score, judged=False)


FINANCE: Mapping[str, Benchmark] = MappingProxyType(
    {
        "fpb": _benchmark("fpb", "FPB", "fpb", "news"),
        "fiqa_sa": _benchmark("fiqa_sa", "FiQA-SA", "fiqa_sa", "tweet"),
        "tfns": _benchmark("tfns", "TFNS", "tfns_benchmark", "tweet"),
        "nwgi": _benchmark("nwgi", "NWGI", "nwgi", "news"),
    }
)
