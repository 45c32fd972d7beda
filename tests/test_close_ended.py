"""Close-ended benchmarks through lm-eval: its numbers are its own, documents and model are ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from fedkit.benchmarks import BENCHMARKS, Place, Subject
from fedkit.benchmarks.base import spread
from fedkit.benchmarks.close_ended import MMLU, bbh_items, grouped, in_order, mmlu_items
from fedkit.benchmarks.finance import FINANCE, read_label
from fedkit.benchmarks.harness import load_task, run_tasks
from fedkit.errors import FedkitError
from fedkit.judge import ReferenceJudge
from fedkit.models import load_model, model_location
from fedkit.profiles import EvalSpec, get_profile

SHARED = Path(__file__).parents[2] / "shared" / "data"
MINI = get_profile("mini")
JUDGE = ReferenceJudge()
real = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data are not beside this checkout")


@pytest.fixture(scope="module")
def subject():
    return Subject(load_model(MINI.model), "alpaca", EvalSpec(max_new_tokens=8, batch_size=16))


def place(data=None, limit=None):
    return Place(MINI, data, offline=True, limit=limit)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


# --- items


def test_mmlu_reads_files_with_and_without_a_header(tmp_path):
    """Hendrycks' files have no header and letters for answers; other copies have both a header and numbers."""
    write(tmp_path / "mmlu/dev/law_dev.csv", "Q0,a,b,c,d,A\n")
    write(tmp_path / "mmlu/test/law_test.csv", 'Q1,"a, or so",b,c,d,C\n')
    plain = mmlu_items(place(tmp_path), "")
    write(
        tmp_path / "mmlu/test/law_test.csv", 'question,choice0,choice1,choice2,choice3,answer\nQ1,"a, or so",b,c,d,2\n'
    )
    assert mmlu_items(place(tmp_path), "") == plain
    (item,) = plain
    assert (item["subject"], item["answer"], item["letters"]) == ("law", 2, ["A", "B", "C", "D"])
    assert item["options"] == "A. a, or so\nB. b\nC. c\nD. d" and item["shots"][0]["answer"] == 0


def test_bad_mmlu_files_are_named(tmp_path):
    write(tmp_path / "mmlu/dev/law_dev.csv", "Q0,a,b,c,d,A\n")
    write(tmp_path / "mmlu/test/law_test.csv", "Q1,a,b\n")
    with pytest.raises(FedkitError, match=r"law_test.csv, question 1: 3 columns"):
        mmlu_items(place(tmp_path), "")
    write(tmp_path / "mmlu/test/law_test.csv", "Q1,a,b,c,d,E\n")
    with pytest.raises(FedkitError, match="question 1 of mmlu is malformed"):
        mmlu_items(place(tmp_path), "")
    (tmp_path / "mmlu/test/law_test.csv").unlink()
    write(tmp_path / "mmlu/test/art_test.csv", "Q1,a,b,c,d,B\n")
    with pytest.raises(FedkitError, match="no worked examples of art"):
        mmlu_items(place(tmp_path), "")


def test_bbh_takes_lm_evals_examples_or_the_first_three(tmp_path):
    examples = [{"input": f"q{i}", "target": str(i)} for i in range(5)]
    for name in ("object_counting", "unknown_task"):
        write(tmp_path / f"bbh/{name}.json", json.dumps({"canary": "x", "examples": examples}))
    items = bbh_items(place(tmp_path), "")
    own = {name: [items[i] for i in places] for name, places in grouped(items, "task").items()}
    assert [i["input"] for i in own["object_counting"]] == ["q0", "q1", "q2", "q3", "q4"]
    assert "How many fruits" in own["object_counting"][0]["shots"][0]["input"]
    assert [i["input"] for i in own["unknown_task"]] == ["q3", "q4"]  # the others are shown, so not asked
    assert [s["input"] for s in own["unknown_task"][0]["shots"]] == ["q0", "q1", "q2"]


def test_limits_are_spread_over_groups():
    items = [{"g": g, "n": n} for g, count in (("a", 5), ("b", 1), ("c", 3)) for n in range(count)]
    kept = spread(items, 5, lambda item: item["g"])
    assert [(i["g"], i["n"]) for i in kept] == [("a", 0), ("a", 1), ("b", 0), ("c", 0), ("c", 1)]
    assert spread(items, None, lambda item: item["g"]) == items


