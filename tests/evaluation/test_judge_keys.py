"""Where a judge's key goes and where it does not, and what stands between us and a server."""

from __future__ import annotations

import pickle

import pytest
from judge_tools import KEY, MODEL, grade, item, set_environment, spec
from runner_tools import call, write_notebook

from fedkit.common.errors import FedkitError
from fedkit.evaluation.judges import JudgeChoice, JudgeSpec, OpenAIJudge
from fedkit.evaluation.judges.spec import is_loopback
from tools.loopback_judge import LoopbackServer


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    set_environment(monkeypatch)


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(FedkitError, match="'gpt-4' at https://api.openai.com/v1 needs a key; set OPENAI_API_KEY"):
        OpenAIJudge(JudgeSpec("gpt-4")).rate("q", "a", "r")
    with LoopbackServer(grade) as server:  # a server of one's own may need none
        assert OpenAIJudge(spec(server, key_variable="FEDKIT_NO_SUCH_KEY")).rate("question 4?", "a", "r") == 5.0
    with pytest.raises(FedkitError, match="no web address"):
        JudgeSpec("m", base_url="localhost:8000")
    assert JudgeSpec("m", base_url="http://user:pass@host:8000/v1?token=x").place == "http://host:8000/v1"


def test_openais_key_goes_to_openai_alone(monkeypatch):
    """A server of one's own hears nothing of OPENAI_API_KEY unless its variable is named."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai-0123456789")
    with LoopbackServer(grade, keep_headers=True) as server:
        assert OpenAIJudge(JudgeSpec(MODEL, server.base_url)).rate_all([item(1)]) == [2.0]
        assert OpenAIJudge(spec(server)).rate_all([item(1)]) == [2.0]
        assert server.headers_seen == ["Bearer no-key", f"Bearer {KEY}"]
    assert JudgeSpec("m").key_name == "OPENAI_API_KEY"
    for url in ("https://api.openai.com.example.org/v1", "https://example.org/v1", "http://localhost:8000/v1"):
        assert JudgeSpec("m", url).key_name == ""


def test_a_server_keeps_no_headers_unless_told():
    with LoopbackServer(grade) as server:
        assert OpenAIJudge(spec(server)).rate_all([item(1)]) == [2.0]
        assert server.headers_seen == []


def test_a_key_does_not_travel_unencrypted():
    """Over http only to this machine; without a key anywhere."""
    for url in ("http://judge.example.org/v1", "http://192.168.0.7:8000/v1"):
        with pytest.raises(FedkitError, match="FEDKIT_TEST_KEY would travel unencrypted to http://.*https"):
            OpenAIJudge(JudgeSpec("m", url, key_variable="FEDKIT_TEST_KEY")).check()
        OpenAIJudge(JudgeSpec("m", url)).check()
    OpenAIJudge(JudgeSpec("m", "https://judge.example.org/v1", key_variable="FEDKIT_TEST_KEY")).check()
    for host, here in (("localhost", True), ("127.0.0.9", True), ("::1", True), ("localhost.example.org", False)):
        assert is_loopback(host) is here


def test_the_key_is_in_no_notebook(tmp_path):
    """A notebook that asks a judge, run by reproduce.py: page, notebook, records, ratings and what is printed."""
    cells = (
        "from fedkit import Column, JudgeChoice, Session, Suite\n"
        "choice = JudgeChoice(judge_model, judge_url)\n"
        "kit = Session(profile, seeds=seeds, offline=True, results_dir=results_dir, judge=choice)",
        "row = kit.evaluate('fed_chatbot_it', Suite('v', '', (Column('Vicuna', ('vicuna/score',)),)), limit=3)\n"
        "print(choice, row.foot, kit.judges)\nrow.frame()",
    )
    write_notebook(tmp_path / "notebooks", "40", *cells, own="judge_model = None\njudge_url = None")
    with LoopbackServer(lambda messages: "Grade: [[6]]", keep_headers=True) as server:
        judge = ("--judge-model", "m", "--judge-url", server.base_url)
        done = call(tmp_path, "--only", "40", *judge, env={"FEDKIT_JUDGE_KEY": KEY})
        assert done.returncode == 0, done.stdout + done.stderr
        assert server.headers_seen == [f"Bearer {KEY}"] * 3
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {".ipynb", ".html", ".json", ".jsonl"} <= {path.suffix for path in files}
    assert not [path for path in files if KEY.encode() in path.read_bytes()] and KEY not in done.stdout + done.stderr


def test_a_password_in_an_address_is_not_shown():
    one = JudgeSpec("m", base_url="http://user:pass@host:8000/v1?sesame=x")
    assert "pass" not in repr(one) + repr(OpenAIJudge(one)) and "sesame" not in repr(one)
    with pytest.raises(FedkitError, match="holds a user, a password or a query, which would be written"):
        JudgeChoice("m", "http://user:pass@host:8000/v1")


def test_no_proxy_stands_before_this_machine(monkeypatch):
    """A proxy that is set for all addresses, and of which nothing answers, is not asked for loopback."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with LoopbackServer(grade) as server:
        assert OpenAIJudge(spec(server, attempts=1)).rate_all([item(1)]) == [2.0]


