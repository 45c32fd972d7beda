"""The judge client against a real server on loopback, with faults: nothing lost, nothing scored twice or wrongly."""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from fedkit.errors import FedkitError
from fedkit.judge import Judge, ReferenceJudge
from fedkit.judges import (
    JudgeCache,
    JudgeItem,
    JudgeSpec,
    OpenAIJudge,
    load_prompts,
    mt_bench_items,
    parse_rating,
    rate_all,
    read_references,
    ref_item,
    vicuna_items,
)
from fedkit.judges.chat import retry_after
from fedkit.judges.loopback import FAULTS, LoopbackServer
from fedkit.seeds import generator

MODEL, KEY = "gpt-4-1106-preview", "sk-test-0123456789abcdef"
REAL = Path(__file__).parents[2] / "shared" / "data"
TRANSPORT = ("too many", "server error", "overloaded", "hang", "close", "half a document", "another document")
UNPARSED = {"no rating": "Fine.", "out of range": "Grade: [[11]]", "two ratings": "Grade: [[3]] or [[8]]"}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("FEDKIT_TEST_KEY", KEY)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def spec(server, **changes):
    settings = dict(key_variable="FEDKIT_TEST_KEY", backoff=0.001, timeout=30.0, concurrency=16, attempts=12)
    return JudgeSpec(MODEL, server.base_url, **{**settings, **changes})


def item(number):
    return ref_item(f"question {number}?", f"answer {number}", f"reference {number}", id=str(number))


def number_of(messages):
    return int(re.search(r"question (\d+)\?", messages[-1]["content"])[1])


def rating_of(number):
    return float(1 + number % 10)


def grade(messages):
    return f"A word first. Grade: [[{rating_of(number_of(messages)):g}]]"


@pytest.mark.parametrize(
    ("reply", "value", "why"),
    [
        ("Rating: [[5]]", 5.0, "rated"),
        ("[[ 7.5 ]]", 7.5, "rated"),
        ("Rating: [6]", 6.0, "rated"),
        ("see [1] and [2]. Rating: [[9]]", 9.0, "rated"),  # the double form goes first
        ("[[4]] ... so [[4.0]]", 4.0, "rated"),
        ("[[10]]", 10.0, "rated"),
        ("[[11]]", None, "out of range"),
        ("[[0]]", None, "out of range"),
        ("[[-3]]", None, "out of range"),
        ("[[11]] or [5]", None, "out of range"),
        ("[[3]] [[8]]", None, "two ratings"),
        ("[3] [8]", None, "two ratings"),
        ("Rating: 5", None, "no rating"),
        ("[[five]] [[rating]] [[nan]]", None, "no rating"),
        ("", None, "no rating"),
    ],
)
def test_ratings(reply, value, why):
    rating = parse_rating(reply)
    assert (rating.value, rating.why) == (value, why)


def plan(number, attempt):
    """What the server does with the attempt-th request for an item: a fault of 30 % of requests, or a reply."""
    draw = generator(0, "fault", round=attempt, client=str(number)).random()
    kinds = (*TRANSPORT, *UNPARSED)
    return kinds[int(draw / 0.3 * len(kinds))] if draw < 0.3 else "rated"


def _named(faults, early):
    """Faults by the client's names for them."""
    names = {"too many": "status 429", "server error": "status 500", "overloaded": "status 503", "hang": "time-out"}
    names |= {"close": "connection", "half a document": "malformed reply", "another document": "malformed reply"}
    found = Counter(names[fault] for fault in faults if fault in names)
    found["time-out"] += early
    return found


def faulty_server():
    def fault(messages, attempt):
        planned = plan(number_of(messages), attempt)
        return planned if planned in TRANSPORT else None

    def reply(messages):
        with server.lock:
            attempt = server.requests[messages[-1]["content"]]
        return UNPARSED.get(plan(number_of(messages), attempt)) or grade(messages)

    server = LoopbackServer(reply, fault, hang_seconds=10.0)
    return server


