"""Close-ended benchmarks through lm-eval: MMLU, GSM8K, BBH. Nobody judges; an answer is right or not.

MMLU: 5 worked examples of the subject, the likeliest of the letters (Hendrycks et al. 2021). GSM8K: 5, the last
number (Cobbe et al. 2021). BBH: the task in a sentence and 3 worked examples, the exact answer (Suzgun et al. 2022,
without chain of thought); this is lm-eval's form, where OpenFedLLM's Table 2 has InstructEval's.
"""

from __future__ import annotations

import csv
import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...common.errors import FedkitError
from .base import (
    Benchmark,
    Item,
    Place,
    Score,
    Subject,
    checked,
    constant,
    cut_note,
    notes,
    part_note,
    records,
    sample,
    share,
    spread,
)
from .harness import Task, load_task, run_tasks, stock_task

if TYPE_CHECKING:
    from ..judges.judge import Judge

_MMLU_COLUMNS = ("question", "choice0", "choice1", "choice2", "choice3", "answer")


def grouped(items: Sequence[Item], key: str) -> dict[str, list[int]]:
    """Places of items by a field, in order."""
    found: dict[str, list[int]] = {}
    for i, item in enumerate(items):
        found.setdefault(item[key], []).append(i)
    return found


def in_order(parts: Mapping[str, Sequence[Any]], groups: Mapping[str, Sequence[int]]) -> list[Any]:
    """Samples by group, put back into the order of the items."""
    whole: dict[int, Any] = {}
    for name, places in groups.items():
        whole.update(zip(places, parts[name], strict=True))
    return [whole[i] for i in sorted(whole)]


# --- MMLU


def _mmlu_rows(name: str, place: Place) -> list[Item]:
    """subject, question, choices, answer (its number), from CSV files with or without a header, or from the Hub."""
    from ...data.sources import locate, raw_records

    located = locate(name, data_dir=place.data_dir, offline=place.offline, embedded=place.profile.embedded)
    raw = (
        [row for path in located.files for row in _mmlu_file(path)]
        if located.kind == "local"
        else list(raw_records(located))
    )
    return [_mmlu_item(row, number, name) for number, row in enumerate(raw, 1)]


def _mmlu_file(path: Path) -> list[dict[str, Any]]:
    """`anatomy_test.csv` is about anatomy; upstream's own files have no header."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FedkitError(f"{path} cannot be read ({error}); mend the file or fetch it anew") from error
    if lines and tuple(lines[0]) == _MMLU_COLUMNS:
        lines = lines[1:]
    for number, line in enumerate(lines, 1):
        if len(line) != len(_MMLU_COLUMNS):
            raise FedkitError(
                f"{path}, question {number}: {len(line)} columns, not {len(_MMLU_COLUMNS)}; fetch it anew"
            )
    subject = path.stem.removesuffix("_test").removesuffix("_dev").removesuffix("_val")
    return [
        {"subject": subject, "question": line[0], "choices": list(line[1:5]), "answer": line[5].strip()}
        for line in lines
    ]


def _mmlu_item(row: Any, number: int, name: str) -> Item:
    try:
        answer = string.ascii_uppercase.find(str(row["answer"])) if str(row["answer"]).isalpha() else int(row["answer"])
        choices = [str(choice) for choice in row["choices"]]
        if not 0 <= answer < len(choices):
            raise ValueError(f"answer {row['answer']!r}")
        letters = list(string.ascii_uppercase[: len(choices)])
        options = "\n".join(f"{letter}. {choice}" for letter, choice in zip(letters, choices, strict=True))
        return {
            "subject": str(row["subject"]),
            "question": str(row["question"]),
            "options": options,
            "letters": letters,
            "answer": answer,
        }
    except (KeyError, TypeError, ValueError) as error:
        raise FedkitError(f"question {number} of {name} is malformed ({error}); fetch the file anew") from None


def mmlu_items(place: Place, dataset: str) -> list[Item]:
    """The questions, each with the worked examples of its subject under `shots`."""
    dev = _mmlu_rows("mmlu_dev", place)
    found = spread(_mmlu_rows("mmlu", place), place.limit, lambda item: item["subject"])
    shots = {subject: [dev[i] for i in places] for subject, places in grouped(dev, "subject").items()}
    lacking = sorted({item["subject"] for item in found} - shots.keys())
    if lacking:
        raise FedkitError(f"MMLU has no worked examples of {lacking[0]}; put mmlu/dev/{lacking[0]}_dev.csv beside them")
    return [{**item, "shots": shots[item["subject"]]} for item in found]


def mmlu_answer(subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    groups = grouped(asked, "subject")
    tasks = []
    for name, places in groups.items():
        about = f"The following are multiple choice questions (with answers) about {name.replace('_', ' ')}.\n\n"
        docs = [{k: v for k, v in asked[i].items() if k != "shots"} for i in places]
        shots = asked[places[0]]["shots"]
        config = load_task("mmlu", task=name, description=about, num_fewshot=min(5, len(shots)))
        tasks.append((config, {"test": docs, "dev": shots}))
    return in_order(run_tasks(subject, tasks), groups)


def mmlu_score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`acc` over all questions (as lm-eval weighs its subjects), and `<subject>`.

    Chance is what the most frequent letter alone would score: a small model often says one letter whatever is asked.
    """
    note, letters = notes(part_note(asked), cut_note(answers)), [item["answer"] for item in asked]
    found = {"acc": share((a["acc"] for a in answers), note, constant(letters))}
    for name, places in grouped(asked, "subject").items():
        found[name] = share((answers[i]["acc"] for i in places), note, constant([letters[i] for i in places]))
    return found


