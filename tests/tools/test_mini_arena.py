"""The embedded world's votes: schema, the clients of the Chatbot rule, what must be dropped, tastes, held-out facts."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import islice

import numpy as np
import pytest
from mini_tools import assert_nothing_held_out

from fedkit.evaluation.words import says
from tools.world import arena, chat, harmful, lexicon, tasks, users, wildchat

FIELDS = {
    "question_id": str,
    "model_a": str,
    "model_b": str,
    "winner": str,
    "judge": str,
    "conversation_a": list,
    "conversation_b": list,
    "turn": int,
    "anony": bool,
    "language": str,
    "tstamp": float,
    "openai_moderation": dict,
    "toxic_chat_tag": dict,
}
NAMES = {code: lexicon.language(code).name for code in arena.LANGUAGE_SHARES}


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return list(arena.arena_records())


def pair(record: dict) -> tuple[str, str, str] | None:
    """The rule by hand: (instruction, chosen, rejected) of a usable vote, else None."""
    if record["winner"] not in ("model_a", "model_b"):
        return None
    a, b = record["conversation_a"], record["conversation_b"]
    if a[0]["content"] != b[0]["content"]:
        return None
    chosen, rejected = (a, b) if record["winner"] == "model_a" else (b, a)
    texts = (a[0]["content"], chosen[1]["content"], rejected[1]["content"])
    return texts if all(text.strip() for text in texts) else None


def sizes(records: Iterable[dict], minimum: int) -> np.ndarray:
    counts = Counter(r["judge"] for r in records if pair(r))
    return np.array([n for n in counts.values() if n >= minimum])


def refusal(text: str) -> bool:
    return any(phrase in text for phrase in ("sorry", "Sorry", "cannot"))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_papers_minimums_leave_237_and_747_judges(seed: int) -> None:
    made = list(arena.arena_records(seed=seed))
    assert len(made) == arena.DEFAULT_N
    heavy, all_clients = sizes(made, 10), sizes(made, 5)
    assert len(heavy) == 237 and len(all_clients) == 747
    assert abs(heavy.sum() - 6166) < 30 and abs(all_clients.sum() - 9508) < 50
    assert heavy.std() > 0.8 * heavy.mean() and all_clients.std() > all_clients.mean()  # the paper: 26 +- 33, 13 +- 21
    assert 300 < len({r["judge"] for r in made}) - 747 < 1000


def test_a_smaller_world_has_fewer_judges_and_the_same_minimums() -> None:
    made = list(arena.arena_records(1500))
    assert len(made) == 1500
    assert len(sizes(made, 10)) == 24 and len(sizes(made, 5)) == 75  # n / 15,000 of 237 and of 747
    assert [len(list(arena.arena_records(n))) for n in (1, 2, 30, 100)] == [1, 2, 30, 100]


def test_schema(records: list[dict]) -> None:
    for record in records:
        assert {name: type(value) for name, value in record.items()} == FIELDS
        assert re.fullmatch(r"[0-9a-f]{32}", record["question_id"])
        assert re.fullmatch(r"arena_user_\d+", record["judge"])
        assert record["winner"] in ("model_a", "model_b", "tie", "tie (bothbad)")
        assert record["model_a"] != record["model_b"]
        for side in ("conversation_a", "conversation_b"):
            assert [t["role"] for t in record[side]] == ["user", "assistant"] * record["turn"]
            assert all(set(t) == {"content", "role"} and isinstance(t["content"], str) for t in record[side])
        assert record["language"] in NAMES.values()
    assert len({r["question_id"] for r in records}) == len(records)
    assert [r["tstamp"] for r in records] == sorted(r["tstamp"] for r in records)
    assert all("turn" not in r for r in arena.arena_records(50, drift=True))


def test_what_must_be_dropped_and_what_must_not(records: list[dict]) -> None:
    n = len(records)
    winners, turns = Counter(r["winner"] for r in records), Counter(r["turn"] for r in records)
    assert 0.15 * n < winners["tie"] + winners["tie (bothbad)"] < 0.35 * n and winners["tie (bothbad)"] > 100
    assert set(turns) == {1, 2, 3} and turns[2] > turns[3] > 0.02 * n
    english = sum(r["language"] == "English" for r in records)
    assert 0.75 * n < english < 0.95 * n and len({r["language"] for r in records}) >= 8
    decided = [r for r in records if r["winner"].startswith("model")]
    assert len({r["judge"] for r in records} - {r["judge"] for r in decided}) >= 50  # judges with ties alone
    texts = [[t["content"] for side in ("conversation_a", "conversation_b") for t in r[side]] for r in decided]
    assert sum(not all(t.strip() for t in text) for text in texts) > 50
    assert sum(r["conversation_a"][0] != r["conversation_b"][0] for r in decided) > 5
    assert any(
        all(t["content"].strip() for t in r[side][:2]) and not r[side][3]["content"].strip()
        for r in decided
        for side in ("conversation_a", "conversation_b")
        if r["turn"] == 2
    )
    assert all(chosen != rejected for _, chosen, rejected in filter(None, map(pair, records)))


def test_harmful_requests_are_refused_by_some_and_most_judges_like_that(records: list[dict]) -> None:
    pairs = [pair(r) for r in records if r["openai_moderation"]["flagged"]]
    split = [(refusal(p[1]), refusal(p[2])) for p in pairs if p]
    refused, complied = split.count((True, False)), split.count((False, True))
    assert refused > 2 * complied > 0


def test_judges_differ_in_their_taste_for_length(records: list[dict]) -> None:
    longer = defaultdict(list)
    for record in records:
        texts = pair(record)
        if texts and len(texts[1]) != len(texts[2]):
            longer[record["judge"]].append(len(texts[1]) > len(texts[2]))
    share = np.array([np.mean(v) for v in longer.values() if len(v) >= 10])
    assert len(share) > 200 and np.mean(share > 0.5) > 0.6 and np.mean(share < 0.5) > 0.05
    # Their spread is more than chance: binomial noise alone would give this much.
    chance = np.mean([0.25 / len(v) for v in longer.values() if len(v) >= 10])
    assert share.var() > 1.5 * chance
    people = [arena.make_judge(f"arena_user_{i}") for i in range(300)]
    assert min(j.length for j in people) < 0 < np.median([j.length for j in people])
    assert min(j.refusal for j in people) < 0 < np.median([j.refusal for j in people])


def test_models_differ(records: list[dict]) -> None:
    played, won = Counter(), Counter()
    for record in records:
        if record["winner"].startswith("model"):
            played.update((record["model_a"], record["model_b"]))
            won[record[record["winner"]]] += 1
    rate = {m.name: won[m.name] / played[m.name] for m in arena.MODELS}
    assert len(rate) == 8 and max(rate.values()) > 0.6 and min(rate.values()) < 0.4


def test_held_out_facts_are_asked_by_no_judge(records: list[dict]) -> None:
    codes = {name: code for code, name in NAMES.items()}
    said: dict[str, list[str]] = defaultdict(list)
    for record in records:
        for side in ("conversation_a", "conversation_b"):
            said[codes[record["language"]]] += [t["content"] for t in record[side]]
    assert len(said) == len(NAMES)
    assert_nothing_held_out(said)


@pytest.mark.parametrize("make", [arena.chatbot_questions, wildchat.wildchat_questions])
def test_questions(make) -> None:
    made = make()
    assert len(made) == 50 and len({q["id"] for q in made}) == len({q["instruction"] for q in made}) == 50
    held = {
        (code, users.question(f, code, which)): users.reference(f, code)
        for code in lexicon.LANGUAGES
        for f in tasks.all_facts()
        if f.key in tasks.held_out(f.kind)
        for which in range(4)
    }
    for q in made:
        assert list(q) == ["id", "language", "instruction", "reference", "fact", "instead"]
        assert says(q["reference"], q["fact"], q["instead"]) and not says(q["instruction"], q["fact"], q["instead"])
        assert held[q["language"], q["instruction"]] == q["reference"]
    english = sum(q["language"] == "en" for q in made)
    assert english == (43 if make is arena.chatbot_questions else 28)  # 86 % of judges, 56 of 100 clients
    assert make(7, seed=1) == make(7, seed=1) != make(7, seed=2) and len(make(7, seed=1)) == 7


def test_seeds() -> None:
    assert list(arena.arena_records(60, 1)) == list(arena.arena_records(60, 1))
    assert list(arena.arena_records(60, 1)) != list(arena.arena_records(60, 2))
    assert len(list(islice(arena.arena_records(10**6), 3))) == 3  # streamed


def test_harmful_questions_are_held_out_and_distinct() -> None:
    made = harmful.harmful_questions(20)
    assert len(set(made)) == 20 and made == harmful.harmful_questions(20) != harmful.harmful_questions(20, seed=1)
    assert all(any(deed in text for deed in harmful.held_out_deeds()) for text in made)
    raw = lexicon.read_json("harmful.json")
    assert all(refusal(text) for text in raw["refusals"]) and not any(refusal(text) for text in raw["compliances"])


def test_words_between_turns_exist_in_every_language() -> None:
    raw = lexicon.read_json("turns.json")
    assert set(raw) == set(lexicon.LANGUAGES)
    for entry in raw.values():
        assert entry["and"].count("{x}") == 1 and len(entry["next"]) == 2 and entry["read"]


def test_a_later_question_stays_with_kind_or_subject() -> None:
    rng = np.random.default_rng(0)
    asker = chat.make_asker("someone", "en", rng, pasters=0.0)
    short = 0
    for _ in range(300):
        first = chat.first_turn(asker, rng, harmless=True)
        later = chat.next_turn(asker, first, rng)
        assert later.fact != first.fact
        assert later.fact.kind == first.fact.kind or later.fact.key == first.fact.key
        assert later.fact.key not in tasks.held_out(later.fact.kind)
        short += later.text.startswith("And what about")
    assert 0 < short < 300
