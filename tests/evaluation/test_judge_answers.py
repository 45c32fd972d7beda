"""What servers answer in place of a plain reply: other forms, refusals of one item or one option, errors, floods."""

from __future__ import annotations

import json
import resource
import time

import pytest
from judge_tools import KEY, grade, item, number_of, rating_of, set_environment, spec

from fedkit.common.errors import FedkitError
from fedkit.evaluation.judges import JudgeCache, OpenAIJudge
from tools.loopback_judge import LoopbackServer

ITEMS = [item(number) for number in range(10)]
ALL = [rating_of(number) for number in range(10)]
NO_LIMIT = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
NO_HEAT = "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported."
EXTRA = "[{'type': 'extra_forbidden', 'loc': ('body', 'top_k'), 'msg': 'Extra inputs are not permitted'}]"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    set_environment(monkeypatch)


def on(number, fault):
    """A fault at every request for one item."""
    return lambda messages, attempt: fault if number_of(messages) == number else None


# --- replies of other forms


@pytest.mark.parametrize("form", ["parts", "events", "packed"])
def test_a_reply_is_read_in_any_form(form, tmp_path):
    with LoopbackServer(lambda messages: f"Sì!\u2028\n{grade(messages)}", lambda *_: form) as server:
        judge = OpenAIJudge(spec(server), cache=tmp_path / "replies.jsonl")
        judgements = judge.judge_all(ITEMS)
    assert [j.rating for j in judgements] == ALL
    assert [j.reply for j in judgements] == [f"Sì!\u2028\nA word first. Grade: [[{rating:g}]]" for rating in ALL]
    assert judge.report.completion_tokens == 6 * len(ITEMS) and not judge.report.retries


def test_thinking_is_no_reply_and_a_cut_one_has_no_rating():
    """Of each item by its number: thought to the end and graded, or cut within the thought or after it."""
    ends = {0: ("<think>[[1]] or [[2]]?</think> Grade: [[8]]", "stop"), 1: ("<think> end with [[4]]", "length")}
    ends |= {2: ("<think>so</think> Grade: [[5]] since", "length"), 3: ("", "content_filter")}
    with LoopbackServer(lambda messages: ends[number_of(messages)]) as server:
        judge = OpenAIJudge(spec(server))
        judgements = judge.judge_all(ITEMS[:4])
    assert [(j.rating, j.why) for j in judgements] == [
        (8.0, "rated"),
        (None, "cut off"),
        (None, "cut off"),
        (None, "content filter"),
    ]
    assert judge.report.unparsed == {"cut off": 2, "content filter": 1}
    assert judge.report.unrated == {"cut off": ["1", "2"], "content filter": ["3"]}
    assert "3 without a rating (75.0 %: 1 content filter (items 3), 2 cut off (items 1, 2))" in judge.report.describe()


# --- what the server will not do


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("too long", "too long for the judge"),
        ("too large for the server", "too long for the judge"),
        ("filtered", "content filter"),
        ("bad request", "refused by the server"),
    ],
)
def test_one_refused_item_is_unrated_named_and_asked_once(fault, why, tmp_path):
    path = tmp_path / "replies.jsonl"
    with LoopbackServer(grade, on(3, fault)) as server:
        judge = OpenAIJudge(spec(server), cache=path)
        judgements = judge.judge_all(ITEMS)
        assert [j.rating for j in judgements] == [None if n == 3 else ALL[n] for n in range(10)]
        assert (judgements[3].why, judge.report.unrated) == (why, {why: ["3"]}) and judgements[3].reply
        assert f"1 without a rating (10.0 %: 1 {why} (items 3))" in judge.report.describe()
        again = OpenAIJudge(spec(server, prices={judge.name: (1.0, 1.0)}), cache=JudgeCache(path))
        assert again.judge_all(ITEMS[3:4])[0].why == why and again.report.kept_cost == 0
        assert set(server.requests.values()) == {1}


def test_items_that_are_too_long_never_stop_a_table():
    with LoopbackServer(grade, lambda *_: "too long") as server:
        judge = OpenAIJudge(spec(server))
        assert judge.rate_all(ITEMS) == [None] * 10 and server.requests.total() == 10
        assert "10 too long for the judge (items 0, 1, 2, 3, 4 and 5 more)" in judge.report.describe()


def test_a_refusal_of_the_first_item_waits_for_the_others():
    """Asked one by one: at the first nobody knows yet whether the item or an option is the reason."""
    with LoopbackServer(grade, on(0, "bad request")) as server:
        assert OpenAIJudge(spec(server, concurrency=1)).rate_all(ITEMS[:3]) == [None, *ALL[1:3]]
        with pytest.raises(
            FedkitError, match=r"status 400 \(unknown option\); look at .*; asked about item 0 \(0 of 1"
        ):
            OpenAIJudge(spec(server)).rate_all(ITEMS[:1])


