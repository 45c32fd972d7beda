"""Who judges a row, what is kept when a run stops, and what a row says where it could not be judged or run."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from judge_tools import KEY

from fedkit.common.errors import FedkitError
from fedkit.data.place import Place
from fedkit.evaluation import cache as kept
from fedkit.evaluation.benchmarks import BENCHMARKS, Column, Pool, Suite
from fedkit.evaluation.judges import Judge, JudgeChoice, JudgeSpec, OpenAIJudge, ReferenceJudge
from fedkit.evaluation.specs import EvalSpec
from fedkit.session import Session
from tools.loopback_judge import LoopbackServer

SHARED = Path(__file__).parents[3] / "shared" / "data"
OFFLINE = ReferenceJudge()
VICUNA = Suite("v", "fed_chatbot_it", (Column("Vicuna", ("vicuna/score",)),))
MT, REF = Column("MT-1", ("mt_bench/turn 1",)), Column("Ref", ("ref/score",))
OPEN = Suite("o", "fed_chatbot_it", (MT, *VICUNA.columns, REF))
CODE = Suite("c", "fed_chatbot_it", (*VICUNA.columns, Column("HumanEval", ("human_eval/pass@1",), 100.0)))
real = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data are not beside this checkout")


class Always(Judge):
    def __init__(self, value):
        self.value, self.name = value, f"always {value}"

    def rate(self, question, answer, reference):
        return self.value


def six(messages):
    return "A word first. Grade: [[6]]"


@pytest.fixture
def kit(tmp_path):
    return Session("smoke", results_dir=tmp_path / "results", offline=True)


@pytest.fixture
def answered(monkeypatch):
    """Every prompt that is answered, in order; the texts are made up."""
    asked = []

    def generate(model, tokenizer, prompts, **options):
        asked.extend(prompts)
        return [f"an answer of {len(prompt)} letters" for prompt in prompts]

    monkeypatch.setattr("fedkit.evaluation.generation.generate", generate)
    return asked


# --- who judges


def test_a_judge_for_each_benchmark(kit, answered):
    judges = {"mt_bench": Always(3.0), "vicuna": Always(5.0), "ref": OFFLINE}
    row = kit.evaluate("fed_chatbot_it", OPEN, limit=3, judge=judges)
    assert (row.score("MT-1").value, row.score("Vicuna").value) == (3.0, 5.0)
    assert row.judges == "always 3.0, always 5.0, chrF of added words (offline)"
    with pytest.raises(FedkitError, match="unknown benchmark of the judges that were given 'ref'; known: mt_bench"):
        kit.evaluate("fed_chatbot_it", OPEN, limit=3, judge={k: v for k, v in judges.items() if k != "ref"})


def test_the_sessions_judge_rates_rows_and_runs(tmp_path, answered, monkeypatch):
    """From plain data: each benchmark by its own temperature, what it cost in the row, every reply in one file.

    The key goes to the server and into no file.
    """
    monkeypatch.setenv("FEDKIT_JUDGE_KEY", KEY)
    with LoopbackServer(six, keep_headers=True) as server:
        choice = JudgeChoice("toy", server.base_url, settings={"prices": {"toy": (1e6, 0.0)}})
        kit = Session("smoke", results_dir=tmp_path, offline=True, judge=choice)
        dataset = kit.build("fed_chatbot_it").dataset
        row = kit.evaluate("fed_chatbot_it", OPEN, limit=3)
        assert set(row.series()) == {6.0} and row.judges == "toy"
        assert {name: report.judged for name, report in row.reports.items()} == {"mt_bench": 6, "vicuna": 3, "ref": 3}
        assert row.foot.startswith("mt_bench: 6 judged (0 kept from before), 0 without a rating (0.0 %); 6 requests")
        assert row.reports["ref"].cost > 0
        kit.train_all([kit.plan("fedavg", dataset)], dataset, suite="ref")
        run = kit.train(kit.plan("fedavg", dataset), dataset)
        scores = kit.evaluate(run, "ref").items_frame("ref")
        assert set(scores["score"]) == {6.0} and scores.attrs["judge"] == "toy"
        before = sum(server.requests.values())
        again = Session("smoke", results_dir=tmp_path, offline=True, judge=choice)
        assert again.evaluate("fed_chatbot_it", OPEN, limit=3).foot == row.foot
        again.evaluate(run, "ref")
        assert sum(server.requests.values()) == before
        assert set(server.headers_seen) == {f"Bearer {KEY}"}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5 and not [path for path in files if KEY.encode() in path.read_bytes()]
    replies = [json.loads(line) for line in (tmp_path / "evaluations" / kept.REPLIES).read_text().splitlines()]
    assert {reply["temperature"] for reply in replies} == {0.0, 0.2} and len(replies) == before


def test_what_a_stopped_call_paid_is_in_the_row_of_the_next(tmp_path, answered):
    """The server fails after two replies; the same call goes on, in the same process or in another."""
    up = [False]
    settings = {"prices": {"toy": (1e6, 1e6)}, "attempts": 1, "patience": 1, "concurrency": 1}

    def rated(name, judge):
        kit = Session("smoke", results_dir=tmp_path / name, offline=True)
        return kit.evaluate("fed_chatbot_it", VICUNA, limit=3, judge=judge).reports["vicuna"]

    with LoopbackServer(six, lambda *_: None if up[0] or server.requests.total() < 3 else "server error") as server:
        spec, found = JudgeSpec("toy", server.base_url, **settings), []
        for name in ("same", "another"):
            up[0], judge = False, OpenAIJudge(spec)
            server.requests.clear()
            with pytest.raises(FedkitError, match="2 of 3 replies are kept"):
                rated(name, judge)
            up[0] = True
            found.append(rated(name, judge if name == "same" else OpenAIJudge(spec)))
        whole = rated("whole", OpenAIJudge(spec))
    assert found[0] == found[1] and (found[0].cached, found[0].requests) == (2, 1)
    assert found[0].kept_cost > 0 == whole.kept_cost
    assert found[0].whole_cost == whole.whole_cost == whole.cost > found[0].cost
    assert found[0].describe().endswith(f"; in all {whole.cost:.4f} US dollars")


def test_a_refused_item_is_named_under_the_row_and_the_mean_says_what_it_is_over(tmp_path, answered):
    """The server refuses one of three items: the row stands, now and when it is read again."""
    refused = []

    def fault(messages, attempt):
        refused[:] = refused or [messages[-1]["content"]]
        return "too long" if messages[-1]["content"] in refused else None

    with LoopbackServer(six, fault) as server:
        kit = Session("smoke", results_dir=tmp_path, offline=True, judge=JudgeChoice("toy", server.base_url))
        rows = [kit.evaluate("fed_chatbot_it", VICUNA, limit=3) for _ in range(2)]
        assert server.requests.total() == 3
    ids = [str(item["id"]) for item in rows[0].items["vicuna"]]
    (name,) = (one for one, value in zip(ids, rows[0].parts["vicuna/score"].values, strict=True) if value is None)
    for row in rows:
        score = row.score("Vicuna")
        assert (score.value, score.count, score.unrated) == (6.0, 2, 1)
        assert "a mean over the 2 of 3 items that have a rating" in score.note and score.note in row.foot
        assert f"1 without a rating (33.3 %: 1 too long for the judge (items {name}))" in row.foot


def test_what_a_stopped_rating_of_a_run_paid_is_told_by_the_next(tmp_path, answered):
    up, told = [False], []
    settings = {"prices": {"toy": (1e6, 1e6)}, "attempts": 1, "patience": 1, "concurrency": 1}
    with LoopbackServer(six, lambda *_: None if up[0] or server.requests.total() < 2 else "server error") as server:
        for name in ("stopped", "whole"):
            judge = JudgeChoice("toy", server.base_url, settings=settings)
            kit = Session("smoke", results_dir=tmp_path / name, offline=True, judge=judge)
            if not up[0]:
                with pytest.raises(FedkitError, match="1 of 4 replies are kept"):
                    kit.evaluate("fed_chatbot_it", "ref")
                up[0] = True
            told.append(kit.evaluate("fed_chatbot_it", "ref").reports["ref"].describe())
    assert told[0].startswith("4 judged (1 kept from before), 0 without a rating (0.0 %); 3 requests")
    (whole,) = re.findall(r"written, (.+ US dollars)$", told[1])
    assert told[0].endswith(f"; in all {whole}") and told[0].count(whole) == 1


def test_worker_processes_get_the_judge(tmp_path, answered, monkeypatch):
    """What `train_all` hands to them is the session's choice."""
    seen = []

    def train_and_sit(config, **options):
        seen.append(options["judge"])
        return SimpleNamespace(remarks="")

    monkeypatch.setattr("fedkit.evaluation.exam.train_and_sit", train_and_sit)
    choice = JudgeChoice("toy", "http://localhost:9/v1")
    kit = Session("smoke", results_dir=tmp_path, offline=True, judge=choice)
    dataset = kit.build("fed_chatbot_it").dataset
    kit.train_all([kit.plan("fedavg", dataset)], dataset, suite="ref")
    assert seen == [choice]


