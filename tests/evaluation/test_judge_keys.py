"""Where a judge's key goes and where it does not, and what stands between us and a server."""

from __future__ import annotations

import json
import pickle

import pytest
from judge_tools import KEY, MODEL, grade, item, set_environment, spec
from runner_tools import call, write_notebook

from fedkit.common.errors import FedkitError
from fedkit.common.http import is_loopback
from fedkit.evaluation.judges import JudgeChoice, JudgeSpec, OpenAIJudge
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


@pytest.mark.parametrize("make", [lambda url: JudgeSpec("m", url), lambda url: JudgeChoice("m", url)])
def test_an_address_is_a_place_and_nothing_else(make):
    """Refused in a sentence, in which nothing of a secret stands; by the command line too, before anything runs."""
    for form in ("user:{}@host/v1", "{}@host/v1", "host/v1?key={}", "host/v1#key={}", "host/v1;key={}", "host/v1?{}#"):
        with pytest.raises(FedkitError, match="holds a user, a password, a query or a fragment .* written") as caught:
            make("http://" + form.format("sesame"))
        assert "sesame" not in str(caught.value)
    wrong = (
        "http://[::1",
        "http://[::g]/v1",
        "http://host:abc/v1",
        "http://host:99999/v1",
        "http://host:0/v1",
        "host/v1",
    )
    wrong += (
        "http://ho st/v1",
        "http://host/v 1",
        "http://host/v1\n",
        "ftp://host/v1",
        "http:///v1",
        "http://ho<st/v1",
    )
    for url in (*wrong, "", "localhost:8000", "http://-host/v1", "http://" + 70 * "é" + "/v1", " http://host/v1"):
        with pytest.raises(FedkitError, match="is no web address: .*give e.g. https://api.openai.com/v1"):
            make(url)
    for url in ("http://[::1]:8000/v1", "https://münchen.example/v1/", "http://judge_1:65535", "HTTPS://Host/v1"):
        make(url)
    assert JudgeSpec("m", "http://[::1]:8000/v1").origin == "http://loopback/v1"
    assert JudgeSpec("m", "http://[::1]:8000/v1/").place == "http://[::1]:8000/v1"


@pytest.mark.parametrize("url", ["http://[::1", "http://host:abc/v1", "http://host/v1#key=sesame"])
def test_the_command_line_refuses_an_address_in_a_sentence(tmp_path, url):
    write_notebook(tmp_path / "notebooks", "40", "1", own="judge_model = None\njudge_url = None")
    done = call(tmp_path, "--only", "40", "--plan", "--judge-model", "m", "--judge-url", url)
    assert done.returncode == 2 and "the address of the judge" in done.stderr and "sesame" not in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_key_that_no_header_can_hold(monkeypatch):
    for key in ("sk with blanks", "sk-é-0123456789", "sk-line\nX-Other: 1"):
        monkeypatch.setenv("FEDKIT_TEST_KEY", key)
        with pytest.raises(
            FedkitError, match="the key in FEDKIT_TEST_KEY holds blanks, line ends or letters beyond"
        ) as e:
            OpenAIJudge(JudgeSpec("m", "https://host/v1", key_variable="FEDKIT_TEST_KEY")).check()
        assert key not in str(e.value)


def test_a_server_that_is_not_openais_hears_the_key_alone(monkeypatch):
    """Of organisation, project and headers of the environment nothing; not even a key in their place."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-0123456789")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-0123456789")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: a\nAuthorization: Bearer another")
    with LoopbackServer(grade, keep_headers=True) as server:
        assert OpenAIJudge(spec(server)).rate_all([item(1)]) == [2.0]
    assert server.headers_seen == [f"Bearer {KEY}"]
    http = {"accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "host"}
    assert server.names_seen == http | {"user-agent"}


def test_a_key_in_a_reply_is_kept_nowhere(tmp_path):
    """Neither in the text nor in the reason for its end, whatever the case of its letters; the file is its owner's."""
    path = tmp_path / "replies.jsonl"
    path.touch(0o644)
    with LoopbackServer(grade, lambda *_: "key echoed") as server:
        judge = OpenAIJudge(spec(server), cache=path)
        (judgement,) = judge.judge_all([item(1)])
    (line,) = map(json.loads, path.read_text().splitlines())
    assert judgement.rating == 2.0 and "(Bearer [key])" in judgement.reply and line["finish"] == "stop: BEARER [key]"
    assert KEY.lower() not in path.read_text().lower() and path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("fault", ["moved elsewhere", "found elsewhere"])
def test_a_redirect_to_another_host_is_not_followed(fault):
    with LoopbackServer(grade) as there, LoopbackServer(grade, lambda *_: fault) as server:
        server.elsewhere = f"{there.base_url}/chat/completions?key={KEY}"
        with pytest.raises(FedkitError, match=r"answers with status 30[27] and points to (\S+), where") as caught:
            OpenAIJudge(spec(server, concurrency=1)).rate_all([item(1), item(2)])
        assert f"{there.base_url}/chat/completions," in str(caught.value) and KEY not in str(caught.value)
        assert not there.requests and server.requests.total() == 1


def test_a_redirect_within_a_server_is_the_same_request():
    with LoopbackServer(grade, lambda *_: "moved", keep_headers=True) as server:
        assert OpenAIJudge(spec(server)).rate_all([item(1)]) == [2.0]
        assert server.headers_seen == [f"Bearer {KEY}"] * 2 and server.requests.total() == 2
    with LoopbackServer(grade, lambda *_: "moved in a circle") as server:
        with pytest.raises(FedkitError, match="it redirects in a circle"):
            OpenAIJudge(spec(server)).rate_all([item(1)])
        assert server.requests.total() == 4


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
