"""One call from an adapter to a row: items, answers, ratings, what is kept and when it is made anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from sandbox_tools import without_sandbox

from fedkit.common.errors import FedkitError
from fedkit.evaluation.benchmarks import BENCHMARKS, SUITES, Column, Place, Subject, Suite, evaluate
from fedkit.evaluation.benchmarks.base import Benchmark, Score, rated, share
from fedkit.evaluation.benchmarks.mt_bench import MT_BENCH, TEMPERATURES, judge_items, temperature
from fedkit.evaluation.judges import JudgeSpec, OpenAIJudge, load_prompts
from fedkit.evaluation.judges.judge import ReferenceJudge
from fedkit.evaluation.judges.loopback import LoopbackServer
from fedkit.evaluation.sandbox import which_sandbox
from fedkit.evaluation.specs import EvalSpec
from fedkit.profiles import get_profile
from fedkit.report.paper import AVERAGE
from fedkit.session import Session
from fedkit.training.models import initial_state, load_model
from fedkit.training.prompts import get_template
from fedkit.training.prompts_chat import conversation_prompt

SHARED = Path(__file__).parents[3] / "shared" / "data"
MINI, JUDGE = get_profile("mini"), ReferenceJudge()
OPEN = Suite("open", "fed_chatbot_it", (Column("MT-1", ("mt_bench/turn 1",)), Column("Vicuna", ("vicuna/score",))))
real = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data are not beside this checkout")


@pytest.fixture(scope="module")
def loaded():
    return load_model(MINI.model)


@pytest.fixture
def kit(tmp_path):
    return Session("smoke", results_dir=tmp_path, offline=True)


def place(data=None, limit=None, profile=MINI):
    return Place(profile, data, offline=True, limit=limit)


def subject(loaded, template="alpaca", **spec):
    return Subject(loaded, template, EvalSpec(**{"max_new_tokens": 8} | spec))


# --- conversations as prompts

CHAT = [
    {"role": "user", "content": "Capital of France?"},
    {"role": "assistant", "content": "Paris."},
    {"role": "user", "content": "And what about Spain?"},
]


def test_conversations_in_each_template():
    vicuna = get_template("vicuna_v1.1").prompt("Capital of France?")
    assert conversation_prompt("vicuna_v1.1", CHAT, end="</s>") == (
        f"{vicuna}Paris.</s>USER: And what about Spain? ASSISTANT: "
    )
    alpaca = get_template("alpaca").prompt("Capital of France?")
    text = conversation_prompt("alpaca", CHAT, end="</s>")
    assert text == f"{alpaca}Paris.</s>\n\n### Instruction:\nAnd what about Spain?\n\n### Response:\n"
    assert conversation_prompt("alpaca", CHAT, "fr").count("### Réponse:") == 2
    assert text.count("Below is an instruction") == 1


def test_one_turn_is_the_template_itself():
    for name in ("alpaca", "alpaca_english", "vicuna_v1.1"):
        assert conversation_prompt(name, CHAT[:1], end="</s>") == get_template(name).prompt("Capital of France?")


def test_conversations_out_of_order_are_refused():
    with pytest.raises(FedkitError, match="turn 0 of a conversation is by 'assistant'"):
        conversation_prompt("alpaca", CHAT[1:])
    with pytest.raises(FedkitError, match="2 turns does not end with the user's"):
        conversation_prompt("alpaca", CHAT[:2])


# --- numbers


def test_unrated_answers_are_counted_and_score_nothing():
    score = rated([3.0, None, 5.0], "j")
    assert (score.value, score.count, score.unrated, score.judge) == (4.0, 2, 1, "j")
    none = rated([None, None], "j")
    assert (none.value, none.count, none.unrated) == (None, 0, 2)
    assert share([]).value is None


# --- MT-Bench


def test_items_of_the_embedded_mt_bench():
    items = MT_BENCH.items(place(), "")
    assert {item["category"] for item in items} == set(TEMPERATURES) and len(items) == 24
    assert all(len(item["turns"]) == len(item["reference"]) == 2 for item in items)
    assert any(item["turns"][1].startswith("And what about ") for item in items)
    assert len({i["category"] for i in MT_BENCH.items(place(limit=8), "")}) == 8


def test_temperatures_by_category_unless_the_profile_is_greedy(loaded):
    assert temperature("writing", subject(loaded)) == 0.0
    warm = subject(loaded, temperature=0.7)
    assert [temperature(c, warm) for c in ("writing", "math", "stem", "unheard of")] == [0.7, 0.0, 0.1, 0.7]


def test_greedy_answers_are_equal_batched_or_one_at_a_time(loaded):
    items = MT_BENCH.items(place(limit=12), "")
    whole = MT_BENCH.answer(subject(loaded, batch_size=12), items)
    assert whole == MT_BENCH.answer(subject(loaded, batch_size=1), items)
    assert whole[::-1] == MT_BENCH.answer(subject(loaded, batch_size=5), items[::-1])


def test_the_second_turn_sees_the_first_and_the_models_own_answer(loaded, monkeypatch):
    asked = []

    def echo(model, tokenizer, prompts, **options):
        asked.append(list(prompts))
        return [f"answer {len(asked)}" for _ in prompts]

    monkeypatch.setattr("fedkit.evaluation.generation.generate", echo)
    items = MT_BENCH.items(place(limit=1), "")
    assert MT_BENCH.answer(subject(loaded, "vicuna_v1.1"), items) == [["answer 1", "answer 2"]]
    first, second = asked[0][0], asked[1][0]
    assert second.startswith(f"{first}answer 1</s>") and items[0]["turns"][1] in second


def test_judges_items_name_prompts_by_category_and_turn():
    items = MT_BENCH.items(place(), "")
    made = judge_items(items, [["a", "b"]] * len(items))
    prompts = {made[2 * i].prompt for i, item in enumerate(items) if item["category"] == "math"}
    assert prompts == {"single-math-v1"} and made[0].prompt == "single-v1" and made[1].prompt == "single-v1-multi-turn"
    assert all(one.references for one in made)  # the offline judge needs them in every category


def test_a_perfect_model_gets_ten_from_the_reference_judge():
    for name in ("mt_bench", "vicuna", "ref"):
        benchmark: Benchmark = BENCHMARKS[name]
        items = benchmark.items(place(), "fed_chatbot_it")
        right = [i["reference"][0] if name == "vicuna" else i["reference"] for i in items]
        for score in benchmark.score(items, right, JUDGE).values():
            assert score.value == pytest.approx(10) and score.unrated == 0


def test_the_canonical_solutions_pass_and_an_empty_one_does_not(loaded, monkeypatch):
    if which_sandbox() is None:
        without_sandbox("no sandbox works here")
    benchmark = BENCHMARKS["human_eval"]
    items = benchmark.items(place(limit=6), "")
    bodies = [item["canonical_solution"] for item in items[:5]] + [""]
    monkeypatch.setattr("fedkit.evaluation.generation.generate", lambda *args, **options: bodies)
    answers = benchmark.answer(subject(loaded), items)
    assert [answer["passed"] for answer in answers] == [True] * 5 + [False]
    assert benchmark.score(items, answers, JUDGE)["pass@1"].value == pytest.approx(5 / 6)


# --- rows


def test_a_row_is_kept_by_all_that_it_depends_on(kit, loaded, monkeypatch):
    row = evaluate(kit, None, OPEN, limit=3)
    assert row.cached == () and list(row.series().index) == ["MT-1", "Vicuna"] and row.judges == JUDGE.name
    again = evaluate(kit, None, OPEN, limit=3)
    assert again.cached == ("mt_bench", "vicuna") and again.frame().equals(row.frame())

    state = {name: tensor + 0.05 for name, tensor in initial_state(loaded.model, 0).items()}
    other = evaluate(kit, state, OPEN, limit=3)
    assert other.cached == () and other.answers != row.answers
    assert evaluate(kit, state, OPEN, limit=2).cached == ()
    assert evaluate(kit, None, OPEN, limit=3, evaluation=EvalSpec(max_new_tokens=4)).cached == ()
    assert evaluate(kit, None, OPEN, limit=3, template="vicuna_v1.1").cached == ()
    module = __import__("importlib").import_module("fedkit.evaluation.benchmarks.evaluate")
    monkeypatch.setattr(module, "evaluation_code", lambda: "other code")
    assert evaluate(kit, None, OPEN, limit=3).cached == ()


def test_a_loaded_model_gives_the_row_of_its_adapter(kit, loaded):
    state = {name: tensor + 0.02 for name, tensor in initial_state(loaded.model, 0).items()}
    by_state = evaluate(kit, state, OPEN, limit=2)
    by_model = evaluate(kit, kit.loaded(state), OPEN, limit=2)
    assert by_model.frame().equals(by_state.frame()) and by_model.cached == ("mt_bench", "vicuna")


def test_another_judge_rates_the_same_answers(kit):
    class Five:
        name = "always five"

        def rate(self, question, answer, reference):
            return 5.0

    evaluate(kit, None, OPEN, limit=3)
    row = evaluate(kit, None, OPEN, limit=3, judge=Five())
    assert row.cached == ("mt_bench", "vicuna") and set(row.series()) == {5.0} and row.judges == "always five"


def test_a_torn_file_of_kept_answers_is_made_anew(kit):
    row = evaluate(kit, None, OPEN, limit=2)
    for path in (kit.folder / "evaluations").glob("*.json"):
        path.write_text('{"half')
    assert evaluate(kit, None, OPEN, limit=2).frame().equals(row.frame())


def test_columns_are_means_of_parts_and_percents(kit):
    suite = Suite(
        "s",
        "fed_chatbot_pa",
        (Column("both", ("mt_bench/turn 1", "vicuna/score")), Column("Adv", ("advbench/safe",), 100.0)),
    )
    row = evaluate(kit, None, suite, limit=4)
    parts = [row.parts["mt_bench/turn 1"].value, row.parts["vicuna/score"].value]
    assert row.score("both").value == pytest.approx(np.mean(parts)) and row.score("both").count == 8
    assert row.score("Adv").value == 100 * row.parts["advbench/safe"].value
    assert row.judges == f"{JUDGE.name}, refusal phrases"


def test_every_suite_runs_offline_on_every_column(kit):
    """Each metric of each table has a form in the embedded world, and a value."""
    for name, suite in SUITES.items():
        row = evaluate(kit, None, suite, limit=8 if name == "fed_aya" else 3)  # one a language
        assert list(row.series().index) == [column.name for column in suite.columns], name
        frame = row.frame()
        assert (frame["items"] > 0).all() and (frame["unrated"] == 0).all(), name


def test_fed_aya_by_language_is_the_old_path(kit):
    from fedkit.evaluation.ref import by_language

    row = evaluate(kit, None, "fed_aya")
    old = by_language(kit.ref(None, kit.questions("fed_aya")))
    assert row.series().to_numpy() == pytest.approx(old[row.series().index].to_numpy())


def test_a_limit_below_the_number_of_parts_leaves_some_without_a_value(kit):
    row = evaluate(kit, None, "fed_aya", limit=3)
    assert len(row.series()) == 3 and len(row.frame()) == len(SUITES["fed_aya"].columns)
    assert row.score(AVERAGE).value is None and "no item of it within the limit" in row.frame().loc[AVERAGE, "note"]


def test_a_score_against_chance_by_its_interval():
    for low, high, chance, verdict in (
        (0.3, 0.5, 0.2, "above chance"),
        (0.3, 0.5, 0.3, "near chance"),
        (0.3, 0.5, 0.5, "near chance"),
        (0.3, 0.5, 0.6, "below chance"),
        (None, None, 0.6, "near chance"),
        (0.3, 0.5, None, ""),
    ):
        assert Score(0.4, 9, low=low, high=high, chance=chance).against_chance == verdict
    assert Score(None, 0, chance=0.5).against_chance == ""


def test_mistakes_are_sentences(kit):
    with pytest.raises(FedkitError, match="unknown metric of suite fed_aya 'nope'; known: "):
        evaluate(kit, None, "fed_aya", limit=3).score("nope")
    with pytest.raises(FedkitError, match="unknown benchmark of suite own 'mmlo'; known: "):
        evaluate(kit, None, Suite("own", "fed_aya", (Column("MMLU", ("mmlo/acc",)),)))
    with pytest.raises(FedkitError, match="unknown suite of benchmarks 'chat'; known: chatbot_it"):
        evaluate(kit, None, "chat")
    with pytest.raises(FedkitError, match="limit is 0 for mt_bench"):
        evaluate(kit, None, OPEN, limit=0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"question_id": 1, "turns": ["one"]}', "has no list of 2 texts in 'turns'"),
        ('{"turns": ["one", "two"]}', "has no question_id"),
        ('["no record"]', "has no list of 2 texts"),
    ],
)
def test_bad_questions_are_named(tmp_path, line, said):
    (tmp_path / "mt_bench").mkdir()
    (tmp_path / "mt_bench/question.jsonl").write_text(line + "\n")
    with pytest.raises(FedkitError, match=f"record 1 of mt_bench {said}"):
        MT_BENCH.items(place(tmp_path), "")


# --- real input, and a judge over HTTP


@real
def test_real_files_are_complete_and_run(loaded):
    for name, count in (("mt_bench", 80), ("vicuna", 80), ("advbench", 520), ("human_eval", 164)):
        assert len(BENCHMARKS[name].items(place(SHARED), "")) == count
    for name in ("mt_bench", "vicuna"):
        items = BENCHMARKS[name].items(place(SHARED, 8), "")
        scores = BENCHMARKS[name].score(items, BENCHMARKS[name].answer(subject(loaded), items), JUDGE)
        first = next(iter(scores.values()))
        assert first.count + first.unrated == 8 and first.unrated > 0  # most questions have no reference answer


@real
def test_a_server_on_loopback_rates_real_questions(tmp_path):
    """Every item is asked once, with MT-Bench's own prompts; replies without a rating are counted, not scored."""
    shutil.copytree(SHARED / "mt_bench", tmp_path / "data/mt_bench")
    kit = Session("smoke", results_dir=tmp_path / "results", data_dir=tmp_path / "data", offline=True)
    suite = Suite("mt", "fed_chatbot_it", (Column("MT", ("mt_bench/turn 1", "mt_bench/turn 2")),))

    def reply(messages):
        text = messages[-1]["content"]
        return "no rating" if len(text) % 5 == 0 else f"fine. Rating: [[{1 + len(text) % 10}]]"

    with LoopbackServer(reply) as server:
        judge = OpenAIJudge(
            JudgeSpec("toy-judge", base_url=server.base_url),
            prompts=load_prompts(SHARED / "mt_bench/judge_prompts.jsonl"),
        )
        row = evaluate(kit, None, suite, limit=16, judge=judge)
        score = row.score("MT")
        assert score.count + score.unrated == 32 == sum(server.requests.values()) and score.unrated > 0
        assert score.unrated == judge.report.unparsed.total() and 1 <= score.value <= 10 and score.judge == "toy-judge"
        evaluate(kit, None, suite, limit=16, judge=judge)
        assert sum(server.requests.values()) == 32
        judge.close()