# --- what is kept


def test_a_model_that_dies_is_not_asked_again_for_what_it_said(kit, answered, monkeypatch):
    """It dies at the third chunk; the same call begins there, and the row is that of a run that never died."""
    monkeypatch.setattr(kept, "CHUNK", 8)
    spec = EvalSpec(max_new_tokens=4, batch_size=4)
    fine = __import__("fedkit.evaluation.generation", fromlist=["generate"]).generate

    def dies(model, tokenizer, prompts, **options):
        if len(answered) >= 16:
            raise KeyboardInterrupt
        return fine(model, tokenizer, prompts, **options)

    monkeypatch.setattr("fedkit.evaluation.generation.generate", dies)
    with pytest.raises(KeyboardInterrupt):
        kit.evaluate("fed_chatbot_it", VICUNA, evaluation=spec)
    first = list(answered)
    assert len(first) == 16
    monkeypatch.setattr("fedkit.evaluation.generation.generate", fine)
    row = kit.evaluate("fed_chatbot_it", VICUNA, evaluation=spec)
    count = len(BENCHMARKS["vicuna"].items(Pool(Place(None, offline=True, embedded=True)), ""))
    assert len(answered) == count > 16 and len(set(answered)) == len(set(answered[16:])) + len(set(first))
    assert len(row.answers["vicuna"]) == count and not list(kit.folder.glob("evaluations/*-by*"))
    assert kit.evaluate("fed_chatbot_it", VICUNA, evaluation=spec).cached == ("vicuna",) and len(answered) == count


