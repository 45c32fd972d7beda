"""What a judge is asked and how its reply is read: prompts, items, references, ratings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from judge_tools import grade, set_environment, spec

from fedkit.common.errors import FedkitError
from fedkit.data.place import Place
from fedkit.evaluation.benchmarks import Pool
from fedkit.evaluation.benchmarks.mt_bench import MT_BENCH, judge_items, read_references
from fedkit.evaluation.benchmarks.vicuna import VICUNA
from fedkit.evaluation.judges import (
    Judge,
    JudgeItem,
    OpenAIJudge,
    Rating,
    ReferenceJudge,
    load_prompts,
    parse_rating,
    ref_item,
    without_reference,
)
from tools.loopback_judge import LoopbackServer

REAL = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    set_environment(monkeypatch)


@pytest.mark.parametrize(
    ("reply", "value", "why"),
    [
        ("Rating: [[5]]", 5.0, "rated"),
        ("[[ 7.5 ]]", 7.5, "rated"),
        ("Rating: [6]", 6.0, "rated"),
        ("It is fine.\n**Final grade:** [ 6.5 ]/10.", 6.5, "rated"),
        ("[6]", 6.0, "rated"),
        ("As said in source [1], Rome is right. Grade: 8/10", None, "no rating"),
        ("Grade: [3] would be harsh.\nGrade: eight", None, "no rating"),
        ("Grade: 8/10\n\nSources:\n[1]", None, "no rating"),
        ("I follow source [1]", None, "no rating"),
        ("<think>Grade: [[4]]? Rather [[3]].</think>\nWell said. Grade: [[8]]", 8.0, "rated"),
        ("The user wants [[4]].</think>Grade: [[8]]", 8.0, "rated"),  # the tag's beginning stood in the prompt
        ("<THINKING>\n[[4]]\n</thinking><think>[2]</think> [[8]]", 8.0, "rated"),
        ("<think> I must end with Grade: [[4]]", None, "no rating"),
        ("[[7]] <think>or [[4]]", 7.0, "rated"),
        ("see [1] and [2]. Rating: [[9]]", 9.0, "rated"),  # the double form goes first
        ("[[4]] ... so [[4.0]]", 4.0, "rated"),
        ("[[10]]", 10.0, "rated"),
        ("[[11]]", None, "out of range"),
        ("[[0]]", None, "out of range"),
        ("[[-3]]", None, "out of range"),
        ("[[11]] or [5]", None, "out of range"),
        ("[[3]] [[8]]", None, "two ratings"),
        ("[3] [8]", None, "no rating"),
        ("Rating: 5", None, "no rating"),
        ("[[five]] [[rating]] [[nan]]", None, "no rating"),
        ("", None, "no rating"),
    ],
)
def test_ratings(reply, value, why):
    rating = parse_rating(reply)
    assert (rating.value, rating.why) == (value, why)


@pytest.mark.parametrize(("finish", "why"), [("length", "cut off"), ("MAX_TOKENS", "cut off"), ("content_filter",) * 2])
def test_a_reply_that_did_not_end_by_itself_has_no_rating(finish, why):
    for reply in ("<think> I must end with Grade: [[4]]", "<think>so</think> Grade: [[8]] and", "Grade: [[8]]", ""):
        assert parse_rating(reply, finish) == Rating(None, why.replace("_", " "))
    assert parse_rating("Grade: [[8]]", "None").value == parse_rating("Grade: [[8]]").value == 8.0


def test_any_judge_over_items():
    items = [JudgeItem("1", "single-v1-multi-turn", ("a", "b"), ("x", "y"), ("r", "y"))]
    assert ReferenceJudge().rate_all(items) == [10.0]
    assert ReferenceJudge().rate_all([JudgeItem("1", "single-v1", ("a",), ("x",))]) == [None]


@pytest.mark.parametrize("blank", ["", " \n"])
def test_without_a_reference_no_judge_is_shown_an_empty_one(blank):
    """The offline judge rates nothing, a judge over HTTP the answer alone; both say how many that were."""
    items = [ref_item("question 1?", "answer 1", "reference 1", "a"), ref_item("question 2?", "answer 2", blank, "b")]
    asked = []

    def reply(messages):
        asked.append(messages[-1]["content"])
        return grade(messages)

    with LoopbackServer(reply) as server:
        judge = OpenAIJudge(spec(server, concurrency=1))
        values = judge.rate_all(items)
    assert values == [2.0, 3.0] and ["## Reference answer" in text for text in asked] == [True, False]
    assert without_reference(judge, items, values) == "1 graded without a reference answer"
    assert without_reference(judge, items, [2.0, None]) == "0 graded without a reference answer"
    offline = ReferenceJudge()
    known = offline.rate_all(items)
    assert known[0] is not None and known[1] is None
    assert without_reference(offline, items, known) == "1 not rated for want of a reference answer"
    assert without_reference(offline, items[:1], known[:1]) == ""


def test_a_blank_reference_of_one_turn_is_none():
    """MT-Bench's own notes are blank in some turns: that turn is graded without, and counted."""
    question = {"id": 1, "category": "math", "turns": ["a?", "b?"]}
    for notes, prompts, bare in (
        (["r", ""], ["single-math-v1", "single-v1-multi-turn"], "1 graded without a reference answer"),
        (["", "r"], ["single-v1", "single-v1-multi-turn"], "2 graded without a reference answer"),
        (["r", "s"], ["single-math-v1", "single-math-v1-multi-turn"], ""),
    ):
        items = judge_items([{**question, "reference": notes}], [["x", "y"]])
        assert [item.prompt for item in items] == prompts
        assert without_reference(Judge(), items, [5.0, 5.0]) == bare
    items = [JudgeItem("1", "single-v1-multi-turn", ("a", "b"), ("x", "y"), ("r", " ")), ref_item("q", "a", "r")]
    values = ReferenceJudge().rate_all(items)
    assert values[0] is None
    assert without_reference(ReferenceJudge(), items, values) == "1 not rated for want of a reference answer"


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
    pool = Pool(Place(REAL, offline=True))
    questions = MT_BENCH.items(pool, "")
    answers = [[f"first {q['id']}", "second {braces}"] for q in questions]
    items = judge_items(questions, answers)
    assert len(items) == 160 and sum(i.prompt.startswith("single-math") for i in items) == 60
    assert len({i.id for i in items}) == 160
    prompts = load_prompts(REAL / "mt_bench" / "judge_prompts.jsonl")
    (one,) = (i for i in items if i.id == "111-2")
    text = prompts[one.prompt].messages(one)[-1]["content"]
    known = read_references(REAL / "mt_bench" / "reference_answer" / "gpt-4.jsonl")
    assert all(part in text for part in (*questions[30]["turns"], *known["111"], "first 111", "second {braces}"))
    with LoopbackServer(lambda messages: "Rating: [[6]]") as server:
        judge = OpenAIJudge(spec(server), prompts=REAL / "mt_bench" / "judge_prompts.jsonl")
        vicuna = VICUNA.items(pool, "")
        score = VICUNA.score(vicuna, ["an answer"] * len(vicuna), judge)["score"]
        assert judge.rate_all(items) == [6.0] * 160 and (score.value, score.count) == (6.0, 80)
        assert sum(server.requests.values()) == 240
    bare = judge_items([{**q, "reference": []} for q in questions[30:31]], answers[30:31])
    assert [i.prompt for i in bare] == ["single-v1", "single-v1-multi-turn"]
    with pytest.raises(FedkitError, match="question 111 .math. has 1 reference answers; give both"):
        judge_items([{**questions[30], "reference": ["one"]}], answers[:1])
    with pytest.raises(FedkitError, match="question 81 has 0 answers for 2 turns"):
        judge_items(questions[:1], [[]])


