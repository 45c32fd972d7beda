"""DROP and CRASS as OpenFedLLM's Table 2 has them: in the form of InstructEval (Chia et al. 2024), which it cites.

Three worked examples, and an answer is right if it begins with the reference. DROP (Dua et al. 2019): questions on
which all annotators give the same single answer. CRASS (Frohberg and Binder 2022): lettered options. Which examples
are worked and how options are shuffled is drawn with our seed, and CRASS's worked examples are ours, so a figure is
near to InstructEval's, not its own.
"""

from __future__ import annotations

import csv
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...common.errors import FedkitError
from ...common.seeds import generator
from .base import (
    Benchmark,
    Item,
    Place,
    Score,
    Subject,
    checked,
    cut_note,
    notes,
    part_note,
    rated,
    records,
    sample,
    share,
)
from .choices import choice_rows
from .harness import load_task, run_tasks

if TYPE_CHECKING:
    from ..judges.judge import Judge

SHOTS = 3
_CSV = "CRASS_FTM_main_data_set.csv"
_CSV_COLUMNS = (2, 3, slice(4, 8))  # premise, question, options; the first option is the right one
_WORKED = (
    (
        "A boy drops his ice cream on the street. What would have happened if he had dropped a stone?",
        ("The stone would have melted.", "The stone would have stayed as it was.", "The street would have been sad."),
        1,
    ),
    (
        "A letter lies in the fire. What would have happened if the letter had lain in a drawer?",
        ("That is not possible.", "The fire would have read it.", "The letter would not have burnt."),
        2,
    ),
    (
        "A nurse opens a window. What would have happened if the nurse had opened the number seven?",
        ("That is not possible.", "It would have become colder.", "The window would have been larger."),
        0,
    ),
)


def _answers(name: str, subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    docs = [{"question": item["question"], "target": item["target"]} for item in asked]
    return run_tasks(subject, [(load_task("prefix", task=name), {"test": docs, "dev": asked[0]["shots"]})])[name]


def _right(asked: Sequence[Item], answers: Sequence[Any]) -> list[bool]:
    return [answer["said"].startswith(item["target"]) for item, answer in zip(asked, answers, strict=True)]


def _constant(asked: Sequence[Item]) -> tuple[str, float]:
    """The best constant answer among the references, and its score: '12' begins with '1' and with '12'."""
    counts = Counter(item["target"] for item in asked)
    prefixes = {said: sum(counts[said[:n]] for n in range(1, len(said) + 1)) for said in counts}
    best = max(prefixes, key=lambda said: prefixes[said])
    return best, prefixes[best] / len(asked)


# --- DROP


def drop_items(place: Place, dataset: str) -> list[Item]:
    """question (with its passage before it), target, shots: three other questions about other passages."""
    from lm_eval.tasks.drop.utils import get_answers

    rows = [checked(raw, n, "drop") for n, raw in enumerate(records("drop", place), 1)]
    single = []
    for row in rows:
        found = {span.strip() for answer in get_answers(row) for span in answer}
        if len(found) == 1 and (target := found.pop()):
            single.append((row["passage"], f"{row['passage'].strip()} {row['question'].strip()}", target))
    if len(single) <= SHOTS:
        raise FedkitError(f"drop has {len(single)} questions with one answer; {SHOTS} are worked examples, so add more")
    worked = [single[i] for i in generator(0, "drop shots").permutation(len(single))[:SHOTS].tolist()]
    shots = [{"question": question, "target": target} for _, question, target in worked]
    shown = {passage for passage, _, _ in worked}
    left = [{"question": q, "target": t, "shots": shots} for passage, q, t in single if passage not in shown]
    return sample(left, place.limit, "drop")


def drop_answer(subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    return _answers("drop", subject, asked)


def drop_score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`acc`: answers that begin with the reference; `f1`: DROP's own, of bags of words, by lm-eval's function."""
    from dataclasses import replace

    note = notes(part_note(asked), cut_note(answers))
    best, chance = _constant(asked)
    f1 = rated((_f1(a["said"], i["target"]) for a, i in zip(answers, asked, strict=True)), "none", note)
    of_best = sum(_f1(best, item["target"]) for item in asked) / len(asked)
    return {"acc": share(_right(asked, answers), note, chance), "f1": replace(f1, chance=of_best)}


def _f1(said: str, target: str) -> float:
    from lm_eval.tasks.drop.utils import get_metrics

    return float(get_metrics([said], (target,))[1])


# --- CRASS


def lettered(question: str, options: Sequence[str], right: int) -> dict[str, str]:
    """A question with its options below it, one a line, and the letter of the right one."""
    letters = string.ascii_uppercase
    lines = [f"{letter}. {option}" for letter, option in zip(letters, options, strict=False)]
    return {"question": "\n".join([question, *lines]), "target": letters[right]}


def crass_items(place: Place, dataset: str) -> list[Item]:
    """question (with lettered options, shuffled), target (a letter), shots."""
    shots = [lettered(question, options, right) for question, options, right in _WORKED]
    found = []
    for number, row in enumerate(_crass_rows(place)):
        order = generator(0, "crass options", round=number).permutation(len(row["options"])).tolist()
        options = [row["options"][i] for i in order]
        found.append({**lettered(row["question"], options, order.index(row["answer"])), "shots": shots})
    return sample(found, place.limit, "crass")


def _crass_rows(place: Place) -> list[Mapping[str, Any]]:
    from ...data.sources import locate

    located = locate("crass", data_dir=place.data_dir, offline=place.offline, embedded=place.profile.embedded)
    if not any(path.name == _CSV for path in located.files):
        return choice_rows("crass", place)
    return [row for path in located.files for row in _crass_file(path)]


def _crass_file(path: Path) -> list[Mapping[str, Any]]:
    """The publisher's table: `;` between columns, a premise, a question, and options of which the first is right."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file, delimiter=";") if line][1:]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FedkitError(f"{path} cannot be read ({error}); mend the file or fetch it anew") from error
    found = []
    premise, question, options = _CSV_COLUMNS
    for number, line in enumerate(lines, 1):
        cells = [cell.strip() for cell in line]
        given = [cell for cell in cells[options] if cell]
        if len(given) < 2 or not cells[premise] or not cells[question]:
            raise FedkitError(f"{path}, question {number}: no premise, question and two options; fetch it anew")
        found.append({"question": f"{cells[premise]} {cells[question]}", "options": given, "answer": 0})
    return found


def crass_answer(subject: Subject, asked: Sequence[Item]) -> list[dict[str, Any]]:
    return _answers("crass", subject, asked)


def crass_score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`acc`: answers that begin with the right letter; chance is the best letter for all."""
    note = notes(part_note(asked), cut_note(answers))
    return {"acc": share(_right(asked, answers), note, _constant(asked)[1])}


DROP = Benchmark("drop", "DROP", ("drop",), drop_items, drop_answer, drop_score, judged=False)
CRASS = Benchmark("crass", "CRASS", ("crass",), crass_items, crass_answer, crass_score, judged=False)