# --- GSM8K


def gsm8k_items(place: Place, dataset: str) -> list[Item]:
    """The test problems with the first five of the training problems as worked examples."""
    problems = [checked(raw, n, "gsm8k_test") for n, raw in enumerate(records("gsm8k_test", place), 1)]
    shots = [checked(raw, n, "gsm8k") for n, raw in enumerate(_first("gsm8k", place, 5), 1)]
    return [{**problem, "shots": shots} for problem in sample(problems, place.limit, "gsm8k")]


def _first(name: str, place: Place, count: int) -> list[Any]:
    from ...data.sources import load_raw

    _, found = load_raw(
        name, data_dir=place.data_dir, offline=place.offline, embedded=place.profile.embedded, limit=count
    )
    return list(found)


def gsm8k_answer(subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    docs = [{k: v for k, v in item.items() if k != "shots"} for item in asked]
    config = load_task("gsm8k", task="gsm8k")
    return run_tasks(subject, [(config, {"test": docs, "dev": asked[0]["shots"]})])["gsm8k"]


def gsm8k_score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`exact`: the share of right numbers; chance is the most frequent number for all."""
    numbers = [item["answer"].rpartition("####")[2].strip() for item in asked]
    note = notes(part_note(asked), cut_note(answers))
    return {"exact": share((a["exact_match"] for a in answers), note, constant(numbers))}


# --- BBH


def bbh_items(place: Place, dataset: str) -> list[Item]:
    """task, input, target, about (the task in a sentence) and worked examples.

    The last two are lm-eval's for the tasks that it knows; else the task's own first three, which are then not asked.
    """
    raw, upstream = _bbh_raw(place)
    rows = [checked(row, number, "bbh") for number, row in enumerate(raw, 1)]
    found = []
    for name, places in grouped(rows, "task").items():
        own = [{key: rows[i][key] for key in ("task", "input", "target")} for i in places]
        about, shots = _bbh_known(name) if upstream else ("", None)
        if shots is None:
            shots, own = own[:3], own[3:]
        shots = [{"input": shot["input"], "target": shot["target"]} for shot in shots]
        found += [{**row, "about": about, "shots": shots} for row in own]
    return spread(found, place.limit, lambda item: item["task"])


def _bbh_raw(place: Place) -> tuple[list[Any], bool]:
    """All records, and whether they are upstream's. Files are a task each, and so are the Hub's configurations."""
    from ...data.sources import locate, raw_records

    located = locate("bbh", data_dir=place.data_dir, offline=place.offline, embedded=place.profile.embedded)
    if located.kind == "local":
        return [row for path in located.files for row in _bbh_file(path)], True
    if located.kind == "embedded":
        return list(raw_records(located)), False
    found: list[Any] = []
    for name in _bbh_names():
        part = replace(located, source=replace(located.source, hub_config=name))
        found += [{"task": name, **row} for row in raw_records(part)]
    return found, True


def _bbh_names() -> list[str]:
    """The tasks that lm-eval has, which are the Hub's 27 configurations."""
    import lm_eval.tasks

    folder = Path(str(resources.files(lm_eval.tasks))) / "bbh" / "fewshot"
    return sorted(path.stem for path in folder.glob("[!_]*.yaml"))


def _bbh_file(path: Path) -> list[dict[str, Any]]:
    try:
        examples = json.loads(path.read_text(encoding="utf-8"))["examples"]
        return [{"task": path.stem, "input": e["input"], "target": e["target"]} for e in examples]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FedkitError(f"{path} holds no list 'examples' of input and target ({error}); fetch it anew") from None


def _bbh_known(name: str) -> tuple[str, list[dict[str, str]] | None]:
    """What lm-eval says before the worked examples of a task, and those; "" and None for one that it does not know."""
    try:
        known = stock_task(f"bbh/fewshot/{name}.yaml")
        return known["description"], known["fewshot_config"]["samples"]
    except (OSError, KeyError):
        return "", None


def bbh_answer(subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    groups = grouped(asked, "task")
    tasks: list[tuple[Task, Mapping[str, Sequence[Item]]]] = []
    for name, places in groups.items():
        docs = [{"input": asked[i]["input"], "target": asked[i]["target"]} for i in places]
        about, shots = asked[places[0]]["about"], asked[places[0]]["shots"]
        tasks.append((load_task("bbh", task=name, description=about), {"test": docs, "dev": shots}))
    return in_order(run_tasks(subject, tasks), groups)


def bbh_score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`exact` over all, and `<task>`; chance is the most frequent answer to each task."""
    note, parts, chance = notes(part_note(asked), cut_note(answers)), {}, 0.0
    for name, places in grouped(asked, "task").items():
        own = constant([asked[i]["target"] for i in places])
        parts[name] = share((answers[i]["exact_match"] for i in places), note, own)
        chance += own * len(places) / len(asked)
    return {"exact": share((a["exact_match"] for a in answers), note, chance), **parts}


MMLU = Benchmark("mmlu", "MMLU", ("mmlu", "mmlu_dev"), mmlu_items, mmlu_answer, mmlu_score, judged=False)
GSM8K = Benchmark("gsm8k", "GSM8K", ("gsm8k_test", "gsm8k"), gsm8k_items, gsm8k_answer, gsm8k_score, judged=False)
BBH = Benchmark("bbh", "BBH", ("bbh",), bbh_items, bbh_answer, bbh_score, judged=False)
