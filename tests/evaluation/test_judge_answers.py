"""What servers answer in place of a plain reply: other forms, refusals of one item or one option, errors, floods."""

from __future__ import annotations

import json
import resource
import time

import pytest
from judge_tools import KEY, grade, item, number_of, rating_of, set_environment, spec

from fedkit.common.errors import FedkitError
from fedkit.evaluation.judges import JudgeCache, OpenAIJudge
from fedkit.evaluation.judges.answer import Answer, Failure, Refusal, Reply, read
from tools import loopback_judge
from tools.loopback_judge import FAULTS, LoopbackServer

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


def test_an_option_with_which_replies_came_is_not_left_out(monkeypatch):
    """A server that quotes the question, of temperatures as it happens: the item is refused, and the rest as before."""
    fault = {"quoted": lambda handler, *_: handler.give(400, {"error": "cannot parse: must temperature rise?"})}
    monkeypatch.setattr(loopback_judge, "FAULTS", {**FAULTS, **fault})
    with LoopbackServer(grade, on(3, "quoted")) as server:
        judge = OpenAIJudge(spec(server, concurrency=1))
        assert judge.rate_all(ITEMS) == [None if n == 3 else ALL[n] for n in range(10)]
        assert server.requests.total() == 10 and "temperature" in server.options_seen[-1]
    assert judge.report.unrated == {"refused by the server": ["3"]} and not judge.report.left_out


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
    told = f"\x1b[2J{KEY}\x07\nline\u202etwo " + "x" * 5000
    faults = {**FAULTS, "rude": lambda handler, *_: handler.give(404, {"error": {"message": told}})}
    monkeypatch.setattr(loopback_judge, "FAULTS", faults)
    with LoopbackServer(grade, lambda *_: "rude") as server, pytest.raises(FedkitError) as caught:
        OpenAIJudge(spec(server)).rate_all(ITEMS[:1])
    text = str(caught.value)
    assert text.isprintable() and KEY not in text and "[2J[key] line two" in text and len(text) < 600


# --- what servers are known to say, without a server

CONTEXT = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
AZURE = {
    "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    "code": "content_filter",
    "innererror": {"code": "ResponsibleAIPolicyViolation"},
}
SENT = {"max_tokens": 2048, "temperature": 0.2, "top_p": 0.5}