def test_chunks_of_any_size_give_the_same_answers(tmp_path):
    asked = []

    def double(some):
        asked.append(len(some))
        return [2 * x for x in some]

    for chunk in (1, 3, 7, 64):
        assert kept.answers(tmp_path / f"{chunk}.json", range(7), double, chunk) == [0, 2, 4, 6, 8, 10, 12]
    assert asked == [1] * 7 + [3, 3, 1] + [7] + [7]
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["1.json", "3.json", "64.json", "7.json"]


def test_an_api_judge_without_a_file_gets_one(kit, answered):
    with LoopbackServer(six) as server:
        for _ in range(2):  # a second process, whose ratings were lost and whose replies were not
            judge = OpenAIJudge(JudgeSpec("toy", server.base_url))
            kit.evaluate("fed_chatbot_it", VICUNA, limit=3, judge=judge)
            judge.close()
            for path in kit.folder.glob("evaluations/vicuna-*.json"):
                path.unlink()
        assert sum(server.requests.values()) == 3 and judge.report.cached == 3


def test_ratings_are_made_anew_where_the_code_that_reads_them_changed(kit, answered, monkeypatch):
    kit.evaluate("fed_chatbot_it", VICUNA, limit=3, judge=Always(4.0))
    judge = Always(7.0)
    judge.name = "always 4.0"  # by its name the same
    assert kit.evaluate("fed_chatbot_it", VICUNA, limit=3, judge=judge).series()["Vicuna"] == 4.0
    monkeypatch.setattr("fedkit.evaluation.exam.judging_code", lambda name: "other code")
    row = kit.evaluate("fed_chatbot_it", VICUNA, limit=3, judge=judge)
    assert row.series()["Vicuna"] == 7.0 and row.cached == ("vicuna",)


def test_a_judge_of_ones_own_may_name_what_it_is(kit, answered):
    strict, mild = Always(4.0), Always(7.0)
    strict.name = mild.name = "mine"
    strict.identity, mild.identity = {"taste": 0}, {"taste": 1}
    found = [
        kit.evaluate("fed_chatbot_it", VICUNA, limit=3, judge=judge).series()["Vicuna"] for judge in (strict, mild)
    ]
    assert found == [4.0, 7.0]


# --- what is told before anything is generated


