"""One call from an adapter to a row: items, answers, ratings, what is kept and when it is made anew."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from sandbox_tools import without_sandbox

from fedkit.common.errors import FedkitError
from fedkit.evaluation.benchmarks import BENCHMARKS, SUITES, Column, Pool, Subject, Suite
from fedkit.evaluation.benchmarks.base import Benchmark, Score, rated, share
from fedkit.evaluation.benchmarks.mt_bench import MT_BENCH, TEMPERATURES, judge_items, temperature
from fedkit.evaluation.benchmarks.ref import FACTS
from fedkit.evaluation.exam import set_exam
from fedkit.evaluation.judges import Judge, JudgeSpec, OpenAIJudge, ReferenceJudge, load_prompts
from fedkit.evaluation.sandbox import which_sandbox
from fedkit.evaluation.specs import AVERAGE, EvalSpec
from fedkit.profiles import get_profile
from fedkit.session import Session
from fedkit.training.models import initial_state, load_model, set_adapter_state
from fedkit.training.prompts import conversation_prompt, encode_prompt, get_template
from fedkit.training.tokens import text_ids
from tools.loopback_judge import LoopbackServer

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


def place(data=None, limit=None):
    kit = Session("mini", results_dir=tempfile.mkdtemp(), data_dir=data, offline=True)
    return Pool(kit.place, limit, lambda name: [asdict(question) for question in kit.questions(name)])


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


def test_a_limit_by_profile_is_stated_where_the_numbers_stand(tmp_path):
    """The real MMLU has 14,042 questions: each profile but `paper` asks a part, and the row says of how many."""
    pool, suite = place(limit=6), Suite("own", "fed_chatbot_it", (Column("MMLU", ("mmlu/acc",), 100.0),))
    limits = (None, 9, {"mmlu": 3}, {"mmlu": None}, {"gsm8k": 3})
    exams = [set_exam(suite, "", pool, limit, tmp_path, EvalSpec()) for limit in limits]
    assert [len(exam.items["mmlu"]) for exam in exams] == [6, 9, 3, 84, 6]
    assert [get_profile(name).most_items for name in ("smoke", "mini", "course", "paper")] == [100, 1000, 2000, None]
    folder = tmp_path / "data" / "mmlu"
    for part, count in (("dev", 5), ("test", 60)):
        (folder / part).mkdir(parents=True)
        for subject_ in ("art", "law"):
            (folder / part / f"{subject_}_{part}.csv").write_text(f"{subject_},a,b,c,d,A\n" * count)
    kit = Session("smoke", results_dir=tmp_path, data_dir=tmp_path / "data", offline=True)
    row = kit.evaluate("fed_chatbot_it", suite)
    assert row.frame().loc["MMLU", "items"] == 100 and "100 of 120 items" in row.frame().loc["MMLU", "note"]
    assert "MMLU: 100 of 120 items" in row.foot


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
    assert second[:2] == (*first, "answer 1") and items[0]["turns"][1] in second[2]
    tokenizer = loaded.tokenizer
    closed = [*encode_prompt(tokenizer, first), *text_ids(tokenizer, ["answer 1"])[0], tokenizer.eos_token_id]
    assert encode_prompt(tokenizer, second)[: len(closed)] == closed


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
        for part, score in benchmark.score(items, right, JUDGE).items():
            best = 1 if part == FACTS else 10  # all facts are right
            assert score.value == pytest.approx(best) and score.unrated == 0, (name, part)


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
    row = kit.evaluate("fed_chatbot_it", OPEN, limit=3)
    assert row.cached == () and list(row.series().index) == ["MT-1", "Vicuna"] and row.judges == JUDGE.name
    again = kit.evaluate("fed_chatbot_it", OPEN, limit=3)
    assert again.cached == ("mt_bench", "vicuna") and again.frame().equals(row.frame())

    state = {name: tensor + 0.05 for name, tensor in initial_state(loaded.model, 0).items()}
    other = kit.evaluate(kit.loaded("fed_chatbot_it", state), OPEN, limit=3)
    assert other.cached == () and other.answers != row.answers
    assert kit.evaluate(kit.loaded("fed_chatbot_it", state), OPEN, limit=2).cached == ()
    assert kit.evaluate("fed_chatbot_it", OPEN, limit=3, evaluation=EvalSpec(max_new_tokens=4)).cached == ()
    assert kit.evaluate("fed_chatbot_it", OPEN, limit=3, template="vicuna_v1.1").cached == ()
    monkeypatch.setattr("fedkit.evaluation.exam.answering_code", lambda name: "other code")
    assert kit.evaluate("fed_chatbot_it", OPEN, limit=3).cached == ()


def test_a_loaded_model_gives_the_row_of_its_adapter(kit, loaded):
    state = {name: tensor + 0.02 for name, tensor in initial_state(loaded.model, 0).items()}
    by_state = kit.evaluate(kit.loaded("fed_chatbot_it", state), OPEN, limit=2)
    plain = replace(loaded)  # no handle of the session's: as `load_model` gives it
    set_adapter_state(plain.model, state)
    by_model = kit.evaluate(plain, OPEN, limit=2)
    assert by_model.frame().equals(by_state.frame()) and by_model.cached == ("mt_bench", "vicuna")


def test_another_judge_rates_the_same_answers(kit):
    class Five(Judge):
        name = "always five"

        def rate(self, question, answer, reference):
            return 5.0

    kit.evaluate("fed_chatbot_it", OPEN, limit=3)
    row = kit.evaluate("fed_chatbot_it", OPEN, limit=3, judge=Five())
    assert row.cached == ("mt_bench", "vicuna") and set(row.series()) == {5.0} and row.judges == "always five"


def _line_less(data):
    return {**data, "data": data["data"][:-1]} if isinstance(data["data"], list) else _rated(data, 99.0)


def _rated(data, value):
    scores = {name: {**score, "value": value} for name, score in data["data"]["scores"].items()}
    return {**data, "data": {**data["data"], "scores": scores}}


def test_damaged_answers_and_scores_are_made_anew_and_that_is_said(kit, capsys):
    """Cut, without a checksum, an answer fewer or a score of 99, and other JSON."""
    damages = (
        lambda text: text[: len(text) // 2],
        lambda text: json.dumps(json.loads(text)["data"]),
        lambda text: json.dumps(_line_less(json.loads(text))),
        lambda text: "[1, 2]",
        lambda text: "",
    )
    row = kit.evaluate("fed_chatbot_it", OPEN, limit=2)
    paths = sorted((kit.folder / "evaluations").glob("*.json"))
    whole = {path: path.read_text() for path in paths}
    for damage in damages:
        for path in paths:
            path.write_text(damage(whole[path]))
        again = kit.evaluate("fed_chatbot_it", OPEN, limit=2)
        assert again.frame().equals(row.frame()) and again.cached == ()
        told = capsys.readouterr().err
        for path in paths:
            assert f"{path} is not as it was written (its checksum does not fit); it is made anew" in told
        assert {path: path.read_text() for path in paths} == whole
    assert kit.evaluate("fed_chatbot_it", OPEN, limit=2).cached == ("mt_bench", "vicuna")


def test_columns_are_means_of_parts_and_percents(kit):
    suite = Suite(
        "s",
        "fed_chatbot_pa",
        (Column("both", ("mt_bench/turn 1", "vicuna/score")), Column("Adv", ("advbench/safe",), 100.0)),
    )
    row = kit.evaluate("fed_chatbot_pa", suite, limit=4)
    parts = [row.parts["mt_bench/turn 1"].value, row.parts["vicuna/score"].value]
    assert row.score("both").value == pytest.approx(np.mean(parts)) and row.score("both").count == 8
    assert row.score("Adv").value == 100 * row.parts["advbench/safe"].value
    assert row.judges == f"{JUDGE.name}, refusal phrases"


def test_every_suite_runs_offline_on_every_column(kit):
    """Each metric of each table has a form in the embedded world, and a value. Fed-Aya's eight: one a language."""
    for name, suite in SUITES.items():
        row = kit.evaluate(suite.dataset or "fed_chatbot_it", suite, limit=8 if name == "fed_aya" else 3)
        assert list(row.series().index) == [column.name for column in suite.columns], name
        frame = row.frame()
        assert (frame["items"] > 0).all() and (frame["unrated"] == 0).all(), name