def end_of(status, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(Answer(status, headers, content), SENT)


@pytest.mark.parametrize(
    ("status", "error", "why"),
    [
        (400, {"message": CONTEXT, "code": "context_length_exceeded"}, "too long for the judge"),
        (400, {"message": CONTEXT, "code": 400, "type": "BadRequestError"}, "too long for the judge"),  # vLLM
        (500, {"message": "the request exceeds the available context size"}, "too long for the judge"),  # llama.cpp
        (429, {"message": "Request too large for gpt-4: Limit 10000, Requested 23423."}, "too long for the judge"),
        (413, "Payload Too Large", "too long for the judge"),
        (200, {"message": CONTEXT, "code": 400}, "too long for the judge"),  # OpenRouter: the status in the error
        (400, AZURE, "content filter"),
        (
            400,
            {"message": "Invalid prompt: flagged as violating our usage policy.", "code": "invalid_prompt"},
            "content filter",
        ),
        (403, {"message": "Your chosen model requires moderation and your input was flagged"}, "content filter"),
        (200, {"message": "blocked", "code": "content_filter"}, "content filter"),
    ],
)
def test_a_refusal_of_the_item_itself_is_sure(status, error, why):
    end = end_of(status, {"error": error})
    assert isinstance(end, Refusal) and (end.why, end.sure) == (why, True) and end.said


@pytest.mark.parametrize(
    ("status", "error", "option"),
    [
        (400, {"message": NO_LIMIT, "param": "max_tokens", "code": "unsupported_parameter"}, "max_tokens"),
        (400, {"message": NO_HEAT, "param": "temperature", "code": "unsupported_value"}, "temperature"),
        (400, {"message": "invalid temperature: only 1 is allowed for this model"}, "temperature"),  # Kimi
        (400, {"message": "`temperature` and `top_p` cannot both be specified for this model."}, "temperature"),
        (422, [{"loc": ["body", "top_p"], "msg": "Extra inputs are not permitted"}], "top_p"),  # FastAPI
        (200, {"message": "Unrecognized request argument supplied: top_p"}, "top_p"),
    ],
)
def test_a_refusal_of_an_option_names_it(status, error, option):
    end = end_of(status, {"detail" if isinstance(error, list) else "error": error})
    assert isinstance(end, Failure) and end.option == option and not end.final


def test_words_of_the_prompt_in_an_error_refuse_no_option():
    """A server that quotes the question: neither `temperature` in it nor another's `max_tokens_total` is our option."""
    for message in ("cannot parse: what is the temperature_of ice?", "max_tokens_total must be positive"):
        end = end_of(400, {"error": {"message": message}})
        assert isinstance(end, Refusal) and not end.sure


@pytest.mark.parametrize(
    ("status", "body", "end"),
    [
        (429, {"error": {"message": "slow down"}}, Failure("status 429", wait=7.0)),
        (503, b"<h1>busy</h1>", Failure("status 503", wait=7.0)),
        (200, {"error": {"message": "Provider returned error", "code": 502}}, Failure("status 502", wait=7.0)),
        (200, {"choices": [{"error": {"message": "upstream", "code": 502}}]}, Failure("status 502", wait=7.0)),
        (
            200,
            b'{"choices": [{"mess',
            Failure("malformed reply", '{"choices": [{"mess', "look at base_url: is /v1 missing?"),
        ),
        (200, b"", Failure("malformed reply", "", "look at base_url: is /v1 missing?")),
    ],
)
def test_what_passes_is_asked_again(status, body, end):
    assert end_of(status, body, **{"retry-after": "7"}) == end


@pytest.mark.parametrize(
    ("status", "body", "said", "remedy"),
    [
        (401, {"error": {"message": "bad key"}}, "bad key", "{key}"),
        (402, {"error": {"message": "Insufficient Balance"}}, "Insufficient Balance", "no quota left"),  # DeepSeek
        (403, {"message": "country not supported"}, "country not supported", "no right to this model"),
        (404, b"<html><head></head>\n<h1>Not Found</h1></html>", "Not Found", "/v1"),
        (404, {"error": 'model "x" not found, try pulling it first'}, "try pulling it", "look at model"),  # Ollama
        (429, {"error": {"message": "quota", "code": "insufficient_quota"}}, "quota", "no quota left"),
        (503, {"error": {"message": "quota", "type": "insufficient_quota"}}, "quota", "no quota left"),
        (405, {"detail": "Method Not Allowed"}, "Method Not Allowed", "server's own log"),
    ],
)
def test_what_does_not_pass_ends_with_words_and_a_remedy(status, body, said, remedy):
    end = end_of(status, body)
    assert isinstance(end, Failure) and end.final and end.why == f"refused with status {status}"
    assert said in end.said and remedy in end.remedy


def test_what_is_no_reply_of_the_interface_is_strange():
    for body in (b"<!DOCTYPE html><p>Welcome to nginx!</p>", {"result": "[[7]]"}, {"choices": []}, [], "[[7]]", 7):
        end = end_of(200, body)
        assert isinstance(end, Failure) and end.strange and not end.final and "/v1" in end.remedy
    assert end_of(200, {"error": {"message": "model is loading"}}).said == "model is loading"
    for content in (7, {"text": "[[7]]"}, [None]):
        assert end_of(200, {"choices": [{"message": {"content": content}}]}).strange


def test_counts_and_texts_that_servers_leave_out():
    """No tokens, no finish_reason, a refusal in place of a content, counts that are none."""
    usage = {"prompt_tokens": -1, "completion_tokens": True}
    assert end_of(200, {"choices": [{"message": {"content": "[[7]]"}}]}) == Reply("[[7]]", "None", None, None)
    for message in ({"content": None, "refusal": "I will not."}, {"content": [], "refusal": "I will not."}):
        body = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
        assert end_of(200, body) == Reply("I will not.", "stop", None, None)
