"""Questions with options in BIG-bench's schemas, and HHH: the helpful, honest, harmless answer of two, by likelihood.

HHH: the question stands in the template that the model was trained with, and the option whose tokens are the most
likely together is the model's, as BIG-bench counts it. Each token more makes an option less likely, so the shorter one
has the advantage; beside it stands the choice by the likelihood of a character (lm-eval's `acc_norm`), which has not.
OpenFedLLM's column (Table 6) is the harmless part alone, 58 pairs; it does not say how a model chose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...common.errors import FedkitError
from ...data.place import Located, hub_fault
from ...data.readers import read_document, read_file
from ...data.sources import RawSource, spellings
from .base import Item, Pool, spread
from .harness import chosen, close_ended

SUBSETS = ("helpful", "honest", "harmless", "other")
SOURCE = RawSource(
    "hhh",
    (*(f"hhh/{pattern}" for pattern in ("*/task.json", "*/*.parquet", "*.parquet")), *spellings("hhh", "test")),
    fields=MappingProxyType({}),  # several schemas
    hub="HuggingFaceH4/hhh_alignment",
    split="test",
    embedded=True,
    licence="Apache-2.0 (BIG-bench)",
    nested=("targets", "target_scores", "multiple_choice_targets"),
    description="HHH (Askell et al. 2021) as BIG-bench has it: which answer is helpful, honest, harmless",
)
# A dataset of the Hub with a script, which the library datasets no longer runs: its files are BIG-bench's own.
_HUB_FILES = tuple(f"data/{subset}/task.json" for subset in SUBSETS)
_HEAD, _TAIL = re.compile(r"^\s*Q:\s*"), re.compile(r"(\n\s*choice:.*|\n\s*A:\s*)$", re.DOTALL)


def examples(path: Path) -> list[Any]:
    """The examples of a task in BIG-bench's form; `FedkitError` where the file has no such list."""
    task = read_document(path)
    listed = task.get("examples") if isinstance(task, Mapping) else None
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise FedkitError(f"{path} holds no list 'examples' of records; fetch it anew")
    return listed


def choice_rows(source: RawSource, pool: Pool) -> list[Item]:
    """subset, question, options, answer (its number), of BIG-bench's files or of the schemas made from them."""
    located = pool.locate(source)
    raw = _raw(located)
    if not raw:
        raise FedkitError(f"{source.name} holds no question ({located.where}); fetch its files anew")
    rows = [_row(one) for one in raw]
    bad = [number for number, one in enumerate(rows, 1) if one is None]
    if bad:
        raise FedkitError(
            f"record {bad[0]} of {source.name} has no question with one right answer among its options ({len(bad)} of"
            f" {len(rows)} records have none); fetch the file anew"
        )
    return [one for one in rows if one is not None]


def _raw(located: Located) -> list[Any]:
    files = located.opened()
    if located.kind == "hub" and located.source is SOURCE:
        located.log.add(located.origin)
        files = tuple(_fetched(SOURCE.hub, path) for path in _HUB_FILES)
    return [row for path in files for row in _file(path, located.source)] if files else list(located.records())


def _fetched(repository: str, path: str) -> Path:
    """A file of a Hub dataset, in the cache of the Hub's library."""
    try:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(repository, path, repo_type="dataset"))
    except Exception as error:  # httpx's, huggingface_hub's and OSError
        raise hub_fault(SOURCE, error) from error


def _file(path: Path, source: RawSource) -> list[Any]:
    """Records of one file; the folder of a BIG-bench task or of a Hub configuration names the subset."""
    subset = {"subset": path.parent.name} if path.parent.name in SUBSETS else {}
    rows = examples(path) if path.name == "task.json" else read_file(path, source.json_cells)
    return [{**subset, **row} if isinstance(row, Mapping) else row for row in rows]


def _row(raw: Any) -> Item | None:
    """One record of BIG-bench (input, target_scores), of its form by SeqIO (inputs, multiple_choice_targets), or of
    HHH's on the Hub (input, targets: choices and labels)."""
    raw = raw if isinstance(raw, Mapping) else {}
    question, targets = raw.get("inputs", raw.get("input")), raw.get("targets")
    if isinstance(raw.get("target_scores"), Mapping):
        scores = {text: score for text, score in raw["target_scores"].items() if score is not None}
        options, right = list(scores), [score == 1 for score in scores.values()]
    elif isinstance(targets, Mapping):
        options, right = list(targets.get("choices") or ()), [label == 1 for label in targets.get("labels") or ()]
    else:
        options = list(raw.get("multiple_choice_targets") or ())
        right = [option == targets[0] for option in options] if targets else []
    if not isinstance(question, str) or len(options) < 2 or len(right) != len(options) or sum(right) != 1:
        return None
    if not all(isinstance(option, str) and option.strip() for option in options):
        return None
    question = _TAIL.sub("", _HEAD.sub("", question)).strip()  # SeqIO's form repeats the options below the question
    return {
        "subset": str(raw.get("subset") or ""),
        "question": question,
        "options": options,
        "answer": right.index(True),
    }


def guessing(some: list[Item]) -> float:
    """One of so many options."""
    return sum(1 / len(item["options"]) for item in some) / len(some)


def shorter(some: Sequence[Item]) -> str:
    """What the shortest option alone would score, in words: a choice by the likelihood of the whole leans to it."""
    hits = 0.0
    for item in some:
        lengths = [len(option) for option in item["options"]]
        first = min(lengths)
        hits += (lengths[item["answer"]] == first) / lengths.count(first)
    return f"options weighed as a whole, as in BIG-bench: the shorter has the advantage ({hits / len(some):.0%} alone)"


HHH = close_ended(
    "hhh",
    "HHH",
    (SOURCE,),
    lambda pool, dataset: spread(choice_rows(SOURCE, pool), pool.limit, "subset"),
    chosen(doc_to_text="{{prompt}}", doc_to_choice="{{options}}", doc_to_target="answer", target_delimiter=""),
    framed="question",
    group="subset",
    chance=guessing,
    by_length=shorter,
)
BENCHMARKS = (HHH,)