def test_a_thousand_requests_with_faults(tmp_path, caplog):
    """Each item ends as the server's plan says: its own rating, or the reason for none; one line each in the cache."""
    caplog.set_level(logging.DEBUG)
    items = [item(number) for number in range(1000)]
    path = tmp_path / "cache.jsonl"
    with faulty_server() as server:
        judge = OpenAIJudge(spec(server, timeout=2.0, attempts=20, concurrency=32), cache=path)
        judgements = judge.judge_all(items)
        judge.close()
        asked = dict(server.requests)
    sent = {number_of([{"content": text}]): count for text, count in asked.items()}
    for number, judgement in enumerate(judgements):  # what the server sent last is what counts
        why = plan(number, sent[number])
        assert (judgement.id, judgement.why, judgement.cached) == (str(number), why, False)
        assert judgement.rating == (rating_of(number) if why == "rated" else None)
    faults = [plan(n, a) for n in sent for a in range(1, sent[n])]
    early = sum(fault not in TRANSPORT for fault in faults)  # replies that a busy machine gave too late
    assert judge.report.retries == {name: count for name, count in _named(faults, early).items() if count}
    assert len(judgements) == len(asked) == judge.report.judged == 1000
    assert all(j.rating in (None, rating_of(n)) for n, j in enumerate(judgements))
    assert judge.report.unparsed.total() == sum(j.rating is None for j in judgements) > 50
    assert judge.report.unparsed_rate == judge.report.unparsed.total() / 1000
    assert judge.report.requests == sum(asked.values()) > 1200
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({line["key"] for line in lines}) == len(lines) == 1000
    assert KEY not in caplog.text + path.read_text() + repr(judge) + judge.report.describe()

    with LoopbackServer(grade) as idle:  # a second judge reads all of it from the disk
        again = OpenAIJudge(spec(idle), cache=path)
        assert again.rate_all(items) == [j.rating for j in judgements]
        assert not idle.requests and again.report.cached == 1000 and again.report.requests == 0


CHILD = """
import sys
from fedkit.judges import JudgeSpec, OpenAIJudge, ref_item
spec = JudgeSpec("{model}", sys.argv[1], key_variable="FEDKIT_TEST_KEY", concurrency=4)
items = [ref_item(f"question {{n}}?", f"answer {{n}}", f"reference {{n}}", id=str(n)) for n in range(200)]
OpenAIJudge(spec, cache=sys.argv[2]).rate_all(items)
"""


def test_killed_and_resumed(tmp_path):
    """What is on disk when the process is killed is not asked again, and a line cut short is."""
    path = tmp_path / "cache.jsonl"

    def slow(messages):
        time.sleep(0.02)
        return grade(messages)

    def lines():
        return path.read_bytes().count(b"\n") if path.exists() else 0

    with LoopbackServer(slow) as server:
        child = subprocess.Popen([sys.executable, "-c", CHILD.format(model=MODEL), server.base_url, str(path)])
        try:
            deadline = time.monotonic() + 120
            while lines() < 40 and child.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
        finally:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        assert 40 <= lines() < 200
        with path.open("ab") as file:
            file.write(b'{"key": "0123", "reply": "Grade: [[')  # cut in the middle
        kept = {line["key"] for line in map(json.loads, path.read_text().splitlines()[:-1])}
        before = dict(server.requests)
        judge = OpenAIJudge(spec(server), cache=path)
        assert judge.cache.torn == 1 and len(judge.cache) == len(kept)
        ratings = judge.rate_all([item(number) for number in range(200)])
        assert ratings == [rating_of(number) for number in range(200)]
        asked = sum(server.requests.values()) - sum(before.values())
        assert asked == judge.report.requests == 200 - len(kept)
        assert max(server.requests.values()) <= 2  # what was under way at the kill, at most
    again = JudgeCache(path)
    assert len(again) == 200 and again.torn == 1