def test_every_embedded_item_is_made_from_a_seed_and_right_answers_are_not_in_one_place():
    for name in ("mmlu", "bbh", "drop", "crass", "hhh", *FINANCE):
        made = BENCHMARKS[name].items(place(), "")
        assert made == BENCHMARKS[name].items(place(), "") and len(made) > 8, name
    answers = [item["answer"] for item in BENCHMARKS["mmlu"].items(place(), "")]
    assert {0, 1, 2, 3} == set(answers) and max(map(answers.count, range(4))) < len(answers) / 2


def test_no_embedded_question_is_about_a_fact_that_users_ask_about():
    """Questions are about held-out facts: no instruction of the embedded Fed-ChatbotIT asks one of them."""
    from fedkit.mini.arena import arena_records

    asked = {turn["content"] for raw in arena_records(2000, 0) for turn in raw["conversation_a"]}
    for name in ("mmlu", "hhh"):
        for item in BENCHMARKS[name].items(place(), ""):
            assert item["question"] not in asked, item


# --- lm-eval


def option_likelihood(loaded, prompt, option):
    """Sum of log-probabilities of an option's tokens after a prompt, by plain transformers."""
    from fedkit.prompts import encode_prompt

    head = encode_prompt(loaded.tokenizer, prompt)
    tail = loaded.tokenizer(option, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = loaded.model(torch.tensor([head + tail])).logits[0, len(head) - 1 : -1].log_softmax(-1)
    return float(logits.gather(1, torch.tensor(tail)[:, None]).sum())


def test_the_chosen_option_is_the_likeliest_by_plain_transformers(subject):
    benchmark = BENCHMARKS["hhh"]
    items = benchmark.items(place(limit=9), "")
    answers = benchmark.answer(subject, items)
    from fedkit.prompts import get_template

    for item, answer in zip(items, answers, strict=True):
        prompt = get_template("alpaca").prompt(item["question"])
        head, blank = prompt.rstrip(), prompt[len(prompt.rstrip()) :]
        values = [option_likelihood(subject.loaded, head, blank + option) for option in item["options"]]
        assert answer["said"] == values.index(max(values))
        assert answer["acc"] == float(answer["said"] == item["answer"])


def test_mmlu_prompts_are_five_worked_examples_and_the_question(subject, monkeypatch):
    seen = []
    from fedkit.benchmarks import harness

    sample = harness._sample
    monkeypatch.setattr(harness, "_sample", lambda s, lm: seen.append(s) or sample(s, lm))
    items = MMLU.items(place(limit=8), "")
    answers = MMLU.answer(subject, items)
    assert len(answers) == 8 == len({item["subject"] for item in items}) and not any(a["cut"] for a in answers)
    prompt = seen[0]["arguments"][0][0]
    assert prompt.count("Answer:") == 6 and prompt.endswith("Answer:")
    assert prompt.startswith("The following are multiple choice questions (with answers) about ")
    scores = MMLU.score(items, answers, JUDGE)
    right = [item["answer"] for item in items]
    assert scores["acc"].value == sum(a["acc"] for a in answers) / 8
    assert scores["acc"].chance == max(right.count(letter) for letter in range(4)) / 8 >= 0.25
    assert scores["acc"].low < 0.25 < scores["acc"].high  # 8 questions say next to nothing


def test_generated_answers_are_those_of_fedkit_and_are_cut_at_stops(subject):
    from fedkit.generation import generate

    prompts = ["The capital of France", "The capital of Italy is"]
    docs = [{"prompt": p, "label": "x"} for p in prompts]
    config = load_task("sentiment", task="t", generation_kwargs={"until": ["."], "max_gen_toks": 8})
    samples = run_tasks(subject, [(config, {"test": docs})])["t"]
    plain = generate(subject.loaded.model, subject.loaded.tokenizer, prompts, max_new_tokens=8)
    assert [s["said"] for s in samples] == [text.partition(".")[0].strip() for text in plain]


def test_global_randomness_is_left_alone(subject):
    import random

    import numpy as np

    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    benchmark = BENCHMARKS["crass"]
    benchmark.answer(subject, benchmark.items(place(limit=2), ""))
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())


