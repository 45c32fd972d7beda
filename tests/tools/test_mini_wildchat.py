"""The embedded world's chat logs: schema, the clients of both WildChat rules, what must be dropped, held-out facts."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import datetime
from itertools import islice

import numpy as np
import pytest
from mini_tools import assert_nothing_held_out

from tools.world import lexicon, wildchat

FIELDS = {
    "conversation_hash": str,
    "model": str,
    "timestamp": str,
    "conversation": list,
    "turn": int,
    "language": str,
    "openai_moderation": list,
    "detoxify_moderation": list,
    "toxic": bool,
    "redacted": bool,
    "hashed_ip": str,
    "country": str,
}
CODES = {lexicon.language(code).name: code for code in wildchat.CLIENTS_BY_LANGUAGE}


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return list(wildchat.wildchat_records())


def filled(turns: list[dict]) -> bool:
    return all(turn["content"].strip() for turn in turns)


def single(records: list[dict], minimum: int) -> Counter:
    """The rule by hand: first exchanges by address, addresses with at least `minimum`."""
    counts = Counter(r["hashed_ip"] for r in records if filled(r["conversation"][:2]))
    return Counter({ip: n for ip, n in counts.items() if n >= minimum})


def multi(records: list[dict], minimum: int) -> Counter:
    """Whole conversations of at least two user turns by address."""
    counts = Counter(r["hashed_ip"] for r in records if len(r["conversation"]) >= 4 and filled(r["conversation"]))
    return Counter({ip: n for ip, n in counts.items() if n >= minimum})


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("n", [1200, 1999, 6000])
def test_rules_leave_100_and_50_clients(n: int, seed: int) -> None:
    made = list(wildchat.wildchat_records(n, seed))
    assert len(made) == n
    by_first, by_whole = single(made, n // 300), multi(made, n // 400)
    assert len(by_first) == 100 and len(by_whole) == 50
    assert set(by_whole) <= set(by_first)
    assert len({r["hashed_ip"] for r in made}) == 160
    # Leaving out every conversation with an empty later answer changes no client.
    assert single([r for r in made if filled(r["conversation"])], n // 300).keys() == by_first.keys()
    values = np.array(list(by_first.values()))
    assert values.std() > 0.6 * values.mean()  # the paper: 527 +- 477


def test_schema(records: list[dict]) -> None:
    for record in records:
        assert {name: type(value) for name, value in record.items()} == FIELDS
        assert re.fullmatch(r"[0-9a-f]{32}", record["conversation_hash"])
        assert re.fullmatch(r"[0-9a-f]{64}", record["hashed_ip"])
        assert record["model"].startswith(("gpt-3.5-turbo-", "gpt-4-"))
        turns = record["conversation"]
        assert [t["role"] for t in turns] == ["user", "assistant"] * record["turn"]
        assert len(record["openai_moderation"]) == len(record["detoxify_moderation"]) == record["turn"]
        for turn in turns:
            assert set(turn) == {"content", "role", "language", "toxic", "redacted", "hashed_ip", "country"}
            assert turn["hashed_ip"] == (record["hashed_ip"] if turn["role"] == "user" else None)
        assert record["language"] == turns[0]["language"] and record["language"] in CODES
        assert record["toxic"] == any(t["toxic"] for t in turns)
        assert record["redacted"] == any(t["redacted"] for t in turns)
    times = [datetime.fromisoformat(r["timestamp"]) for r in records]
    assert times == sorted(times)
    assert len({r["conversation_hash"] for r in records}) == len(records)


def test_older_releases() -> None:
    for record in wildchat.wildchat_records(50, drift=True):
        assert "conversation_hash" not in record and "country" not in record
        assert all("country" not in turn for turn in record["conversation"])


def test_what_must_be_dropped_and_what_must_not(records: list[dict]) -> None:
    n = len(records)
    turns = Counter(r["turn"] for r in records)
    assert set(turns) == {1, 2, 3, 4, 5} and 0.2 * n < n - turns[1] < 0.4 * n
    assert 20 < sum(not filled(r["conversation"][:2]) for r in records) < 60
    assert sum(filled(r["conversation"][:2]) and not filled(r["conversation"]) for r in records) > 5
    languages = Counter(r["language"] for r in records)
    assert 0.5 * n < languages["English"] < 0.85 * n and len(languages) >= 8
    assert sum(r["toxic"] for r in records) > 30 and sum(r["redacted"] for r in records) > 20
    assert len({r["model"] for r in records}) == 4
    assert sum("And what about" in t["content"] for r in records for t in r["conversation"]) > 100
    assert sum(r["conversation"][0]["content"].startswith("Read this text:") for r in records) > 100


def test_users_differ(records: list[dict]) -> None:
    kept = single(records, 20)
    lengths, answers, tongues = defaultdict(list), defaultdict(list), defaultdict(Counter)
    for record in records:
        if record["hashed_ip"] in kept:
            question, answer = record["conversation"][:2]
            lengths[record["hashed_ip"]].append(len(question["content"]))
            answers[record["hashed_ip"]].append(len(answer["content"]))
            tongues[record["hashed_ip"]][record["language"]] += 1
    for values in (lengths, answers):  # means of users spread more than users of one kind would by chance
        means = np.array([np.mean(v) for v in values.values()])
        chance = np.mean([np.var(v) / len(v) for v in values.values()])
        assert means.var() > 3 * chance
    main = Counter(c.most_common(1)[0][0] for c in tongues.values())
    assert main["English"] >= 56 and main["Chinese"] >= 8 and len(main) >= 8
    assert any(len(c) > 1 for c in tongues.values())  # some write in two languages


def test_held_out_facts_are_asked_by_no_user(records: list[dict]) -> None:
    said: dict[str, list[str]] = defaultdict(list)
    for record in records:
        for turn in record["conversation"]:
            said[CODES[turn["language"]]].append(turn["content"])
    assert_nothing_held_out(said)


def test_seeds() -> None:
    assert list(wildchat.wildchat_records(60, 1)) == list(wildchat.wildchat_records(60, 1))
    assert list(wildchat.wildchat_records(60, 1)) != list(wildchat.wildchat_records(60, 2))
    assert len(list(islice(wildchat.wildchat_records(30_000), 3))) == 3
    assert [len(list(wildchat.wildchat_records(n))) for n in (1, 50, 299)] == [1, 50, 299]
