"""Close-ended benchmarks through lm-eval: its numbers are its own, documents and model are ours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sandbox_tools import without_sandbox

from fedkit.common.errors import FedkitError
from fedkit.data.place import Place
from fedkit.evaluation.benchmarks import BENCHMARKS, Pool, Subject, bbh, finance
from fedkit.evaluation.benchmarks.base import constant, grouped, part_note, sample, spread
from fedkit.evaluation.benchmarks.bbh import BBH
from fedkit.evaluation.benchmarks.gsm8k import GSM8K
from fedkit.evaluation.benchmarks.harness import close_ended, run_tasks, written
from fedkit.evaluation.benchmarks.mmlu import MMLU
from fedkit.evaluation.judges import ReferenceJudge
from fedkit.evaluation.sandbox import which_sandbox
from fedkit.evaluation.specs import EvalSpec
from fedkit.profiles import get_profile
from fedkit.training.models import load_model

SHARED = Path(__file__).parents[3] / "shared" / "data"
MINI = get_profile("mini")
SIZES = {"mmlu": 1068, "bbh": 750, "gsm8k": 1319, "tfns": 2388, "advbench": 520, "human_eval": 164}
JUDGE = ReferenceJudge()
real = pytest.mark.skipif(not SHARED.is_dir(), reason="the real data are not beside this checkout")


@pytest.fixture(scope="module")
def subject():
    return Subject(load_model(MINI.model), "alpaca", EvalSpec(max_new_tokens=8, batch_size=16))


@pytest.fixture
def seen(monkeypatch):
    """lm-eval's own samples, in the order of the documents."""
    from fedkit.evaluation.benchmarks import harness

    found, own = [], harness._sample
    monkeypatch.setattr(harness, "_sample", lambda sample, lm: found.append(sample) or own(sample, lm))
    return found


def place(data=None, limit=None):
    return Pool(Place(data, offline=True, embedded=True), limit)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


# --- items


def test_mmlu_reads_files_with_and_without_a_header(tmp_path):
    """Hendrycks' files have no header and letters for answers; other copies have both a header and numbers."""
    write(tmp_path / "mmlu/dev/law_dev.csv", "Q0,a,b,c,d,A\n")
    write(tmp_path / "mmlu/test/law_test.csv", 'Q1,"a, or so",b,c,d,C\n')
    plain = MMLU.items(place(tmp_path), "")
    write(
        tmp_path / "mmlu/test/law_test.csv", 'question,choice0,choice1,choice2,choice3,answer\nQ1,"a, or so",b,c,d,2\n'
    )
    assert MMLU.items(place(tmp_path), "") == plain
    (item,) = plain
    assert (item["subject"], item["answer"], item["letters"]) == ("law", 2, ["A", "B", "C", "D"])
    assert item["options"] == "A. a, or so\nB. b\nC. c\nD. d" and item["shots"][0]["answer"] == 0


def test_bad_mmlu_files_are_named(tmp_path):
    write(tmp_path / "mmlu/dev/law_dev.csv", "Q0,a,b,c,d,A\n")
    write(tmp_path / "mmlu/test/law_test.csv", "Q1,a,b\n")
    with pytest.raises(FedkitError, match=r"question 1 of mmlu is malformed .*fetch the file anew"):
        MMLU.items(place(tmp_path), "")
    write(tmp_path / "mmlu/test/law_test.csv", "Q1,a,b,c,d,E\n")
    with pytest.raises(FedkitError, match="question 1 of mmlu is malformed"):
        MMLU.items(place(tmp_path), "")
    (tmp_path / "mmlu/test/law_test.csv").unlink()
    write(tmp_path / "mmlu/test/art_test.csv", "Q1,a,b,c,d,B\n")
    with pytest.raises(FedkitError, match="no worked examples of art"):
        MMLU.items(place(tmp_path), "")