def test_retry_after_is_kept(monkeypatch):
    """A server that asks for 0.3 s hears nothing from any thread for that long."""
    heard = []

    def fault(messages, attempt):
        heard.append(time.monotonic())
        return "pause" if len(heard) == 1 else None

    def pause(handler, own):
        handler.give(429, {"error": {"message": "slow"}}, **{"Retry-After": "0.3"})

    monkeypatch.setattr("fedkit.judges.loopback.FAULTS", {**FAULTS, "pause": pause})
    with LoopbackServer(grade, fault) as server:
        judge = OpenAIJudge(spec(server, concurrency=1))
        assert judge.rate_all([item(1), item(2)]) == [2.0, 3.0]
    assert len(heard) == 3 and heard[1] - heard[0] >= 0.3
    assert judge.report.retries == {"status 429": 1}


def test_retry_after_forms():
    assert retry_after({"retry-after": "7"}) == 7.0
    assert retry_after({"retry-after-ms": "250", "retry-after": "7"}) == 0.25
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 95 < retry_after({"retry-after": date}) <= 100
    assert retry_after({"retry-after": "-5"}) == 0.0
    assert retry_after({}) is None and retry_after({"retry-after": "soon"}) is None


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("wrong key", "refused with status 401 .*set FEDKIT_TEST_KEY"),
        ("no such model", "refused with status 404 .*look at model and base_url"),
        ("bad request", "refused with status 400 .*JudgeSpec.options"),
        ("no quota", "refused with status 429 .*no quota left"),
        ("too many for an hour", "asks to wait 3600 seconds"),
        ("key told", r"refused with status 401 \(bad key: Bearer \[key\]\)"),
    ],
)
def test_a_refusal_stops_with_one_sentence(fault, words, capsys):
    with LoopbackServer(grade, lambda messages, attempt: fault) as server:
        judge = OpenAIJudge(spec(server, concurrency=4))
        with pytest.raises(FedkitError, match=words) as caught:
            judge.rate_all([item(number) for number in range(100)])
        assert sum(server.requests.values()) <= 8  # nobody goes on asking
    text = str(caught.value)
    assert MODEL in text and server.base_url in text and "0 of 100 replies are kept" in text and "\n" not in text
    assert KEY not in text and caught.value.__cause__ is None and caught.value.__context__ is None
    assert KEY not in capsys.readouterr().err


def test_what_never_answers_is_named_and_the_rest_kept(tmp_path):
    def fault(messages, attempt):
        return "server error" if number_of(messages) == 3 else None

    with LoopbackServer(grade, fault) as server:
        judge = OpenAIJudge(spec(server, attempts=3), cache=tmp_path / "cache.jsonl")
        with pytest.raises(FedkitError, match="no reply in 3 attempts to 1 items .last: status 500.*9 of 10 replies"):
            judge.rate_all([item(number) for number in range(10)])
        assert sorted(server.requests.values()) == [1] * 9 + [3]
        server.fault = lambda messages, attempt: None
        assert judge.rate_all([item(number) for number in range(10)]) == [rating_of(n) for n in range(10)]
        assert sorted(server.requests.values()) == [1] * 9 + [4]


def test_nobody_there():
    with LoopbackServer(grade) as server:
        gone = spec(server, attempts=2)
    with pytest.raises(FedkitError, match="no reply in 2 attempts to [0-9]+ items .last: connection"):
        OpenAIJudge(gone).rate_all([item(number) for number in range(40)])


def test_at_most_so_many_at_a_time():
    import threading

    lock, now, most = threading.Lock(), [0], [0]

    def reply(messages):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1
        return grade(messages)

    with LoopbackServer(reply) as server:
        OpenAIJudge(spec(server, concurrency=3)).rate_all([item(number) for number in range(30)])
    assert 2 <= most[0] <= 3


def test_equal_items_are_asked_once_and_others_apart():
    with LoopbackServer(grade) as server:
        judge = OpenAIJudge(spec(server))
        assert judge.rate_all([item(1), item(2), item(1)]) == [2.0, 3.0, 2.0]
        assert sum(server.requests.values()) == 2
        warmer = OpenAIJudge(spec(server, temperature=0.2), cache=judge.cache)
        assert warmer.rate_all([item(1)]) == [2.0] and sum(server.requests.values()) == 3


