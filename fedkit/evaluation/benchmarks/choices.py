"""Questions with options in BIG-bench's schemas, and HHH: the helpful, honest, harmless answer of two, by likelihood.

HHH: the question stands in the template that the model was trained with, and the option whose tokens are the most
likely together is the model's. OpenFedLLM's column (Table 6) is the harmless part alone, 58 pairs; it does not say how
a model chose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...common.errors import FedkitError
from ...training.prompts import get_template
from .base import Benchmark, Item, Place, Score, Subject, cut_note, notes, part_note, share, spread
from .close_ended import grouped
from .harness import load_task, run_tasks

if TYPE_CHECKING:
    from ...data.sources import Located
    from ..judges.judge import Judge

SUBSETS = ("helpful", "honest", "harmless", "other")
# A dataset of the Hub with a script, which the library datasets no longer runs: its files are BIG-bench's own.
_HUB_FILES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"hhh": tuple(f"data/{subset}/task.json" for subset in SUBSETS)}
)
_HEAD, _TAIL = re.compile(r"^\s*Q:\s*"), re.compile(r"(\n\s*choice:.*|\n\s*A:\s*)$", re.DOTALL)


def choice_rows(name: str, place: Place) -> list[Item]:
    """subset, question, options, answer (its number), of BIG-bench's files or of the schemas made from them."""
    from ...data.sources import locate

    located = locate(name, data_dir=place.data_dir, offline=place.offline, embedded=place.profile.embedded)
    raw = _raw(located)
    if not raw:
        raise FedkitError(f"{name} holds no question ({located.where}); fetch its files anew")
    found = [_row(one) for one in raw]
    bad = [number for number, one in enumerate(found, 1) if one is None]
    if bad:
        raise FedkitError(
            f"record {bad[0]} of {name} has no question with one right answer among its options ({len(bad)} of"
            f" {len(found)} records have none); fetch the file anew"
        )
    return [one for one in found if one is not None]


def _raw(located: Located) -> list[Any]:
    from ...data.sources import raw_records

    files = located.files
    if located.kind == "hub" and located.source.name in _HUB_FILES:
        files = tuple(_fetched(located.source.hub, path) for path in _HUB_FILES[located.source.name])
    return [row for path in files for row in _file(path)] if files else list(raw_records(located))


def _fetched(repository: str, path: str) -> Path:
    """A file of a Hub dataset, in the cache of the Hub's library."""
    try:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(repository, path, repo_type="dataset"))
    except Exception as error:  # httpx's, huggingface_hub's and OSError
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FedkitError(
            f"{path} of the Hub dataset {repository} cannot be read ({what}); check the network and HF_HUB_OFFLINE, or"
            " put BIG-bench's hhh/<subset>/task.json in a folder and pass it as --data-dir"
        ) from error


def _file(path: Path) -> list[Any]:
    """Records of one file; the folder of a BIG-bench task or of a Hub configuration names the subset."""
    from ...data.readers import read_file

    subset = {"subset": path.parent.name} if path.parent.name in SUBSETS else {}
    if path.name != "task.json":
        return [{**subset, **row} if isinstance(row, Mapping) else row for row in read_file(path)]
    try:
        examples = json.loads(path.read_text(encoding="utf-8"))["examples"]
        return [{**example, **subset} for example in examples]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FedkitError(f"{path} holds no list 'examples' ({error}); fetch it anew") from None


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
    question = _TAIL.sub("", _HEAD.sub("", question)).strip()  # SeqIO's form repeats the options below the question
    return {
        "subset": str(raw.get("subset") or ""),
        "question": question,
        "options": options,
        "answer": right.index(True),
    }


def items(place: Place, dataset: str) -> list[Item]:
    """The pairs, all subsets."""
    return spread(choice_rows("hhh", place), place.limit, lambda item: item["subset"])


def answer(name: str, subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    form = get_template(subject.template)
    docs = [
        {"prompt": form.prompt(item["question"]), "options": item["options"], "answer": item["answer"]}
        for item in asked
    ]
    return run_tasks(subject, [(load_task("choice", task=name), {"test": docs})])[name]


def score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`acc`, and `<subset>` where there are several; chance is one of so many options."""
    note = notes(part_note(asked), cut_note(answers))
    found = {"acc": share((a["acc"] for a in answers), note, _guessing(asked))}
    for name, places in grouped(asked, "subset").items():
        if name:
            own = [asked[i] for i in places]
            found[name] = share((answers[i]["acc"] for i in places), note, _guessing(own))
    return found


def _guessing(asked: Sequence[Item]) -> float:
    return sum(1 / len(item["options"]) for item in asked) / len(asked)


HHH = Benchmark("hhh", "HHH", ("hhh",), items, partial(answer, "hhh"), score, judged=False)
