"""DROP and CRASS as OpenFedLLM's Table 2 has them: in the form of InstructEval (Chia et al. 2024), which it cites.

Three worked examples, and an answer is right if it begins with the reference. DROP (Dua et al. 2019): questions on
which all annotators give the same single answer. CRASS (Frohberg and Binder 2022): lettered options. Which examples
are worked and how options are shuffled is drawn with our seed, and CRASS's worked examples are ours, so a figure is
near to InstructEval's, not its own.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...common.errors import FedkitError
from ...common.seeds import generator
from ...data.readers import read_csv
from ...data.sources import RawSource, spellings
from .base import NO_JUDGE, Item, Pool, Score, checked, cut_note, notes, part_note, rated, sample, share
from .choices import SOURCE, choice_rows
from .harness import close_ended, written

# The publisher's own: {passage: {passage, qa_pairs: [{question, answer, validated_answers}]}}.
DROP_FILES = tuple(f"{folder}/drop_dataset_dev.json" for folder in ("drop", "drop/drop_dataset", "drop_dataset"))
DROP_SOURCE = RawSource(
    "drop",
    (*spellings("drop", "validation"), *DROP_FILES, "drop/*validation*.parquet", "drop/*.parquet"),
    fields=MappingProxyType({"passage": str, "question": str, "answer": dict}),
    hub="EleutherAI/drop",
    split="validation",
    embedded=True,
    licence="CC BY-SA 4.0",
    nested=("validated_answers",),
    description="DROP (Dua et al. 2019): questions whose answer takes counting or sums over a passage",
)
CRASS_SOURCE = RawSource(
    "crass",
    ("crass/CRASS_FTM_main_data_set.csv", "crass/task.json", *spellings("crass", "test"), "crass/*.parquet"),
    fields=MappingProxyType({}),  # several schemas; `choices` checks
    hub="hails/bigbench",  # BIG-bench's part of it
    hub_config="crass_ai_zero_shot",
    split="default",
    embedded=True,
    licence="Apache-2.0",
    nested=SOURCE.nested,
    description="CRASS (Frohberg and Binder 2022), 274 questions: what would have happened otherwise",
)
SHOTS = 3
TASK = written(num_fewshot=SHOTS, doc_to_text="{{question}}\nAnswer:", doc_to_target="{{target}}", until=["\n"], most=8)
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


def _begins(item: Item, answer: Mapping[str, Any]) -> bool:
    return answer["said"].startswith(item["target"])


def _constant(items: Sequence[Item]) -> tuple[str, float]:
    """The best constant answer among the references, and its score: '12' begins with '1' and with '12'."""
    counts = Counter(item["target"] for item in items)
    prefixes = {said: sum(counts[said[:n]] for n in range(1, len(said) + 1)) for said in counts}
    best = max(prefixes, key=lambda said: prefixes[said])
    return best, prefixes[best] / len(items)


# --- DROP


def drop_items(pool: Pool, dataset: str) -> list[Item]:
    """question (with its passage before it), target, shots: three other questions about other passages."""
    single = []
    for row in drop_rows(pool):
        given = {span.strip() for span in spans(row)}
        if len(given) == 1 and (target := given.pop()):
            single.append((row["passage"], f"{row['passage'].strip()} {row['question'].strip()}", target))
    if len(single) <= SHOTS:
        raise FedkitError(f"drop has {len(single)} questions with one answer; {SHOTS} are worked examples, so add more")
    worked = [single[i] for i in generator(0, "drop shots").permutation(len(single))[:SHOTS].tolist()]
    shots = [{"question": question, "target": target} for _, question, target in worked]
    shown = {passage for passage, _, _ in worked}
    left = [{"question": q, "target": t, "shots": shots} for passage, q, t in single if passage not in shown]
    return sample(left, pool.limit, "drop")


def drop_rows(pool: Pool) -> list[Item]:
    """passage, question, answer and, where there are some, validated_answers; the publisher's nested form as well."""
    flat: list[Any] = []
    for raw in pool.locate(DROP_SOURCE).records():
        pairs = raw.get("qa_pairs") if isinstance(raw, Mapping) else None
        flat += [{**pair, "passage": raw.get("passage")} for pair in pairs] if isinstance(pairs, list) else [raw]
    return [checked(raw, number, DROP_SOURCE) for number, raw in enumerate(flat, 1)]