def test_a_model_that_knows_every_answer_scores_all(subject, monkeypatch):
    """Each generated task is solved by the reference answers: parsing and metrics lose nothing."""
    told = {}

    def oracle(model, tokenizer, prompts, **options):
        return [
            told[next(key for key in told if key in prompt.rpartition("Q")[2] or key in prompt)] for prompt in prompts
        ]

    monkeypatch.setattr("fedkit.generation.generate", oracle)
    monkeypatch.setattr("fedkit.benchmarks.harness._language_model", __wrapped(), raising=True)
    for name, key, value, part in (
        ("gsm8k", "question", "answer", "exact"),
        ("drop", "question", None, "f1"),
        ("fpb", "instruction", "label", "f1"),
    ):
        benchmark = BENCHMARKS[name]
        items = benchmark.items(place(limit=6), "")
        told.clear()
        told.update({i[key]: i[value] if value else i["answer"]["number"] for i in items})
        score = benchmark.score(items, benchmark.answer(subject, items), JUDGE)[part]
        assert score.value == 1.0, name


def __wrapped():
    """The language model's class, made anew so that it sees a replaced `generate`."""
    from fedkit.benchmarks.harness import _language_model

    return _language_model.__wrapped__


def test_labels_are_read_from_words():
    assert [read_label(s) for s in ("Positive.", "it is NEGATIVE", "neutral", "who knows")] == [
        "positive",
        "negative",
        "neutral",
        "neutral",
    ]


@pytest.mark.parametrize(
    ("name", "raw", "label"),
    [
        ("fpb", {"sentence": "x", "label": 0}, "negative"),
        ("tfns_benchmark", {"text": "x", "label": "1"}, "positive"),
        ("tfns_benchmark", {"text": "x", "label": 2}, "neutral"),
        ("fiqa_sa", {"sentence": "x", "sentiment_score": -0.3}, "negative"),
        ("fiqa_sa", {"sentence": "x", "sentiment_score": 0.1}, "neutral"),
        ("nwgi", {"news": "x", "label": "mildly positive"}, "positive"),
        ("fpb", {"text": "x", "label": "neutral"}, "neutral"),
    ],
)
def test_sentiment_labels_in_every_schema(name, raw, label):
    from fedkit.benchmarks.finance import _row

    assert _row(name, raw) == ("x", label)


def test_accuracy_and_f1_are_scikit_learns():
    from sklearn.metrics import accuracy_score, f1_score

    truth, said = ["positive", "negative", "neutral", "neutral"], ["positive", "neutral", "neutral", "hm"]
    items = [{"label": label} for label in truth]
    scores = FINANCE["fpb"].score(items, [{"said": s, "cut": False} for s in said], JUDGE)
    read = [read_label(s) for s in said]
    assert scores["acc"].value == accuracy_score(truth, read)
    assert scores["f1"].value == pytest.approx(f1_score(truth, read, average="weighted", zero_division=0))
    assert scores["named"].value == 0.75 and "1 answers name no label" in scores["acc"].note


def test_order_is_kept_over_groups():
    items = [{"g": g} for g in "abab"]
    assert in_order({"a": [1, 3], "b": [2, 4]}, grouped(items, "g")) == [1, 2, 3, 4]


@real
@pytest.mark.parametrize("name", ["mmlu", "bbh", "gsm8k", "tfns"])
def test_real_files_run_from_start_to_end(name, subject):
    benchmark = BENCHMARKS[name]
    whole = benchmark.items(place(SHARED), "")
    assert len(whole) == {"mmlu": 1068, "bbh": 750, "gsm8k": 1319, "tfns": 2388}[name]
    items = benchmark.items(place(SHARED, 6), "")
    scores = benchmark.score(items, benchmark.answer(subject, items), JUDGE)
    first = next(iter(scores.values()))
    assert first.count == 6 and 0 <= first.value <= 1


def test_task_files_are_lm_evals_own_format():
    """TaskManager finds them in the folder; nothing of the stock tasks is needed."""
    from lm_eval.tasks import TaskManager

    folder = Path(model_location("mini")).parents[1] / "benchmarks" / "tasks"
    names = {f"fedkit_{path.stem}" for path in folder.glob("*.yaml")}
    assert names and names <= set(TaskManager(include_path=str(folder), include_defaults=False).all_tasks)