def test_bbh_takes_lm_evals_examples_or_the_first_three(tmp_path):
    examples = [{"input": f"q{i}", "target": str(i)} for i in range(5)]
    for name in ("object_counting", "unknown_task"):  # two equal files would be two copies of one
        write(tmp_path / f"bbh/{name}.json", json.dumps({"canary": name, "examples": examples}))
    items = BBH.items(place(tmp_path), "")
    own = {name: [items[i] for i in places] for name, places in grouped(items, "task").items()}
    assert [i["input"] for i in own["object_counting"]] == ["q0", "q1", "q2", "q3", "q4"]
    assert "How many fruits" in own["object_counting"][0]["shots"][0]["input"]
    assert own["object_counting"][0]["about"].startswith("Questions that involve enumerating objects")
    assert own["unknown_task"][0]["about"] == ""
    assert [i["input"] for i in own["unknown_task"]] == ["q3", "q4"]  # the others are shown, so not asked
    assert [s["input"] for s in own["unknown_task"][0]["shots"]] == ["q0", "q1", "q2"]


def test_bbh_from_the_hub_is_one_configuration_a_task(monkeypatch):
    """The 27 tasks that lm-eval has, each read by its name; the Hub itself is played."""
    from fedkit.data import place as places

    asked = []

    def played(located, limit):
        asked.append((located.source.hub, located.source.hub_config, located.source.split))
        return iter([{"input": "q", "target": "t"}] * 2)

    monkeypatch.setattr(places, "_KINDS", {"hub": played})
    items = BBH.items(Pool(Place()), "")
    assert len(asked) == 27 == len({i["task"] for i in items}) and len(items) == 54
    assert ("SaylorTwift/bbh", "web_of_lies", "test") in asked


def test_bbh_prompts_begin_with_what_the_task_is(subject, seen, tmp_path):
    """Upstream's description, three worked examples, the question; letter case counts, as with lm-eval."""
    examples = [{"input": f"( True ) and {i} is", "target": "True"} for i in range(2)]
    write(tmp_path / "bbh/boolean_expressions.json", json.dumps({"examples": examples}))
    BBH.answer(subject, BBH.items(place(tmp_path), ""))
    prompt = seen[0]["arguments"][0][0]
    assert prompt.startswith("Evaluate the result of a random Boolean expression.\n\nQ: ")
    assert prompt.count("Q: ") == 4 and prompt.endswith("Q: ( True ) and 0 is\nA:")
    assert "ignore_case" not in bbh.TASK["metric_list"][0]


def test_limits_are_spread_over_groups():
    items = [{"g": g, "n": n} for g, count in (("a", 5), ("b", 1), ("c", 3)) for n in range(count)]
    kept = spread(items, 5, "g")
    assert [(i["g"], i["n"]) for i in kept] == [("a", 0), ("a", 1), ("b", 0), ("c", 0), ("c", 1)]
    assert part_note(kept) == "5 of 9 items" and part_note(items) == ""
    assert spread(items, None, "g") == items == sample(items, 9, "x")


def test_a_sample_estimates_the_mean_and_grows(tmp_path):
    """20 draws of 50 out of 1,000 items, a third of them right: the mean of the shares lies within 4 deviations."""
    items = [{"n": n, "right": n % 3 == 0} for n in range(1000)]
    shares = [sum(i["right"] for i in sample(items, 50, f"set {k}")) / 50 for k in range(20)]
    assert abs(sum(shares) / 20 - 0.334) < 4 * (0.334 * 0.666 / 1000) ** 0.5 and len(set(shares)) > 3
    small, large = (sample(items, limit, "x") for limit in (10, 40))
    assert {i["n"] for i in small} < {i["n"] for i in large} and small == sorted(small, key=lambda i: i["n"])
    write(tmp_path / "gsm8k/train.jsonl", "".join(f'{{"question": "q{n}", "answer": "#### {n}"}}\n' for n in range(9)))
    write(tmp_path / "gsm8k/test.jsonl", "".join(f'{{"question": "t{n}", "answer": "#### {n}"}}\n' for n in range(99)))
    drawn = GSM8K.items(place(tmp_path, 9), "")
    assert len(drawn) == 9 and [i["question"] for i in drawn] != [f"t{n}" for n in range(9)]