def test_options_that_the_server_refuses_are_left_out_and_told(tmp_path):
    refuses = {"max_tokens": NO_LIMIT, "temperature": NO_HEAT, "top_k": EXTRA}
    options = {"max_tokens": 77, "top_k": 5, "seed": 1}
    with LoopbackServer(grade, refuses=refuses) as server:
        judge = OpenAIJudge(spec(server, options=options, concurrency=1, attempts=1), cache=tmp_path / "replies.jsonl")
        assert judge.rate_all(ITEMS) == ALL
        assert server.requests.total() == 10 + 3  # once each
        assert server.options_seen[-1] == {"model": judge.name, "max_completion_tokens": 77, "seed": 1}
        again = OpenAIJudge(spec(server, options=options), cache=tmp_path / "replies.jsonl")
        again.rate_all(ITEMS)
    told = "10 asked without temperature, 10 asked without top_k, which the server refuses"
    assert told in judge.report.describe() and told in again.report.describe()
    assert judge.report.retries == {"max_tokens refused": 1, "temperature refused": 1, "top_k refused": 1}
    assert {json.loads(line)["temperature"] for line in (tmp_path / "replies.jsonl").open()} == {None}


def test_many_threads_leave_the_same_option_out():
    with LoopbackServer(grade, refuses={"temperature": NO_HEAT}) as server:
        assert OpenAIJudge(spec(server, concurrency=10)).rate_all(ITEMS) == ALL
        assert server.options_seen[-1]["max_tokens"] == 2048 and server.requests.total() <= 20


# --- what is no reply at all


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no document", r"gave a malformed reply \(busy\); look at base_url: is /v1 missing\?"),
        ("an error in place of a reply", r"gave a malformed reply \(model is loading\)"),
        ("another document", r"gave a malformed reply \({\"choices\": \[\]}\)"),
        ("packed otherwise", "packed by 'br', which was not asked for"),
    ],
)
def test_another_kind_of_server_is_told_soon_and_in_its_own_words(fault, words):
    began = time.monotonic()
    with LoopbackServer(grade, lambda *_: fault) as server:
        with pytest.raises(FedkitError, match=words):
            OpenAIJudge(spec(server, concurrency=1, backoff=0.1)).rate_all(ITEMS)
        assert server.requests.total() <= 3 and time.monotonic() - began < 20


@pytest.mark.parametrize("fault", ["no document", "half a stream", "a limit in place of a reply", "half a document"])
def test_a_server_that_is_busy_for_a_moment_is_asked_again(fault):
    with LoopbackServer(grade, lambda messages, attempt: fault if attempt == 1 else None) as server:
        judge = OpenAIJudge(spec(server))
        assert judge.rate_all(ITEMS) == ALL
    assert judge.report.retries.total() == 10 and len(judge.report.retries) == 1


@pytest.mark.parametrize("fault", ["bomb", "too large"])
def test_a_flood_is_cut_at_its_limit(fault, tmp_path):
    """Three megabytes that unpack to three gigabytes: 4 MiB of it are read, and the other items are rated."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with LoopbackServer(grade, on(3, fault)) as server:
        judge = OpenAIJudge(spec(server), cache=tmp_path / "replies.jsonl")
        judgements = judge.judge_all(ITEMS)
        assert server.requests.total() == 10
    assert [j.rating for j in judgements] == [None if n == 3 else ALL[n] for n in range(10)]
    assert judge.report.unrated == {"reply too large": ["3"]}
    assert judgements[3].reply == "its answer is larger than 4 MiB"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
    assert (tmp_path / "replies.jsonl").stat().st_size < 10_000


def test_a_servers_words_steer_no_terminal(monkeypatch):
    from tools import loopback_judge

    told = f"\x1b[2J{KEY}\x07\nline\u202etwo " + "x" * 5000
    faults = {**loopback_judge.FAULTS, "rude": lambda handler, *_: handler.give(404, {"error": {"message": told}})}
    monkeypatch.setattr(loopback_judge, "FAULTS", faults)
    with LoopbackServer(grade, lambda *_: "rude") as server, pytest.raises(FedkitError) as caught:
        OpenAIJudge(spec(server)).rate_all(ITEMS[:1])
    text = str(caught.value)
    assert text.isprintable() and KEY not in text and "[2J[key] line two" in text and len(text) < 600