def test_it_is_a_judge():
    with LoopbackServer(
        lambda messages: "[[8]]" if "## Reference answer" in messages[-1]["content"] else "[[2]]"
    ) as server:
        judge: Judge = OpenAIJudge(spec(server))
        assert judge.name == MODEL
        assert judge.rate("a question", "an answer", "a reference") == 8.0
        assert judge.rate("a question", "an answer", " ") == 2.0
        (seen,) = set(server.headers_seen)
        assert seen == f"Bearer {KEY}"
    with pytest.raises(TypeError, match="not pickled|cannot pickle"):
        pickle.dumps(judge)


def test_any_judge_over_items():
    items = [JudgeItem("1", "single-v1-multi-turn", ("a", "b"), ("x", "y"), ("r", "y"))]
    assert rate_all(ReferenceJudge(), items) == [10.0]
    assert rate_all(ReferenceJudge(), [JudgeItem("1", "single-v1", ("a",), ("x",))]) == [None]


def test_costs_are_counted():
    """The loopback server counts words: three replies of two words at 30 dollars a million, prompts at 10."""
    prices = {MODEL: (10.0, 30.0)}
    items = [item(number) for number in range(3)]
    with LoopbackServer(lambda messages: "Grade: [[5]]") as server:
        judge = OpenAIJudge(spec(server, prices=prices))
        judge.rate_all(items)
        judge.rate_all(items)
    words = sum(len(judge._messages(one)[-1]["content"].split()) for one in items)
    report = judge.report
    assert (report.prompt_tokens, report.completion_tokens, report.cached) == (words, 6, 3)
    assert report.cost == pytest.approx((10 * words + 30 * 6) / 1e6)
    assert OpenAIJudge(spec(server)).report.cost is None
    assert "6 judged (3 kept from before), 0 without a rating; 3 requests" in report.describe()


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(FedkitError, match="'gpt-4' at https://api.openai.com/v1 needs a key; set OPENAI_API_KEY"):
        OpenAIJudge(JudgeSpec("gpt-4")).rate("q", "a", "r")
    with LoopbackServer(grade) as server:  # a server of one's own may need none
        assert OpenAIJudge(spec(server, key_variable="FEDKIT_NO_SUCH_KEY")).rate("question 4?", "a", "r") == 5.0
    with pytest.raises(FedkitError, match="no web address"):
        JudgeSpec("m", base_url="localhost:8000")
    assert JudgeSpec("m", base_url="http://user:pass@host:8000/v1?token=x").place == "http://host:8000/v1"


def test_own_prompts_hold_all_that_the_judge_needs():
    for name, prompt in load_prompts().items():
        turns = 2 if name.endswith("multi-turn") else 1
        references = ("R1", "R2")[:turns] if "math" in name or name == "ref" else ()
        (system, user) = prompt.messages(JudgeItem("x", name, ("Q1", "Q2")[:turns], ("A1", "A{2}")[:turns], references))
        assert system["role"] == "system" and user["role"] == "user"
        for text in (*("Q1", "Q2")[:turns], *("A1", "A{2}")[:turns], *references):
            assert text in user["content"]
        assert parse_rating(user["content"]).why == "rated"  # it shows the form that is read
    with pytest.raises(FedkitError, match="item 'x' has no ref_answer_1 for the judge's prompt 'single-math-v1'"):
        load_prompts()["single-math-v1"].messages(JudgeItem("x", "single-math-v1", ("Q",), ("A",)))


def test_a_prompt_file(tmp_path):
    path = tmp_path / "prompts.jsonl"
    line = {"name": "ref", "system_prompt": "", "prompt_template": "{question}|{answer}|{reference}"}
    path.write_text(json.dumps(line) + "\n")
    assert load_prompts(path)["ref"].messages(ref_item("q", "a", "r")) == [{"role": "user", "content": "q|a|r"}]
    path.write_text(json.dumps({**line, "prompt_template": "{question}{score}"}))
    with pytest.raises(FedkitError, match="field of the template of prompt 1 .*'score'"):
        load_prompts(path)
    path.write_text(json.dumps({**line, "prompt_template": "{question"}))
    with pytest.raises(FedkitError, match="prompt 1 of .*braces"):
        load_prompts(path)
    path.write_text(json.dumps({"name": "ref"}))
    with pytest.raises(FedkitError, match="no text in the field 'system_prompt'"):
        load_prompts(path)


