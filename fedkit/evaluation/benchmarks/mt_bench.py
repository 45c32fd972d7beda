"""MT-Bench (Zheng et al. 2023): two turns in 8 categories, each turn graded alone from 1 to 10.

Turn 1 is the papers' MT-1 (MT-Bench-1), turn 2 their MT-2. A judge behind an API grades math, reasoning and coding
against reference answers, where there are any; the offline judge can rate only what has a reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...common.errors import FedkitError
from .base import Benchmark, Item, Place, Score, Subject, ask, notes, part_note, rated, records, spread

if TYPE_CHECKING:
    from ..judges.judge import Judge

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


def question_items(name: str, place: Place, turns: int) -> list[Item]:
    """Questions with `id`, `category`, `turns` and `reference` (a text a turn, or none), from any of the schemas.

    Upstream has question_id and turns, the Hub's copy prompt_id and prompt. `FedkitError` for any other record.
    """
    found = []
    for number, raw in enumerate(records(name, place), 1):
        raw = raw if isinstance(raw, Mapping) else {}
        asked = raw.get("turns") or raw.get("prompt")
        key = raw.get("question_id", raw.get("prompt_id"))
        if not isinstance(asked, list) or len(asked) != turns or not all(isinstance(t, str) and t for t in asked):
            raise FedkitError(f"record {number} of {name} has no list of {turns} texts in 'turns'; fetch the file anew")
        if key is None:
            raise FedkitError(f"record {number} of {name} has no question_id; fetch the file anew")
        reference = [str(text or "") for text in raw.get("reference") or ()]
        category = str(raw.get("category", ""))
        found.append({"id": key, "category": category, "turns": asked, "reference": reference})
    return spread(found, place.limit, lambda item: item["category"])


def items(place: Place, dataset: str) -> list[Item]:
    """The questions; GPT-4's reference answers take the place of the file's own notes (`noted`: the notes stay).

    They are read where the data folder holds both: answers alone belong to other questions than the embedded ones.
    """
    from ...data.sources import find_files, get_source, locate
    from ..judges import read_references

    found = question_items("mt_bench", place, TURNS)
    asked = locate("mt_bench", data_dir=place.data_dir, offline=place.offline, embedded=place.profile.embedded)
    local = place.data_dir is not None and asked.kind == "local"
    files = find_files(get_source("mt_bench_reference"), place.data_dir) if local and place.data_dir else ()
    known = read_references(files[0]) if files else {}
    real = asked.kind != "embedded"  # the embedded world's references are whole answers
    return [
        {**item, "reference": known.get(item["id"]) or item["reference"], "noted": real and item["id"] not in known}
        for item in found
    ]


def temperature(category: str, subject: Subject) -> float:
    """The category's own, or 0 where the profile is greedy."""
    return TEMPERATURES.get(category, OTHER) if subject.evaluation.temperature > 0 else 0.0


def answer(subject: Subject, asked: Sequence[Item]) -> list[list[str]]:
    """Two answers a question; the second prompt holds the first turn and the model's own answer to it."""
    from ...training.prompts_chat import conversation_prompt

    end = subject.loaded.tokenizer.eos_token
    chats: list[list[dict[str, str]]] = [[] for _ in asked]
    for turn in range(TURNS):
        for chat, item in zip(chats, asked, strict=True):
            chat.append({"role": "user", "content": item["turns"][turn]})
        prompts = [conversation_prompt(subject.template, chat, end=end) for chat in chats]
        heat = [temperature(item["category"], subject) for item in asked]
        for level in sorted(set(heat)):
            places = [i for i, own in enumerate(heat) if own == level]
            for i, text in zip(places, ask(subject, [prompts[i] for i in places], temperature=level), strict=True):
                chats[i].append({"role": "assistant", "content": text})
    return [[turn["content"] for turn in chat if turn["role"] == "assistant"] for chat in chats]


def judge_items(asked: Sequence[Item], answers: Sequence[Sequence[str]]) -> list[Any]:
    """Two judge's items a question, references with all that have them (only the offline judge reads them all)."""
    from ..judges import mt_bench_items

    questions = [{"question_id": i["id"], "category": i["category"], "turns": i["turns"]} for i in asked]
    references = {item["id"]: item["reference"] for item in asked}
    given = {item["id"]: texts for item, texts in zip(asked, answers, strict=True)}
    made = mt_bench_items(questions, given, references)
    whole = [tuple(references[item["id"]][:turn]) for item in asked for turn in range(1, TURNS + 1)]
    return [one if one.references else replace(one, references=known) for one, known in zip(made, whole, strict=True)]


def score(asked: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`turn 1`, `turn 2`, and `<category>` over both turns."""
    from ..judges import rate_all
    from ..judges.items import WITH_REFERENCE, without_reference

    made = judge_items(asked, answers)
    values = rate_all(judge, made)
    offline = getattr(judge, "needs_reference", False)  # misses a reference in every category, MT-Bench only in three

    def part(places: Sequence[int]) -> Score:
        due = [i for i in places if offline or asked[i // TURNS]["category"] in WITH_REFERENCE]
        bare = without_reference(judge, [made[i] for i in due], [values[i] for i in due])
        noted = sum(asked[i // TURNS]["noted"] and made[i].prompt.startswith("single-math") for i in due)
        by_notes = f"{noted} graded against the question file's own notes, not against GPT-4's answers"
        return rated([values[i] for i in places], judge.name, notes(part_note(asked), bare, by_notes if noted else ""))

    found = {f"turn {turn + 1}": part(range(turn, len(made), TURNS)) for turn in range(TURNS)}
    for category in dict.fromkeys(item["category"] for item in asked):
        found[category] = part([i for i in range(len(made)) if asked[i // TURNS]["category"] == category])
    return found


MT_BENCH = Benchmark("mt_bench", "MT-Bench", ("mt_bench", "mt_bench_reference"), items, answer, score)