def spans(row: Mapping[str, Any]) -> Iterator[str]:
    """The spans, numbers and dates of all annotators' answers to a question.

    `validated_answers` is a list of them for each kind (as on the Hub), a list of answers (as its publisher has it), or
    there are none. `FedkitError` for anything else.
    """
    from lm_eval.tasks.drop.utils import parse_answer

    more, kinds = row.get("validated_answers") or [], ("number", "date", "spans")
    if isinstance(more, Mapping):
        columns = [more.get(kind) for kind in kinds]
        if not all(isinstance(column, list) for column in columns) or len({len(column) for column in columns}) > 1:
            more = [None]
        else:
            more = [dict(zip(kinds, answer, strict=True)) for answer in zip(*columns, strict=True)]
    for answer in [row["answer"], *more] if isinstance(more, list) else [None]:
        number, date, own = map(answer.get, kinds) if isinstance(answer, Mapping) else (None, None, 0)
        date, own = {} if date is None else date, [] if own is None else own
        if not (isinstance(date, Mapping) and isinstance(own, list) and all(isinstance(span, str) for span in own)):
            question = str(row["question"])[:60]
            raise FedkitError(f"the answers to DROP's {question!r} have no number, date and spans; fetch the file anew")
        date = {part: str(date.get(part) or "") for part in ("day", "month", "year")}
        yield from parse_answer({"number": "" if number is None else number, "date": date, "spans": own})


def drop_score(items: Sequence[Item], answers: Sequence[Any]) -> dict[str, Score]:
    """`acc`: answers that begin with the reference; `f1`: DROP's own, of bags of words, by lm-eval's function."""
    note = notes(part_note(items), cut_note(answers))
    best, chance = _constant(items)
    pairs = list(zip(items, answers, strict=True))
    f1 = rated((_f1(answer["said"], item["target"]) for item, answer in pairs), NO_JUDGE, note)
    of_best = sum(_f1(best, item["target"]) for item in items) / len(items)
    return {"acc": share((_begins(*pair) for pair in pairs), note, chance), "f1": replace(f1, chance=of_best)}


def _f1(said: str, target: str) -> float:
    from lm_eval.tasks.drop.utils import get_metrics

    return float(get_metrics([said], (target,))[1])


# --- CRASS


def lettered(question: str, options: Sequence[str], right: int) -> dict[str, str]:
    """A question with its options below it, one a line, and the letter of the right one."""
    letters = string.ascii_uppercase
    lines = [f"{letter}. {option}" for letter, option in zip(letters, options, strict=False)]
    return {"question": "\n".join([question, *lines]), "target": letters[right]}


def crass_items(pool: Pool, dataset: str) -> list[Item]:
    """question (with lettered options, shuffled), target (a letter), shots."""
    shots = [lettered(question, options, right) for question, options, right in _WORKED]
    items = []
    for number, row in enumerate(_crass_rows(pool)):
        order = generator(0, "crass options", round=number).permutation(len(row["options"])).tolist()
        options = [row["options"][i] for i in order]
        items.append({**lettered(row["question"], options, order.index(row["answer"])), "shots": shots})
    return sample(items, pool.limit, "crass")


def _crass_rows(pool: Pool) -> list[Item]:
    pool.packaged(CRASS_SOURCE, "fedkit's own")
    files = pool.locate(CRASS_SOURCE).files
    if not any(path.name == _CSV for path in files):
        return choice_rows(CRASS_SOURCE, pool)
    return [row for path in pool.locate(CRASS_SOURCE).opened() for row in _publishers(path)]


def _publishers(path: Path) -> list[Item]:
    """The publisher's table: `;` between columns, a premise, a question, and options of which the first is right."""
    rows = []
    premise, question, options = _CSV_COLUMNS
    lines = islice(read_csv(path, names=[str(i) for i in range(99)], delimiter=";"), 1, None)  # the header first
    for number, line in enumerate(lines, 1):
        cells = [(cell or "").strip() for cell in line.values()]
        given = [cell for cell in cells[options] if cell]
        if len(given) < 2 or not cells[premise] or not cells[question]:
            raise FedkitError(f"{path}, question {number}: no premise, question and two options; fetch it anew")
        rows.append({"question": f"{cells[premise]} {cells[question]}", "options": given, "answer": 0})
    return rows


DROP = close_ended("drop", "DROP", (DROP_SOURCE,), drop_items, TASK, score=drop_score)
CRASS = close_ended(
    "crass", "CRASS", (CRASS_SOURCE,), crass_items, TASK, right=_begins, chance=lambda items: _constant(items)[1]
)
BENCHMARKS = (DROP, CRASS)
