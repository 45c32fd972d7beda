"""Items, gradings and specs for tests of judges over HTTP."""

from __future__ import annotations

import re

from fedkit.evaluation.judges import JudgeSpec, ref_item

MODEL, KEY = "gpt-4-1106-preview", "sk-test-0123456789abcdef"


def set_environment(monkeypatch):
    """A key of the tests' own, and no proxy."""
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