def test_a_row_holds_the_score_of_each_question(kit):
    """One line a question; a language's column is the mean of its lines, the average that of the languages."""
    row = kit.evaluate("fed_aya")
    frame = row.items_frame("ref")
    fields = ["id", "language", "instruction", "reference", "fact", "instead"]
    assert list(frame.columns) == [*fields, "answer", "score"]
    assert frame["id"].tolist() == [question.id for question in kit.questions("fed_aya")]
    means = frame.groupby("language")["score"].mean()
    assert row.series()[means.index].to_numpy() == pytest.approx(means.to_numpy())
    assert row.series()[AVERAGE] == pytest.approx(means.mean()) and frame.attrs["judge"] == JUDGE.name
    kept = kit.evaluate("fed_aya").items_frame("ref")
    assert kept.equals(frame) and kept.attrs == frame.attrs
    turns = kit.evaluate("fed_chatbot_it", OPEN, limit=3)
    first, second = (turns.items_frame("mt_bench", f"turn {n}")["score"] for n in (1, 2))
    assert first.mean() == pytest.approx(turns.score("MT-1").value) and not first.equals(second)
    with pytest.raises(FedkitError, match="unknown part of mt_bench over all its items 'turn 3'; known: turn 1"):
        turns.items_frame("mt_bench", "turn 3")
    with pytest.raises(FedkitError, match="unknown benchmark of suite open 'ref'"):
        turns.items_frame("ref")


