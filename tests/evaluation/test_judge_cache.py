"""Replies on disk: a process that is killed asks nothing twice, and foreign lines do no harm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from judge_tools import MODEL, grade, item, rating_of, set_environment, spec

from fedkit.common.errors import FedkitError
from fedkit.evaluation.judges import JudgeCache, OpenAIJudge
from fedkit.evaluation.judges.cache import cache_key
from tools.loopback_judge import LoopbackServer


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    set_environment(monkeypatch)


CHILD = """
import sys
from fedkit.evaluation.judges import JudgeSpec, OpenAIJudge, ref_item
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
        written = len(grade([{"content": "question 0?"}]).split())  # tokens of a reply, as the server counts them
        assert judge.report.kept_completion_tokens == written * len(kept)
        assert judge.report.completion_tokens == written * asked
        assert max(server.requests.values()) <= 2  # what was under way at the kill, at most
    again = JudgeCache(path)
    assert len(again) == 200 and again.torn == 1


def test_equal_items_are_asked_once_and_others_apart():
    with LoopbackServer(grade) as server:
        judge = OpenAIJudge(spec(server))
        assert judge.rate_all([item(1), item(2), item(1)]) == [2.0, 3.0, 2.0]
        assert sum(server.requests.values()) == 2
        warmer = OpenAIJudge(spec(server, temperature=0.2), cache=judge.cache)
        assert warmer.rate_all([item(1)]) == [2.0] and sum(server.requests.values()) == 3


def written(path, **replies):
    """The lines of a cache that holds replies by key."""
    cache = JudgeCache(path)
    for key, reply in replies.items():
        cache.put(key, {"reply": reply})
    cache.close()
    return path.read_bytes().splitlines()


def test_a_cache_of_other_lines(tmp_path):
    """Foreign, malformed, changed and repeated lines do no harm; the first reply of a key counts."""
    path = tmp_path / "cache.jsonl"
    (first, other) = written(path, a="[[1]]", b="[[2]]")
    (second,) = written(tmp_path / "second.jsonl", a="[[2]]")
    changed = other.replace(b"[[2]]", b"[[9]]")
    lines = (
        first,
        b"",
        b"[]",
        b'{"key": 1, "reply": "x"}',
        b"null",
        second,
        changed,
        b"9" * 5000,
        b"[" * 9000,
        b"\xff",
    )
    path.write_bytes(b"\n".join(lines))
    cache = JudgeCache(path)
    assert len(cache) == 1 and cache.torn == 7 and cache.get("a")["reply"] == "[[1]]"
    cache.put("b", {"reply": "[[3]]"})
    cache.put("a", {"reply": "[[9]]"})
    cache.close()
    again = JudgeCache(path)
    assert again.get("a")["reply"] == "[[1]]" and again.get("b")["reply"] == "[[3]]"
    with pytest.raises(FedkitError, match="cache .* cannot be used"):
        JudgeCache(tmp_path)


FULL = """
import resource, signal, sys
from fedkit.common.errors import FedkitError
from fedkit.evaluation.judges.cache import JudgeCache

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
cache, other = JudgeCache(sys.argv[1]), JudgeCache(sys.argv[1])
cache.put("a", {"reply": "[[1]]"})
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))  # room for half a line, as on a full disk
for _ in range(2):
    try:
        cache.put("b", {"reply": "[[2]]"})
    except FedkitError as error:
        print(error)
print(cache.get("b"), len(cache))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
other.put("c", {"reply": "[[3]]"})  # of another process, which knows nothing of it
cache.put("b", {"reply": "[[2]]"})
print(cache.get("b")["reply"], len(cache))
"""


def test_a_full_disk_costs_the_reply_that_it_cut_and_no_other(tmp_path):
    """What was cut does not count as kept, and nothing is joined to it."""
    path = tmp_path / "cache.jsonl"
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    *refused, after, end = done.stdout.splitlines()
    assert len(refused) == 2 and all("free space and run again" in line for line in refused)
    assert (after, end) == ("None 1", "[[2]] 2")
    again = JudgeCache(path)
    assert {key: again.get(key)["reply"] for key in "abc"} == {"a": "[[1]]", "b": "[[2]]", "c": "[[3]]"}
    assert again.torn == 1 and path.stat().st_mode & 0o777 == 0o600


def test_replies_move_from_memory_to_a_file(tmp_path):
    with LoopbackServer(grade) as server:
        judge = OpenAIJudge(spec(server))
        judge.rate_all([item(1)])
        judge.keep_in(tmp_path / "a.jsonl")
        judge.rate_all([item(1), item(2)])
        judge.keep_in(tmp_path / "b.jsonl")  # it has a file
        judge.close()
        assert sum(server.requests.values()) == 2
    assert len(JudgeCache(tmp_path / "a.jsonl")) == 2 and not (tmp_path / "b.jsonl").exists()


def test_servers_elsewhere_do_not_share_replies():
    here, there = (cache_key(o, "m", [], {}) for o in ("https://a.example.org/v1", "https://b.example.org/v1"))
    assert here != there