def test_chance_is_the_best_constant_answer():
    """GSM8K: 2 of 4 numbers are 7. BBH: by task, 2 of 3 and 1 of 1, so 3 of 4 over both."""
    assert constant("aab") == 2 / 3
    numbers = [{"answer": f"so #### {n}"} for n in (7, 7, 1, 2)]
    right = [{"exact_match": 0.0, "cut": False}] * 4
    assert GSM8K.score(numbers, right, JUDGE)["exact"].chance == 0.5
    tasks = [{"task": t, "target": x} for t, x in (("a", "yes"), ("a", "no"), ("b", "1"), ("a", "yes"))]
    scores = BBH.score(tasks, right, JUDGE)
    assert scores["exact"].chance == pytest.approx(0.75)
    assert (scores["a"].chance, scores["b"].chance) == (pytest.approx(2 / 3), 1.0)


def test_every_embedded_item_is_made_from_a_seed_and_right_answers_are_not_in_one_place():
    for name in ("mmlu", "bbh", "drop", "crass", "hhh", "fpb", "fiqa_sa", "tfns", "nwgi"):
        made = BENCHMARKS[name].items(place(), "")
        assert made == BENCHMARKS[name].items(place(), "") and len(made) > 8, name
    answers = [item["answer"] for item in BENCHMARKS["mmlu"].items(place(), "")]
    assert {0, 1, 2, 3} == set(answers) and max(map(answers.count, range(4))) < len(answers) / 2


def test_no_embedded_question_is_about_a_fact_that_users_ask_about():
    """Questions are about held-out facts: no instruction of the embedded Fed-ChatbotIT asks one of them."""
    from tools.world.arena import arena_records

    asked = {turn["content"] for raw in arena_records(2000, 0) for turn in raw["conversation_a"]}
    for name in ("mmlu", "hhh"):
        for item in BENCHMARKS[name].items(place(), ""):
            assert item["question"] not in asked, item


# --- lm-eval


def option_likelihood(loaded, instruction, option):
    """Sum of log-probabilities of an option's tokens, encoded as training encodes an answer (but for its end)."""
    from fedkit.training.encoding import IGNORED, encode
    from fedkit.training.prompts import get_template

    record = {"instruction": instruction, "response": option}
    (one,) = encode(loaded.tokenizer, get_template("alpaca"), [record], 10_000)
    ids, labels = (torch.tensor(one[key][:-1]) for key in ("input_ids", "labels"))
    with torch.inference_mode():
        logits = loaded.model(ids[None]).logits[0, :-1].log_softmax(-1)
    own = labels[1:] != IGNORED
    return float(logits.gather(1, ids[1:, None])[:, 0][own].sum())


def test_the_chosen_option_is_the_likeliest_as_training_encodes_it(subject, seen):
    benchmark = BENCHMARKS["hhh"]
    items = benchmark.items(place(limit=9), "")
    answers = benchmark.answer(subject, items)
    samples = {(raw["doc"]["question"], *raw["doc"]["options"]): raw for raw in seen}  # by subset, not in our order
    for item, answer in zip(items, answers, strict=True):
        raw = samples[item["question"], *item["options"]]
        values = [option_likelihood(subject.loaded, item["question"], option) for option in item["options"]]
        assert [pair[0] for pair in raw["filtered_resps"]] == pytest.approx(values, rel=1e-4)
        assert answer["said"] == values.index(max(values))
        assert answer["acc"] == float(answer["said"] == item["answer"])


def test_letters_are_one_token_for_tokenizers_that_put_a_blank_before_a_text(subject):
    """As Llama's of 2023 do in their fast form: " A" alone would be two blanks and a letter. lm-eval's own is right."""
    from lm_eval.models.huggingface import HFLM
    from tokenizers import Tokenizer, models, normalizers
    from transformers import PreTrainedTokenizerFast

    from fedkit.evaluation.benchmarks.harness import _language_model

    pieces = ["<unk>", *"▁:QABansweros.", "▁A", "▁B", "▁▁"]
    inner = Tokenizer(
        models.BPE({p: i for i, p in enumerate(pieces)}, [("▁", "A"), ("▁", "B"), ("▁", "▁")], unk_token="<unk>")
    )
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")
    lm = _language_model()(replace(subject, loaded=replace(subject.loaded, tokenizer=tokenizer)), None)
    for letter in "AB":
        context, option = lm._encode_pair("Q. Answer:", f" {letter}")
        assert tokenizer.convert_ids_to_tokens(option) == [f"▁{letter}"]
        assert (context, option) == HFLM._encode_pair(lm, "Q. Answer:", f" {letter}")
    assert tokenizer.convert_ids_to_tokens(lm._encode_pair("Q. ", "A")[1]) == ["▁A"]  # as answers are in training


