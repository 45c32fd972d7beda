"""MT-Bench (Zheng et al. 2023): two turns in 8 categories, each turn graded alone from 1 to 10.

Turn 1 is the papers' MT-1 (MT-Bench-1), turn 2 their MT-2. A judge behind an API grades math, reasoning and coding
against reference answers, where there are any; the offline judge can rate only what has a reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...common.errors import FedkitError
from ...data.origins import REFERENCES
from ...data.readers import read_file
from ...data.sources import RawSource, spellings
from ..judges.judge import JudgeItem, without_reference
from ..yardsticks import Answerer
from .base import Benchmark, Item, Pool, Score, Subject, ask, grouped, notes, part_note, rated, replies, spread

if TYPE_CHECKING:
    from ..judges.judge import Judge

SOURCE = RawSource(
    "mt_bench",
    ("mt_bench/question.jsonl", "mtbench/question.jsonl", *spellings("mt_bench", "questions")),
    fields=MappingProxyType({}),  # question_id and turns, or on the Hub prompt_id and prompt; checked below
    hub="HuggingFaceH4/mt_bench_prompts",
    embedded=True,
    licence="Apache-2.0",
    nested=("turns", "prompt", "reference"),
    description="MT-Bench (Zheng et al. 2023): 80 questions of two turns in 8 categories",
)
REFERENCE = RawSource(
    "mt_bench_reference",
    ("mt_bench/reference_answer/gpt-4.jsonl", "mtbench/reference_answer/gpt-4.jsonl"),
    fields=MappingProxyType({"choices": list}),
    licence="Apache-2.0",
    description="GPT-4's answers to MT-Bench's 30 questions of math, reasoning and coding (in lm-sys/FastChat on "
    "GitHub, fastchat/llm_judge/data); without this file the questions' own notes stand in, and a row says so",
)
WITH_REFERENCE = frozenset(("math", "reasoning", "coding"))  # categories that MT-Bench grades against a reference
# Of sampling, as MT-Bench sets them (settings, evaluation). A profile whose temperature is 0 is greedy everywhere.
TEMPERATURES: Mapping[str, float] = MappingProxyType(
    {
        "writing": 0.7,
        "roleplay": 0.7,
        "extraction": 0.0,
        "math": 0.0,
        "coding": 0.0,
        "reasoning": 0.0,
        "stem": 0.1,
        "humanities": 0.1,
    }
)
OTHER = 0.7  # a category that is not MT-Bench's
TURNS = 2


def question_items(source: RawSource, pool: Pool, turns: int) -> list[Item]:
    """Questions with `id`, `category`, `turns` and `reference` (a text a turn, or none), from any of the schemas.

    Upstream has question_id and turns, the Hub's copy prompt_id and prompt. A reference that is one text stands for
    the first turn. `FedkitError` for any other record, and for two questions with one id.
    """
    items: list[Item] = []
    places: dict[str, int] = {}
    for number, raw in enumerate(pool.locate(source).records(), 1):
        raw, where = raw if isinstance(raw, Mapping) else {}, f"record {number} of {source.name}"
        texts = raw.get("turns") or raw.get("prompt")
        key = raw.get("question_id", raw.get("prompt_id"))
        if not isinstance(texts, list) or len(texts) != turns or not all(isinstance(t, str) and t for t in texts):
            raise FedkitError(f"{where} has no list of {turns} texts in 'turns'; fetch the file anew")
        if key is None:
            raise FedkitError(f"{where} has no question_id; fetch the file anew")
        if places.setdefault(str(key), number) != number:
            raise FedkitError(
                f"records {places[str(key)]} and {number} of {source.name} have one id, {key}; number them anew"
            )
        reference = raw.get("reference") or []
        reference = [reference] if isinstance(reference, str) else reference
        if not isinstance(reference, list) or not all(text is None or isinstance(text, str) for text in reference):
            raise FedkitError(f"{where} has no text, and no list of texts, in 'reference'; fetch the file anew")
        reference = [text or "" for text in reference]
        items.append({"id": key, "category": str(raw.get("category", "")), "turns": texts, "reference": reference})
    return spread(items, pool.limit, "category")


def items(pool: Pool, dataset: str) -> list[Item]:
    """The questions; GPT-4's reference answers take the place of the file's own notes (`noted`: the notes stay).

    They are read where the data folder holds both: answers alone belong to other questions than the embedded ones.
    """
    questions = question_items(SOURCE, pool, TURNS)
    kind = pool.locate(SOURCE).kind
    files = pool.place.files(REFERENCE) if kind == "local" else ()
    known = read_references(pool.place.locate(REFERENCE).as_part(REFERENCES).opened()[0]) if files else {}
    real = kind != "embedded"  # the embedded world's references are whole answers
    own = [known.get(str(item["id"]), []) for item in questions]
    return [
        {**item, "reference": texts or item["reference"], "noted": real and not texts}
        for item, texts in zip(questions, own, strict=True)
    ]


def read_references(path: Path) -> dict[str, list[str]]:
    """Reference answers by question_id from MT-Bench's `reference_answer/<model>.jsonl`, one text a turn.

    `FedkitError` for a line without them, and for two lines of one question.
    """
    answers: dict[str, list[str]] = {}
    for number, record in enumerate(read_file(path), 1):
        try:
            key, turns = str(record["question_id"]), record["choices"][0]["turns"]
        except (KeyError, IndexError, TypeError):
            key, turns = "", None
        if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
            raise FedkitError(
                f"line {number} of {path} has no question_id or choices[0].turns; fetch MT-Bench's answers anew"
            )
        if key in answers:
            raise FedkitError(f"line {number} of {path} answers question {key} a second time; keep one of the answers")
        answers[key] = turns
    return answers


def temperature(category: str, subject: Subject) -> float:
    """The category's own, or 0 where the profile is greedy."""
    return TEMPERATURES.get(category, OTHER) if subject.evaluation.temperature > 0 else 0.0


