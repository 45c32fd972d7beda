"""The judge client against a real server on loopback, with faults: nothing lost, nothing scored twice or wrongly."""

from __future__ import annotations

import json
import logging
import pickle
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from judge_tools import KEY, MODEL, grade, item, number_of, rating_of, set_environment, spec

from fedkit.common.errors import FedkitError
from fedkit.common.http import retry_after
from fedkit.common.seeds import generator
from fedkit.evaluation.judges import Judge, JudgeReport, JudgeSpec, OpenAIJudge
from tools.loopback_judge import FAULTS, LoopbackServer

TRANSPORT = ("too many", "server error", "overloaded", "hang", "close", "half a document", "another document")
UNPARSED = {"no rating": "Fine.", "out of range": "Grade: [[11]]", "two ratings": "Grade: [[3]] or [[8]]"}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    set_environment(monkeypatch)


def plan(number, attempt):
    """What the server does with the attempt-th request for an item: a fault of 30 % of requests, or a reply."""
    draw = generator(0, "fault", round=attempt, client=str(number)).random()
    kinds = (*TRANSPORT, *UNPARSED)
    return kinds[int(draw / 0.3 * len(kinds))] if draw < 0.3 else "rated"


def _named(faults):
    """Faults by the client's names for them."""
    names = {"too many": "status 429", "server error": "status 500", "overloaded": "status 503", "hang": "time-out"}
    names |= {"close": "connection", "half a document": "malformed reply", "another document": "malformed reply"}
    return Counter(names[fault] for fault in faults if fault in names)


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
        judge = OpenAIJudge(spec(server, timeout=4.0, attempts=20, concurrency=32), cache=path)
        judgements = judge.judge_all(items)
        judge.close()
        asked = dict(server.requests)
    sent = {number_of([{"content": text}]): count for text, count in asked.items()}
    for number, judgement in enumerate(judgements):  # what the server sent last is what counts
        why = plan(number, sent[number])
        assert (judgement.id, judgement.why, judgement.cached) == (str(number), why, False)
        assert judgement.rating == (rating_of(number) if why == "rated" else None)
    faults = [plan(n, a) for n in sent for a in range(1, sent[n])]
    planned, told = _named(faults), Counter(judge.report.retries)
    late = len(faults) - planned["time-out"]  # a busy machine may give any reply too late: then it is a time-out too
    assert told.total() == len(faults) and planned["time-out"] <= told["time-out"] <= planned["time-out"] + late // 10
    assert not [name for name in planned if name != "time-out" and told[name] > planned[name]]
    assert set(told) == set(planned)
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


def test_retry_after_is_kept(monkeypatch):
    """A server that asks for 0.3 s hears nothing from any thread for that long."""
    heard = []

    def fault(messages, attempt):
        heard.append(time.monotonic())
        return "pause" if len(heard) == 1 else None

    def pause(handler, *_):
        handler.give(429, {"error": {"message": "slow"}}, **{"Retry-After": "0.3"})

    monkeypatch.setattr("tools.loopback_judge.FAULTS", {**FAULTS, "pause": pause})
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
        with pytest.raises(
            FedkitError, match="no reply in 3 attempts to 1 items .3., last: status 500.*9 of 10 replies"
        ):
            judge.rate_all([item(number) for number in range(10)])
        assert sorted(server.requests.values()) == [1] * 9 + [3]
        server.fault = lambda messages, attempt: None
        assert judge.rate_all([item(number) for number in range(10)]) == [rating_of(n) for n in range(10)]
        assert sorted(server.requests.values()) == [1] * 9 + [4]


def test_nobody_there():
    with LoopbackServer(grade) as server:
        gone = spec(server, attempts=2)
    with pytest.raises(FedkitError, match="no reply in 2 attempts to [0-9]+ items .[0-9].*, last: connection"):
        OpenAIJudge(gone).rate_all([item(number) for number in range(40)])


def test_at_most_so_many_at_a_time():

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


def test_it_is_a_judge():
    with LoopbackServer(
        lambda messages: "[[8]]" if "## Reference answer" in messages[-1]["content"] else "[[2]]"
    ) as server:
        judge: Judge = OpenAIJudge(spec(server))
        assert judge.name == MODEL
        assert judge.rate("a question", "an answer", "a reference") == 8.0
        assert judge.rate("a question", "an answer", " ") == 2.0
    with pytest.raises(TypeError, match="not pickled|cannot pickle"):
        pickle.dumps(judge)


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
    assert OpenAIJudge(spec(server)).report.cost is None and report.kept_cost == 0
    later = OpenAIJudge(spec(server, prices=prices), cache=judge.cache)  # all kept: nothing is paid, nothing forgotten
    assert later.rate_all(items) == later.rate_all(items) and later.report.cost == 0
    assert later.report.kept_cost == pytest.approx(report.cost)
    money = f"{report.cost:.4f} US dollars"
    assert f"the kept ones took {words} and 6, {money}; in all {money}" in later.report.describe()
    assert "6 judged (3 kept from before), 0 without a rating (0.0 %); 3 requests" in report.describe()


def test_a_block_is_counted_apart_from_what_was_before():
    replies = iter(("Grade: [[5]]", "none", "Grade: [[6]]", "none"))
    with LoopbackServer(lambda messages: next(replies)) as server:
        judge = OpenAIJudge(spec(server, concurrency=1, prices={MODEL: (10.0, 30.0)}))
        judge.rate_all([item(1), item(2)])
        with judge.counting() as later:
            judge.rate_all([item(2), item(3), item(4)])
        judge.rate_all([item(1)])
    assert (later.judged, later.cached, later.requests, later.completion_tokens) == (3, 1, 2, 3)
    assert later.kept_completion_tokens == 1 and judge.report.kept_completion_tokens == 0
    assert later.unparsed == {"no rating": 2} and judge.report.unparsed == {"no rating": 3}
    assert JudgeReport.from_data(json.loads(json.dumps(later.data()))) == later
    assert "2 without a rating (66.7 %: 2 no rating (items 2, 4)); 2 requests" in later.describe()


def test_a_server_that_drips_is_given_up_in_time():
    """Each byte comes in time and the whole never does: the reply's deadline ends it, and the next attempt has one."""
    with LoopbackServer(grade, lambda messages, attempt: "drip" if attempt == 1 else None) as server:
        judge = OpenAIJudge(spec(server, timeout=0.5))
        assert judge.rate_all([item(1)]) == [2.0]
    assert judge.report.retries == {"time-out": 1}


def test_the_loopback_judge_by_hand():
    """`python tools/loopback_judge.py` prints its address and grades all alike until it is stopped."""
    tool = Path(__file__).parents[2] / "tools" / "loopback_judge.py"
    with subprocess.Popen([sys.executable, str(tool), "--grade", "4"], stdout=subprocess.PIPE, text=True) as server:
        try:
            judge = OpenAIJudge(JudgeSpec("m", server.stdout.readline().strip()))
            assert judge.rate_all([item(1), item(2)]) == [4.0, 4.0]
        finally:
            server.kill()