def test_the_choice_by_length_is_beside_the_choice_as_a_whole(subject, seen):
    """`acc` sums the log-likelihoods of an option's tokens, `acc_norm` divides the sum by the option's characters."""
    benchmark = BENCHMARKS["hhh"]
    items = benchmark.items(place(limit=9), "")
    answers = benchmark.answer(subject, items)
    samples = {(raw["doc"]["question"], *raw["doc"]["options"]): raw for raw in seen}
    for item, answer in zip(items, answers, strict=True):
        sums = [pair[0] for pair in samples[item["question"], *item["options"]]["filtered_resps"]]
        each = [value / len(option) for value, option in zip(sums, item["options"], strict=True)]
        assert answer["acc_norm"] == float(each.index(max(each)) == item["answer"])
    scores = benchmark.score(items, answers, JUDGE)
    assert scores["acc by length"].value == sum(a["acc_norm"] for a in answers) / 9
    assert scores["acc"].value == sum(a["acc"] for a in answers) / 9 and len(scores) == 2 * 4
    lengths = [[len(option) for option in item["options"]] for item in items]
    short = sum(
        (one[item["answer"]] == min(one)) / one.count(min(one)) for one, item in zip(lengths, items, strict=True)
    )
    assert f"the shorter has the advantage ({short / 9:.0%} alone)" in scores["harmless"].note
    assert "the likelihood of a character" in scores["harmless by length"].note


def test_an_option_longer_than_the_model_reads_is_unrated_and_named(subject):
    """As six of BIG-bench's 221 are for a model of 2,048 positions; all other items are as without them."""
    benchmark, positions = BENCHMARKS["hhh"], subject.loaded.model.config.max_position_embeddings
    items = benchmark.items(place(limit=3), "")
    long = {**items[1], "options": ["yes", " no" * 2 * positions]}
    near = {**items[1], "question": "no " * 2 * positions, "options": ["yes", "no"]}  # which loses its beginning
    some = [items[0], long, items[2], near]
    answers = benchmark.answer(subject, some)
    assert answers[1] == {"said": None, "cut": False, "unread": True}
    assert [answers[0], answers[2]] == benchmark.answer(subject, [items[0], items[2]])
    assert answers[3]["cut"] and answers[3]["said"] in (0, 1)
    score = benchmark.score(some, answers, JUDGE)["acc"]
    assert (score.count, score.unrated, score.values[1]) == (3, 1, None)
    assert "1 of 4 items left out: an option is longer than the model reads, or blank (2)" in score.note
    alone = benchmark.score([long], answers[1:2], JUDGE)["acc"]
    assert (alone.value, alone.count, alone.unrated) == (None, 0, 1)


def test_mmlu_prompts_are_five_worked_examples_and_the_question(subject, seen):
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
    from fedkit.evaluation.generation import generate

    prompts = ["The capital of France", "The capital of Italy is"]
    docs = [{"prompt": p, "label": "x"} for p in prompts]
    config = {**finance.TASK, "task": "t", "generation_kwargs": {"until": ["."], "max_gen_toks": 8}}
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


@pytest.mark.parametrize("name", ["mmlu", "gsm8k"])
def test_the_bars_of_long_work_are_seen(name, subject, capsys):
    """lm-eval's own remarks are not; its bar over options and ours over texts are, where progress is asked for."""
    benchmark, seen = BENCHMARKS[name], {}
    items = benchmark.items(place(limit=2), "")
    for progress in (False, True):
        benchmark.answer(replace(subject, progress=progress), items)
        seen[progress] = capsys.readouterr().err
    assert seen[False] == "" and ("2/2" in seen[True] or "8/8" in seen[True]), seen


