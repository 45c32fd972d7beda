"""Ref questions of the datasets made from chats: so many in all, never trained on."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from chat_tools import CHATBOT, CHATS, MINI, WILDCHAT, chat, few, vote, write
from data_tools import build, excluded, question_source, questions

from fedkit.common.errors import FedkitError
from fedkit.profiles import get_profile

SHARED = Path(__file__).parents[3] / "shared" / "data"
SMOKE, PAPER = get_profile("smoke"), get_profile("paper")
needs_real_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data (../shared/data) is not here")


@pytest.mark.parametrize("name", CHATS)
def test_embedded_questions_are_so_many_in_all(name):
    found = questions(name, MINI)
    assert len(found) == 50 == len({q.id for q in found}) and all(q.reference for q in found)
    assert question_source(name, MINI).kind == "embedded" and len(questions(name, SMOKE)) == 4
    with pytest.raises(FedkitError, match="0 questions are wanted of .*_test; ask for at least 1"):
        questions(name, MINI, per_language=0)


@needs_real_data
@pytest.mark.parametrize("profile", [MINI, PAPER])
def test_real_chatbot_questions_have_no_reference(profile):
    for name in CHATBOT:
        found = questions(name, profile, data_dir=SHARED, offline=True)
        raw = json.loads((SHARED / "fedllm_bench/chatbot_test.json").read_text(encoding="utf-8"))
        assert [q.instruction for q in found] == [row["instruction"] for row in raw] and len(found) == 50
        assert {(q.language, q.reference) for q in found} == {("und", "")}
        assert len(questions(name, profile, data_dir=SHARED, offline=True, per_language=7)) == 7


@needs_real_data
def test_the_offline_judge_rates_no_question_without_a_reference():
    pytest.importorskip("sacrebleu")
    from fedkit.evaluation.judges import ReferenceJudge

    question = questions("fed_chatbot_it", MINI, data_dir=SHARED, offline=True)[0]
    assert ReferenceJudge().rate(question.instruction, "an answer", question.reference) is None


def test_released_wildchat_questions_name_their_language(tmp_path):
    rows = [{"instruction": "q", "language": "Russian"}, {"instruction": "r", "reference": "a"}]
    found = questions("fed_wildchat_multi", MINI, data_dir=write(tmp_path, "wildchat_test.json", rows))
    assert [(q.id, q.language, q.reference) for q in found] == [
        ("wildchat-000", "ru", ""),
        ("wildchat-001", "und", "a"),
    ]
    for broken, says in (([{"question": "q"}], "question 1 of .*missing 'instruction'"), ([], "holds no question")):
        with pytest.raises(FedkitError, match=says):
            questions("fed_wildchat", MINI, data_dir=write(tmp_path, "wildchat_test.json", broken))


@pytest.mark.parametrize(("name", "other"), [CHATBOT, WILDCHAT])
def test_questions_from_raw_records_are_of_users_that_are_not_trained_on(tmp_path, name, other):
    """Real records without a test file: 50 records of small users, the same for both datasets of a family."""
    if name in CHATBOT:
        rows = [vote(f"big{j}", 100 * j + i) for j in range(2) for i in range(12)]
        rows += [vote(f"small{j}", 1000 + 10 * j + i) for j in range(30) for i in range(2)]
        file = "arena/train.jsonl"
    else:
        rows = [chat(f"big{j}", f"q{j}.{i}", "a", "q", "a") for j in range(2) for i in range(25)]
        rows += [chat(f"small{j}", f"q{100 + j}.{i}", "a", "q", "a") for j in range(30) for i in range(2)]
        file = "wildchat/train.jsonl"
    write(tmp_path, file, rows)
    found = questions(name, few(), data_dir=tmp_path)
    assert len(found) == 50 and questions(other, few(), data_dir=tmp_path) == found
    assert found == questions(
        name, few(), data_dir=write(tmp_path, file, rows[::-1])
    )  # the order of the file is nothing
    assert question_source(name, few(), data_dir=tmp_path).kind == "local"
    released = tmp_path / ("chatbot_test.json" if name in CHATBOT else "wildchat_test.json")
    released.write_text(json.dumps([{"instruction": "q"}]))  # as published: no reference answers
    assert [q.reference for q in questions(name, few(), data_dir=tmp_path)] == [""]
    assert questions(name, few(), data_dir=tmp_path, answered=True) == found and all(q.reference for q in found)
    released.write_text(json.dumps([{"instruction": "q"}, {"instruction": "r", "reference": "a"}]))
    assert [q.reference for q in questions(name, few(), data_dir=tmp_path, answered=True)] == ["a"]
    released.unlink()
    for dataset in (name, other):
        built = build(dataset, few(), data_dir=tmp_path, **excluded(dataset, few(), data_dir=tmp_path))
        assert built.dataset.clients == ("big0", "big1")
        texts = Counter(
            row.get("instruction") or row["conversation"][0]["content"] for row in built.dataset.table.to_pylist()
        )
        assert not set(texts) & {q.instruction for q in found} and sum(texts.values()) == len(rows) - 60


def test_no_small_user_is_left_to_ask(tmp_path):
    write(tmp_path, "arena/train.jsonl", [vote("big", i) for i in range(12)])
    with pytest.raises(FedkitError, match="every judge of arena is trained on.*chatbot_test.json"):
        questions("fed_chatbot_pa", few(), data_dir=tmp_path)
