"""The judge client against a server that others wrote: `transformers serve` on loopback, with a local model."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from fedkit.common.errors import FedkitError
from fedkit.evaluation.judges import JudgeChoice, JudgeItem, JudgeSpec, OpenAIJudge, ref_item

COMMAND = Path(sys.executable).with_name("transformers")
ABSENT = [name for name in ("fastapi", "uvicorn") if importlib.util.find_spec(name) is None]
KEY = "sk-serve-0123456789abcdef"
WRITTEN = 12  # tokens of a reply at most
TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant: "
ITEMS = [
    ref_item("What is the capital of Italy?", "Rome.", "The capital of Italy is Rome.", "a"),
    ref_item("What is the capital of Spain?", "Rome.", "", "b"),
    JudgeItem("c", "single-v1", ("Count to two.",), ("one two",)),
    JudgeItem("d", "single-v1-multi-turn", ("Name a colour.", "And another."), ("Red.", "Blue.")),
    JudgeItem("e", "single-v1", ("Count to two.",), ("one two",)),  # as c, so asked once
]

pytestmark = [
    pytest.mark.skipif(bool(ABSENT), reason=f"serving needs {', '.join(ABSENT)}"),
    pytest.mark.skipif(not COMMAND.exists(), reason="there is no command `transformers` beside this Python"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(address, folder of the model, the server's log); the embedded model under a plain chat template."""
    from fedkit import mini

    home = tmp_path_factory.mktemp("serve")
    try:
        model = Path(shutil.copytree(mini.model_path(), home / "model"))
    except FedkitError as error:
        pytest.skip(f"the embedded model is not built: {error}")
    (model / "chat_template.jinja").write_text(TEMPLATE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--log-level", "debug"]
    env = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (home / "log.txt").open("wb") as log:
        server = subprocess.Popen([str(COMMAND), *words], stdout=log, stderr=subprocess.STDOUT, env=env, cwd=home)
    try:
        _wait(f"http://127.0.0.1:{port}/health", server, home / "log.txt")
        yield f"http://127.0.0.1:{port}/v1", model, home / "log.txt"
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(url, server, log):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + 120
    while server.poll() is None and time.monotonic() < end:
        try:
            with opener.open(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not come up: {log.read_text(errors='replace')[-2000:]}")


def test_a_real_server_judges(served, tmp_path, monkeypatch):
    """One reply an item; what a small model writes holds no rating and scores nothing; nothing is asked twice."""
    url, model, log = served
    monkeypatch.setenv("FEDKIT_JUDGE_KEY", KEY)
    settings = {
        "concurrency": 2,
        "options": {"max_tokens": WRITTEN},
        "timeout": 60.0,
        "prices": {str(model): (1.0, 2.0)},
    }
    choice = JudgeChoice(str(model), url, settings=settings)
    path = tmp_path / "replies.jsonl"
    judge = choice.judge("mt_bench", path)
    judgements = judge.judge_all(ITEMS)
    judge.close()

    report = judge.report
    assert [j.id for j in judgements] == ["a", "b", "c", "d", "e"] and judgements[2].reply == judgements[4].reply
    replies = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(replies) == len({reply["key"] for reply in replies}) == 4
    assert report.requests == 4 and not report.retries
    assert [j.rating for j in judgements] == [None] * 5 and report.unparsed.total() == 5
    assert report.unparsed_rate == 1.0

    # What was read and written is the server's own count, and the tokenizer agrees with it.
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    messages = [judge._messages(item) for item in ITEMS[:4]]
    read = [len(tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"]) for chat in messages]
    assert report.prompt_tokens == sum(read) == sum(reply["prompt_tokens"] for reply in replies)
    written = [reply["completion_tokens"] for reply in replies]
    assert report.completion_tokens == sum(written) and all(0 < count <= WRITTEN for count in written)
    assert report.cost == pytest.approx((report.prompt_tokens + 2 * report.completion_tokens) / 1e6)

    again = choice.judge("mt_bench", path)
    assert again.rate_all(ITEMS) == [None] * 5 and (again.report.requests, again.report.cached) == (0, 5)
    again.close()
    said = log.read_text(errors="replace")
    assert "/v1/chat/completions" in said and KEY not in said + path.read_text()


def test_a_real_server_refuses_another_model(served, tmp_path):
    """One sentence, and no reply kept."""
    url, _, _ = served
    spec = JudgeSpec(str(tmp_path / "no-such-model"), url, attempts=2, backoff=0.01, timeout=60.0)
    with pytest.raises(FedkitError, match="no-such-model"):
        OpenAIJudge(spec).rate_all(ITEMS[:1])