def test_nothing_is_said_of_git_outside_a_checkout(subject, tmp_path, monkeypatch, capfd):
    """lm-eval's own front door asks git for a commit at each call, and git says "fatal" on the process's stderr."""
    monkeypatch.chdir(tmp_path)
    benchmark = BENCHMARKS["crass"]
    assert len(benchmark.answer(subject, benchmark.items(place(limit=2), ""))) == 2
    assert capfd.readouterr() == ("", "")


SORTED = "barn damp delmarva drizzly drought flair frost gale hail lightning mist monsoon pour rain sleet squall thaw"


def test_a_model_that_knows_every_answer_scores_all(subject, monkeypatch, tmp_path):
    """Each generated task is solved by the reference answers: its limit of tokens, parsing and metrics lose nothing."""
    told = {}

    def oracle(model, tokenizer, prompts, *, max_new_tokens, **options):
        keys = [next(key for key in told if key in p.rpartition("Q")[2] or key in p) for p in prompts]
        ids = [tokenizer(told[key], add_special_tokens=False)["input_ids"][:max_new_tokens] for key in keys]
        return tokenizer.batch_decode(ids)

    monkeypatch.setattr("fedkit.evaluation.generation.generate", oracle)
    monkeypatch.setattr("fedkit.evaluation.benchmarks.harness._language_model", __wrapped(), raising=True)
    write(tmp_path / "bbh/word_sorting.json", json.dumps({"examples": [{"input": "Sort: rain", "target": SORTED}]}))
    able = Subject(subject.loaded, subject.template, EvalSpec(max_new_tokens=1024, batch_size=16))
    phrase = "The sentiment of this news,\nas far as one can tell from a text so short, is most likely "
    for name, data, key, value, part, before in (
        ("gsm8k", None, "question", "answer", "exact", ""),
        ("drop", None, "question", "target", "acc", ""),
        ("drop", None, "question", "target", "f1", ""),
        ("crass", None, "question", "target", "acc", ""),
        ("bbh", None, "input", "target", "exact", ""),
        ("bbh", tmp_path, "input", "target", "exact", ""),
        ("fpb", None, "instruction", "label", "f1", ""),
        ("fiqa_sa", None, "instruction", "label", "f1", phrase),
        ("tfns", None, "instruction", "label", "acc", phrase),
        ("nwgi", None, "instruction", "label", "f1", phrase),
    ):
        benchmark = BENCHMARKS[name]
        items = benchmark.items(place(data, limit=6), "")
        told.clear()
        told.update({i[key]: before + i[value] for i in items})
        score = benchmark.score(items, benchmark.answer(able, items), JUDGE)[part]
        assert score.value == 1.0, name


def __wrapped():
    """The language model's class, made anew so that it sees a replaced `generate`."""
    from fedkit.evaluation.benchmarks.harness import _language_model

    return _language_model.__wrapped__


def test_order_is_kept_over_groups(subject):
    """Items of two tasks in turn: each answer is that of its own item, and each task is a part of the score."""
    task = written(doc_to_text="{{q}}", doc_to_target="{{a}}", until=["\n"], most=8)
    one = close_ended("own", "Own", (), None, task, right=lambda item, answer: answer["exact_match"], group="g")
    items = [{"g": g, "q": f"The capital of {x}", "a": "?"} for g, x in zip("abab", "WXYZ", strict=True)]
    answers = one.answer(subject, items)
    assert answers == [one.answer(subject, [item])[0] for item in items]
    scores = one.score(items, answers, JUDGE)
    assert list(scores) == ["acc", "a", "b"] and [scores[part].count for part in scores] == [4, 2, 2]


@real
@pytest.mark.parametrize("name", ["mmlu", "bbh", "gsm8k", "tfns", "advbench", "human_eval"])
def test_real_files_run_from_start_to_end(name, subject):
    if name == "human_eval" and which_sandbox() is None:
        without_sandbox("no sandbox works here")
    benchmark = BENCHMARKS[name]
    whole = benchmark.items(place(SHARED), "")
    assert len(whole) == SIZES[name]
    items = benchmark.items(place(SHARED, 6), "")
    scores = benchmark.score(items, benchmark.answer(subject, items), JUDGE)
    first = next(iter(scores.values()))
    assert first.count == 6 and 0 <= first.value <= 1 and first.note.startswith(f"6 of {SIZES[name]} items")