def test_what_is_measured_is_a_run_a_datasets_base_or_a_loaded_model(kit):
    """A run knows its dataset's suite; a base is that of its dataset; nothing else is a model."""
    dataset = kit.build("fed_chatbot_it").dataset
    run = kit.train(kit.plan("fedavg", dataset), dataset)
    row = kit.evaluate(run, limit=2)
    assert row.suite is SUITES["chatbot_it"] and kit.evaluate(kit.loaded(run), limit=2).cached == tuple(row.items)
    base = kit.evaluate("fed_chatbot_it", "ref")
    assert kit.evaluate(kit.loaded("fed_chatbot_it"), "ref").cached == ("ref",)
    assert kit.evaluate(run, "ref").answers != base.answers
    with pytest.raises(FedkitError, match="no suite belongs to gsm8k; name one of chatbot_it, "):
        kit.evaluate("gsm8k")
    with pytest.raises(FedkitError, match="a dict is no model; give a run or a dataset's name"):
        kit.evaluate(run.adapter, "ref")
    with pytest.raises(FedkitError, match="unknown dataset 'gsm9k'"):
        kit.evaluate("gsm9k", "ref")


def test_a_base_is_that_of_its_dataset(kit):
    """Its model and template, not the profile's: in `paper` they differ for Fed-ChatbotPA and multi-turn WildChat."""
    own = replace(kit.profile.dataset("fed_chatbot_pa"), model=replace(MINI.model, lora=replace(MINI.model.lora, r=2)))
    own = replace(own, train=replace(own.train, template="vicuna_v1.1"))
    kit.profile = replace(kit.profile, datasets={**kit.profile.datasets, "fed_chatbot_pa": own})
    base = kit.loaded("fed_chatbot_pa")
    assert (base.spec.lora.r, base.template, base.dataset) == (2, "vicuna_v1.1", "fed_chatbot_pa")
    row = kit.evaluate("fed_chatbot_pa", "ref")
    assert kit.evaluate("fed_chatbot_pa", "ref", template="alpaca").answers != row.answers


def test_what_names_kept_answers_is_the_benchmarks_own_code(monkeypatch):
    """Neither another benchmark nor a suite nor the registry is among it; a benchmark's own helpers are."""
    from fedkit.common.code import source_files
    from fedkit.evaluation.benchmarks.registry import module_of

    names = {name: {path.name for path in source_files(module_of(name))} for name in BENCHMARKS}
    assert {"bbh.py", "choices.py", "harness.py", "base.py", "generation.py"} <= names["bbh"]
    assert {"ref.py", "judge.py", "prompts.py"} <= names["ref"]
    for name, files in names.items():
        assert not files & {"suites.py", "exam.py", "registry.py", "rows.py"}, name
    assert "mmlu.py" not in names["bbh"] | names["ref"] | names["human_eval"]


def test_a_limit_below_the_number_of_parts_leaves_some_without_a_value(kit):
    row = kit.evaluate("fed_aya", "fed_aya", limit=3)
    assert len(row.series()) == 3 + 1 and len(row.frame()) == len(SUITES["fed_aya"].columns)
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
        kit.evaluate("fed_aya", "fed_aya", limit=3).score("nope")
    with pytest.raises(FedkitError, match="unknown benchmark of suite own 'mmlo'; known: "):
        kit.evaluate("fed_aya", Suite("own", "fed_aya", (Column("MMLU", ("mmlo/acc",)),)))
    with pytest.raises(FedkitError, match="unknown suite of benchmarks 'chat'; known: chatbot_it"):
        kit.evaluate("fed_aya", "chat")
    with pytest.raises(FedkitError, match="limit is 0 for mt_bench"):
        kit.evaluate("fed_chatbot_it", OPEN, limit=0)


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
        row = kit.evaluate("fed_chatbot_it", suite, limit=16, judge=judge)
        score = row.score("MT")
        assert score.count + score.unrated == 32 == sum(server.requests.values()) and score.unrated > 0
        assert score.unrated == judge.report.unparsed.total() and 1 <= score.value <= 10 and score.judge == "toy-judge"
        kit.evaluate("fed_chatbot_it", suite, limit=16, judge=judge)
        assert sum(server.requests.values()) == 32
        judge.close()