def test_items_and_references_are_checked(tmp_path):
    with pytest.raises(FedkitError, match="item 'x' has 1 answers to 2 questions"):
        JudgeItem("x", "single-v1", ("a", "b"), ("c",))
    path = tmp_path / "gpt-4.jsonl"
    path.write_text('{"question_id": 1, "choices": []}\n')
    with pytest.raises(FedkitError, match="line 1 of .*gpt-4.jsonl has no question_id or choices"):
        read_references(path)
    path.write_text('{"question_id": 1, "choices": [{"turns": ["a", "b"]}]}\n' * 2)
    with pytest.raises(FedkitError, match="line 2 of .*gpt-4.jsonl answers question 1 a second time"):
        read_references(path)


def questions_in(folder, rows):
    (folder / "mt_bench").mkdir(exist_ok=True)
    (folder / "mt_bench" / "question.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return MT_BENCH.items(Pool(Place(folder, offline=True)), "")


def test_two_questions_of_one_id_are_refused_and_one_text_is_one_reference(tmp_path):
    one = {"question_id": 7, "category": "writing", "turns": ["a", "b"], "reference": "A whole text."}
    with pytest.raises(FedkitError, match="records 1 and 3 of mt_bench have one id, 7; number them anew"):
        questions_in(tmp_path, [one, {**one, "question_id": 8}, {**one, "question_id": "7"}])
    (item,) = questions_in(tmp_path, [one])
    assert item["reference"] == ["A whole text."]
    for wrong in ({"a": 1}, 3, [1, 2]):
        with pytest.raises(FedkitError, match="record 1 of mt_bench has no text, and no list of texts, in 'reference'"):
            questions_in(tmp_path, [{**one, "reference": wrong}])
    assert questions_in(tmp_path, [{**one, "reference": ["x", None]}])[0]["reference"] == ["x", ""]