def test_a_missing_key_is_told_before_answers_are_made(tmp_path, answered, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    kit = Session("smoke", results_dir=tmp_path, offline=True, judge=JudgeChoice("paper"))
    with pytest.raises(FedkitError, match="'gpt-4' at https://api.openai.com/v1 needs a key; set OPENAI_API_KEY"):
        kit.evaluate("fed_chatbot_it", VICUNA, limit=3)
    with pytest.raises(FedkitError, match="needs a key"):
        kit.evaluate("fed_chatbot_it", "ref")
    dataset = kit.build("fed_chatbot_it").dataset
    with pytest.raises(FedkitError, match="needs a key"):
        kit.train_all([kit.plan("fedavg", dataset)], dataset, suite="ref")
    assert answered == [] and not list(tmp_path.glob("runs/*/manifest.json"))


def test_without_a_sandbox_a_row_says_so_and_goes_on(kit, answered, monkeypatch):
    def none():
        raise FedkitError("no sandbox works here; install bubblewrap")

    monkeypatch.setattr("fedkit.evaluation.benchmarks.human_eval.require_sandbox", none)
    row = kit.evaluate("fed_chatbot_it", CODE, limit=3)
    score = row.score("HumanEval")
    assert (score.value, score.count, score.unrated) == (None, 0, 3)
    assert score.note == "not run: no sandbox works here; install bubblewrap" and score.note in row.foot
    assert list(row.series().index) == ["Vicuna"] and row.answers["human_eval"] == []
    assert not list(kit.folder.glob("evaluations/human_eval*"))  # with a sandbox the same call runs it
    assert len(answered) == 3


# --- references that are not there


def place(data):
    return Pool(Place(data, offline=True, embedded=True))


@real
def test_real_questions_without_references_are_graded_alone(tmp_path, answered):
    """The published Ref questions of Fed-ChatbotIT hold no answers: no judge sees an empty one, and the row says so."""
    shutil.copytree(SHARED / "fedllm_bench", tmp_path / "data" / "fedllm_bench")
    asked = []

    def reply(messages):
        asked.append(messages[-1]["content"])
        return six(messages)

    suite = Suite("r", "fed_chatbot_it", (REF,))
    with LoopbackServer(reply) as server:
        choice = JudgeChoice("toy", server.base_url)
        kit = Session("smoke", results_dir=tmp_path / "r", data_dir=tmp_path / "data", offline=True, judge=choice)
        score = kit.evaluate("fed_chatbot_it", suite).score("Ref")
    assert asked and not any("## Reference answer" in text for text in asked)
    assert score.note == f"{score.count} graded without a reference answer" and score.count == len(asked)
    offline = Session("smoke", results_dir=tmp_path / "r", data_dir=tmp_path / "data", offline=True)
    score = offline.evaluate("fed_chatbot_it", suite).score("Ref")
    assert score.value is None and score.note == f"{score.unrated} not rated for want of a reference answer"


def write_questions(folder, count=2, **fields):
    (folder / "mt_bench").mkdir(parents=True)
    lines = [
        {"question_id": 900 + i, "category": category, "turns": ["one?", "two?"], **fields}
        for i, category in enumerate(("math", "writing")[:count])
    ]
    (folder / "mt_bench" / "question.jsonl").write_text("\n".join(map(json.dumps, lines)))


def test_mt_bench_runs_without_reference_answers(tmp_path):
    """A judge over HTTP grades math alone and says so; the offline one leaves both unrated."""
    write_questions(tmp_path)
    benchmark = BENCHMARKS["mt_bench"]
    items = benchmark.items(place(tmp_path), "")
    with LoopbackServer(six) as server:
        scores = benchmark.score(items, [["a", "b"]] * 2, OpenAIJudge(JudgeSpec("toy", server.base_url)))
    assert scores["turn 1"].note == scores["turn 2"].note == "1 graded without a reference answer"
    assert (scores["math"].count, scores["math"].note) == (2, "2 graded without a reference answer")
    assert scores["writing"].note == "" and scores["turn 1"].value == 6.0
    offline = benchmark.score(items, [["a", "b"]] * 2, OFFLINE)["turn 1"]
    assert (offline.value, offline.unrated) == (None, 2)
    assert offline.note == "2 not rated for want of a reference answer"


def test_the_question_files_own_notes_are_no_reference_answers_and_the_row_says_so(tmp_path):
    """As on the Hub: short notes, blank in some turns; a blank one is shown to no judge."""
    write_questions(tmp_path, reference=["42", ""])
    benchmark, asked = BENCHMARKS["mt_bench"], []
    items = benchmark.items(place(tmp_path), "")

    def reply(messages):
        asked.append(messages[-1]["content"])
        return six(messages)

    with LoopbackServer(reply) as server:
        scores = benchmark.score(items, [["a", "b"]] * 2, OpenAIJudge(JudgeSpec("toy", server.base_url)))
    by_notes = "1 graded against the question file's own notes, not against GPT-4's answers"
    assert scores["turn 1"].note == by_notes
    assert scores["turn 2"].note == "1 graded without a reference answer"
    assert sum("42" in text for text in asked) == 1
    assert all(not item["noted"] for item in benchmark.items(place(None), ""))


@real
def test_reference_answers_alone_are_not_given_to_other_questions(tmp_path):
    """A folder with GPT-4's answers and without the questions: the embedded questions keep their own references."""
    shutil.copytree(SHARED / "mt_bench" / "reference_answer", tmp_path / "mt_bench" / "reference_answer")
    benchmark = BENCHMARKS["mt_bench"]
    assert benchmark.items(place(tmp_path), "") == benchmark.items(place(None), "")