def test_the_port_of_a_server_here_is_no_part_of_what_is_kept():
    first, second = (JudgeSpec("m", f"http://127.0.0.1:{port}/v1") for port in (8000, 8001))
    assert first.origin == second.origin == "http://loopback/v1" and first.place != second.place
    assert JudgeSpec("m", "https://example.org:8000/v1").origin == "https://example.org:8000/v1"


# --- a choice of judges, as plain data


def test_the_papers_judges():
    paper = JudgeChoice("paper")
    found = {name: (paper.spec(name).model, paper.spec(name).temperature) for name in ("mt_bench", "vicuna", "ref")}
    assert found == {"mt_bench": ("gpt-4-1106-preview", 0.0), "vicuna": ("gpt-4", 0.2), "ref": ("gpt-4", 0.2)}
    own = JudgeChoice("my-model", "http://localhost:8000/v1", settings={"temperature": 0.5, "concurrency": 2})
    assert {(own.spec(name).model, own.spec(name).temperature) for name in found} == {("my-model", 0.5)}
    assert own.spec("ref").options["max_tokens"] == 2048 and own.spec("ref").concurrency == 2
    assert pickle.loads(pickle.dumps(own)) == own  # worker processes get it


def test_the_key_of_a_choices_server(monkeypatch):
    """OpenAI's for OpenAI; for any other server one of its own, or none."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai-0123456789")
    monkeypatch.delenv("FEDKIT_JUDGE_KEY", raising=False)
    with LoopbackServer(grade, keep_headers=True) as server:
        JudgeChoice("m", server.base_url).judge("ref").rate_all([item(1)])
        monkeypatch.setenv("FEDKIT_JUDGE_KEY", "sk-of-mine-0123456789")
        JudgeChoice("m", server.base_url).judge("ref").rate_all([item(1)])
        assert server.headers_seen == ["Bearer no-key", "Bearer sk-of-mine-0123456789"]
    assert JudgeChoice("gpt-4").spec("ref").key_name == "OPENAI_API_KEY"


def test_a_choice_is_checked(tmp_path):
    with pytest.raises(FedkitError, match="model has no name"):
        JudgeChoice(" ")
    with pytest.raises(FedkitError, match="no such file of judge's prompts"):
        JudgeChoice("m", prompts=str(tmp_path / "none.jsonl"))
    with pytest.raises(FedkitError, match="unknown setting of a judge 'heat'; known: attempts"):
        JudgeChoice("m", settings={"heat": 1})
    with pytest.raises(FedkitError, match="JudgeSpec.attempts is 0"):
        JudgeChoice("m", settings={"attempts": 0})
    with pytest.raises(FedkitError, match="unknown judged benchmark 'mmlu'"):
        JudgeChoice("m").spec("mmlu")


def test_judges_of_a_choice_share_one_file(tmp_path):
    with LoopbackServer(grade) as server:
        judges = JudgeChoice("m", server.base_url, settings={"backoff": 0.001}).judges(tmp_path / "replies.jsonl")
        assert judges["ref"].rate_all([item(1)]) == judges["vicuna"].rate_all([item(1)]) == [2.0]
        assert judges["mt_bench"].rate_all([item(1)]) == [2.0]  # another temperature is another question
        assert sum(server.requests.values()) == 2
    assert (tmp_path / "replies.jsonl").read_text().count("\n") == 2