def test_an_unknown_prompt():
    with LoopbackServer(grade) as server, pytest.raises(FedkitError, match="unknown judge's prompt 'pair'"):
        OpenAIJudge(spec(server)).rate_all([JudgeItem("1", "pair", ("q",), ("a",))])


def test_mt_bench_and_vicuna_as_published():
    """All 80 questions in both turns by MT-Bench's own prompts; 30 of them with references."""
    if not REAL.exists():
        pytest.skip("the real MT-Bench is not here: shared/data/mt_bench")
    questions = [json.loads(line) for line in (REAL / "mt_bench" / "question.jsonl").open(encoding="utf-8")]
    references = read_references(REAL / "mt_bench" / "reference_answer" / "gpt-4.jsonl")
    answers = {q["question_id"]: (f"first {q['question_id']}", "second {braces}") for q in questions}
    items = mt_bench_items(questions, answers, references)
    assert len(items) == 160 and sum(bool(i.references) for i in items) == 60 and len({i.id for i in items}) == 160
    prompts = load_prompts(REAL / "mt_bench" / "judge_prompts.jsonl")
    (one,) = (i for i in items if i.id == "111-2")
    text = prompts[one.prompt].messages(one)[-1]["content"]
    assert all(part in text for part in (*questions[30]["turns"], *references[111], "first 111", "second {braces}"))
    vicuna = [json.loads(line) for line in (REAL / "vicuna_bench" / "question.jsonl").open(encoding="utf-8")]
    items += vicuna_items(vicuna, {q["question_id"]: "an answer" for q in vicuna})
    with LoopbackServer(lambda messages: "Rating: [[6]]") as server:
        judge = OpenAIJudge(spec(server), prompts=REAL / "mt_bench" / "judge_prompts.jsonl")
        assert judge.rate_all(items) == [6.0] * 240 and sum(server.requests.values()) == 240
    with pytest.raises(FedkitError, match="question 111 .math. has 0 reference answers"):
        mt_bench_items(questions, answers, {key: value for key, value in references.items() if key != 111})
    with pytest.raises(FedkitError, match="question 81 has 0 answers for 2 turns"):
        mt_bench_items(questions, {}, references)
    with pytest.raises(FedkitError, match="Vicuna question 1 has no answer"):
        vicuna_items(vicuna, {})


def test_items_and_references_are_checked(tmp_path):
    with pytest.raises(FedkitError, match="item 'x' has 1 answers to 2 questions"):
        JudgeItem("x", "single-v1", ("a", "b"), ("c",))
    path = tmp_path / "gpt-4.jsonl"
    path.write_text('{"question_id": 1, "choices": []}\n')
    with pytest.raises(FedkitError, match="line 1 of .*gpt-4.jsonl has no question_id or choices"):
        read_references(path)


def test_a_cache_of_other_lines(tmp_path):
    """Foreign, malformed and repeated lines do no harm; the first reply of a key counts."""
    path = tmp_path / "cache.jsonl"
    path.write_bytes(
        b'{"key": "a", "reply": "[[1]]"}\n\n[]\n{"key": 1, "reply": "x"}\nnull\n{"key": "a", "reply": "[[2]]"}\n\xff'
    )
    cache = JudgeCache(path)
    assert len(cache) == 1 and cache.torn == 4 and cache.get("a")["reply"] == "[[1]]"
    cache.put("b", {"reply": "[[3]]"})
    cache.put("a", {"reply": "[[9]]"})
    cache.close()
    again = JudgeCache(path)
    assert again.get("a")["reply"] == "[[1]]" and again.get("b")["reply"] == "[[3]]"
    with pytest.raises(FedkitError, match="cache .* cannot be used"):
        JudgeCache(tmp_path)