def answer(subject: Subject, some: Sequence[Item]) -> list[list[str]]:
    """Two answers a question; the second prompt holds the first turn and the model's own answer to it."""
    from ...training.prompts import conversation

    if isinstance(subject.loaded, Answerer):  # it knows no first turn
        return [replies(subject, [(turn, "en") for turn in item["turns"]]) for item in some]
    gap = subject.loaded.tokenizer.eos_token_id is None
    chats: list[list[dict[str, str]]] = [[] for _ in some]
    for turn in range(TURNS):
        for chat, item in zip(chats, some, strict=True):
            chat.append({"role": "user", "content": item["turns"][turn]})
        prompts = [conversation(subject.template, chat, gap=gap) for chat in chats]
        heat = [temperature(item["category"], subject) for item in some]
        for level in sorted(set(heat)):
            places = [i for i, own in enumerate(heat) if own == level]
            for i, text in zip(places, ask(subject, [prompts[i] for i in places], temperature=level), strict=True):
                chats[i].append({"role": "assistant", "content": text})
    return [[turn["content"] for turn in chat if turn["role"] == "assistant"] for chat in chats]


def judge_items(some: Sequence[Item], answers: Sequence[Sequence[str]]) -> list[JudgeItem]:
    """Two items a question for the judge, `<id>-1` and `-2`, as MT-Bench's single-answer grading asks for them.

    Math, reasoning and coding are graded against their reference, and like the others where a turn has none or a blank
    one. Every item has the references that there are, since the offline judge, which reads no prompt, needs them.
    `FedkitError` for a question without two answers, or with one reference of two.
    """
    graded = []
    for item, given in zip(some, answers, strict=True):
        number, texts, reference = item["id"], tuple(item["turns"]), tuple(item["reference"])
        if len(given) != TURNS or len(texts) != TURNS:
            raise FedkitError(f"MT-Bench question {number} has {len(given)} answers for {len(texts)} turns; give two")
        if item["category"] in WITH_REFERENCE and len(reference) not in (0, TURNS):
            raise FedkitError(
                f"MT-Bench question {number} ({item['category']}) has {len(reference)} reference answers; "
                "give both, e.g. from reference_answer/gpt-4.jsonl, or none"
            )
        for turn in range(1, TURNS + 1):
            shown = reference[:turn]
            against = bool(shown) and item["category"] in WITH_REFERENCE and all(text.strip() for text in shown)
            prompt = ("single-math-v1" if against else "single-v1") + ("" if turn == 1 else "-multi-turn")
            graded.append(JudgeItem(f"{number}-{turn}", prompt, texts[:turn], tuple(given)[:turn], shown))
    return graded


def score(some: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`turn 1`, `turn 2`, and `<category>` over both turns."""
    offline = judge.needs_reference  # misses a reference in every category, MT-Bench only in three
    graded = judge_items(some, answers)
    values = judge.rate_all(graded)

    def part(places: Sequence[int]) -> Score:
        due = [i for i in places if offline or some[i // TURNS]["category"] in WITH_REFERENCE]
        bare = without_reference(judge, [graded[i] for i in due], [values[i] for i in due])
        noted = sum(some[i // TURNS]["noted"] and graded[i].prompt.startswith("single-math") for i in due)
        by_notes = f"{noted} graded against the question file's own notes, not against GPT-4's answers"
        return rated([values[i] for i in places], judge.name, notes(part_note(some), bare, by_notes if noted else ""))

    parts = {f"turn {turn + 1}": part(range(turn, len(graded), TURNS)) for turn in range(TURNS)}
    for category, places in grouped(some, "category").items():
        parts[category] = part([TURNS * i + turn for i in places for turn in range(TURNS)])
    return parts


MT_BENCH = Benchmark("mt_bench", "MT-Bench", (SOURCE, REFERENCE), items, answer, score, judged=True)
BENCHMARKS = (MT_BENCH,)
