"""Close-ended benchmarks through lm-eval: MMLU, GSM8K, BBH, DROP. Nobody judges; an answer is right or not.

MMLU: 5 worked examples of the subject, the likeliest of the letters (Hendrycks et al. 2021). GSM8K: 5, the last
number (Cobbe et al. 2021). BBH: 3, the exact answer (Suzgun et al. 2022, without chain of thought). DROP: none, F1
of bags of words (Dua et al. 2019).
"""

from __future__ import annotations

import csv
import json
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FedkitError
from .base import Benchmark, Item, Place, Score, Subject, checked, rated, records, share, spread
from .harness import Task, load_task, run_tasks, stock_task

if TYPE_CHECKING:
    from ..judge import Judge

_MMLU_COLUMNS = ("question", "choice0", "choice1", "choice2", "choice3", "answer")


def cut_note(answers: Sequence[Mapping[str, Any]]) -> str:
    """How many prompts were longer than the model reads."""
    cut = sum(bool(answer["cut"]) for answer in answers)
    return f"{cut} of {len(answers)} prompts cut to the model's length" if cut else ""


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
    from ..sources import locate, raw_records

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
    found = {"acc": share((a["acc"] for a in answers), cut_note(answers), _one_letter(asked))}
    for name, places in grouped(asked, "subject").items():
        found[name] = share((answers[i]["acc"] for i in places), chance=_one_letter([asked[i] for i in places]))
    return found


def _one_letter(asked: Sequence[Item]) -> float:
    letters = [item["answer"] for item in asked]
    return max(map(letters.count, letters)) / len(letters)


# --- GSM8K


def gsm8k_items(place: Place, dataset: str) -> list[Item]:
    """The test problems with the first five of the training problems as worked examples."""
    problems = [checked(raw, n, "gsm8k_test") for n, raw in enumerate(records("gsm8k_test", place), 1)]
    shots = [checked(raw, n, "gsm8k") for n, raw in enumerate(_first("gsm8k", place, 5), 1)]
    return [{**problem, "shots": shots} for problem in problems[: place.limit]]


def _first(name: str, place: Place, count: int) -> list[Any]:
    from ..sources import load_raw

    _, found = load_raw(
        name, data_dir=place.data_dir, offline=place.offline, embedded=place.profile.embedded, limit=count
    )
    return list(found)


def gsm8k_answer(subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    docs = [{k: v for k, v in item.items() if k != "shots"} for item in asked]
    config = load_task("gsm8k", task="gsm8k")
    return run_tasks(subject, [(config, {"test": docs, "dev": asked[0]["shots"]})])["gsm8k"]


def exact_score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`exact`: the share of right answers, and `<task>` where items have tasks."""
    found = {"exact": share((a["exact_match"] for a in answers), cut_note(answers))}
    for name, places in grouped(asked, "task").items() if asked and "task" in asked[0] else ():
        found[name] = share(answers[i]["exact_match"] for i in places)
    return found


# --- BBH


def bbh_items(place: Place, dataset: str) -> list[Item]:
    """task, input, target, and worked examples: lm-eval's, or the task's own first three, which are then not asked."""
    from ..sources import locate, raw_records

    located = locate("bbh", data_dir=place.data_dir, offline=place.offline, embedded=place.profile.embedded)
    raw = (
        [row for path in located.files for row in _bbh_file(path)]
        if located.kind == "local"
        else list(raw_records(located))
    )
    rows = [checked(row, number, "bbh") for number, row in enumerate(raw, 1)]
    groups = grouped(rows, "task")
    found = []
    for name, places in groups.items():
        own = [rows[i] for i in places]
        shots = _bbh_shots(name) if located.kind == "local" else None
        if shots is None:
            shots, own = own[:3], own[3:]
        found += [{**row, "shots": [{"input": s["input"], "target": s["target"]} for s in shots]} for row in own]
    return spread(found, place.limit, lambda item: item["task"])


def _bbh_file(path: Path) -> list[dict[str, Any]]:
    try:
        examples = json.loads(path.read_text(encoding="utf-8"))["examples"]
        return [{"task": path.stem, "input": e["input"], "target": e["target"]} for e in examples]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FedkitError(f"{path} holds no list 'examples' of input and target ({error}); fetch it anew") from None


def _bbh_shots(name: str) -> list[dict[str, str]] | None:
    """The worked examples that lm-eval has for a task; None for a task that it does not know."""
    try:
        return stock_task(f"bbh/fewshot/{name}.yaml")["fewshot_config"]["samples"]
    except (OSError, KeyError):
        return None


def bbh_answer(subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    groups = grouped(asked, "task")
    tasks: list[tuple[Task, Mapping[str, Sequence[Item]]]] = []
    for name, places in groups.items():
        docs = [{"input": asked[i]["input"], "target": asked[i]["target"]} for i in places]
        tasks.append((load_task("bbh", task=name), {"test": docs, "dev": asked[places[0]]["shots"]}))
    return in_order(run_tasks(subject, tasks), groups)


# --- DROP


def drop_items(place: Place, dataset: str) -> list[Item]:
    """DROP's own nested records."""
    return [checked(raw, n, "drop") for n, raw in enumerate(records("drop", place)[: place.limit], 1)]


def drop_answer(subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    """By lm-eval's own task, which knows DROP's several right answers; its documents are ours."""
    config = {**stock_task("drop/default.yaml"), "task": "drop", "validation_split": "validation"}
    config.pop("training_split", None)
    return run_tasks(subject, [(config, {"validation": list(asked)})])["drop"]


def drop_score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`f1`, and `exact`."""
    note = cut_note(answers)
    return {"f1": rated((a["f1"] for a in answers), "none", note), "exact": share((a["em"] for a in answers), note)}


MMLU = Benchmark("mmlu", "MMLU", ("mmlu", "mmlu_dev"), mmlu_items, mmlu_answer, mmlu_score, judged=False)
GSM8K = Benchmark("gsm8k", "GSM8K", ("gsm8k_test", "gsm8k"), gsm8k_items, gsm8k_answer, exact_score, judged=False)
BBH = Benchmark("bbh", "BBH", ("bbh",), bbh_items, bbh_answer, exact_score, judged=False)
DROP = Benchmark("drop", "DROP", ("drop",), drop_items, drop_answer, drop_score, judged=False)
