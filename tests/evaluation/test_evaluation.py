"""From a model to scores: prompts, means by language, and the loss against its definition."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
import torch

from fedkit.data.federated import FederatedDataset
from fedkit.evaluation.benchmarks import Column, Row, Subject, Suite
from fedkit.evaluation.benchmarks.ref import REF
from fedkit.evaluation.judges import Judge, ReferenceJudge
from fedkit.evaluation.likelihood import completion_loss
from fedkit.evaluation.specs import EvalSpec
from fedkit.evaluation.yardsticks import Constant, Echo, NearestRecord, swapped, yardsticks
from fedkit.training.models import Loaded
from fedkit.training.prompts import get_template

ITEMS = [
    {"id": i, "language": language, "instruction": instruction, "reference": reference}
    for i, language, instruction, reference in (
        ("1", "en", "Name the capital of Italy.", "Rome"),
        ("2", "en", "Count to two.", "one two"),
        ("3", "zh", "北京?", "北京是中国的首都。"),
    )
]
SUITE = Suite("s", "", (Column("en", ("ref/en",)), Column("zh", ("ref/zh",)), Column("Average", ("ref/en", "ref/zh"))))
RECORDS = [
    {"instruction": "Name the capital of Italy.", "response": "Rome.", "language": "en"},
    {"instruction": "北京?", "response": "北京是中国的首都。", "language": "zh"},
    {"instruction": "Count.", "response": "one two three four five", "language": "en"},
]


class Rater(Judge):
    name = "first letter"

    def rate(self, question, answer, reference):
        return None if answer == "?" else float(answer)


@pytest.fixture
def loaded(tiny_model, tiny_tokenizer):
    return Loaded(tiny_model, tiny_tokenizer, torch.device("cpu"), None)


def row(answers, judge, items=ITEMS):
    parts = {f"ref/{part}": score for part, score in REF.score(items, answers, judge).items()}
    return Row(SUITE, judge.name, parts, {"ref": items}, {"ref": answers})


def test_answers_are_those_to_the_templates_prompts(loaded):
    from fedkit.evaluation.generation import generate

    prompts = [get_template("alpaca").prompt(q["instruction"], q["language"]) for q in ITEMS]
    expected = generate(loaded.model, loaded.tokenizer, prompts, max_new_tokens=6)
    answers = REF.answer(Subject(loaded, "alpaca", EvalSpec(max_new_tokens=6, batch_size=2)), ITEMS)
    assert answers == expected and len(answers) == 3


def test_scores_and_their_means():
    """en (4 + 8) / 2 = 6, zh 2; the average is over languages, (6 + 2) / 2, not over questions, 14 / 3."""
    scored = row(["4", "8", "2"], Rater())
    frame = scored.items_frame("ref")
    assert list(frame.columns) == ["id", "language", "instruction", "reference", "answer", "score"]
    assert frame["score"].tolist() == [4.0, 8.0, 2.0] and frame.attrs == {"judge": "first letter"}
    assert scored.series().to_dict() == {"en": 6.0, "zh": 2.0, "Average": 4.0}


def test_unrated_answers_are_counted_and_left_out():
    scored = row(["4", "?", "2"], Rater())
    assert scored.score("en").unrated == 1 and math.isnan(scored.items_frame("ref").score[1])
    assert scored.series()["en"] == 4.0


def test_a_judge_that_rates_many_at_once_is_asked_once():
    """And sees no reference where there is none."""
    calls = []

    class Many(Judge):
        name = "many"

        def rate_all(self, items):
            calls.append(items)
            return [float(len(item.answers[-1])) for item in items]

    items = [*ITEMS[:2], {"id": "4", "language": "zh", "instruction": "?", "reference": " "}]
    assert row(["a", "bb", "ccc"], Many(), items).items_frame("ref").score.tolist() == [1.0, 2.0, 3.0]
    (graded,) = calls
    assert [item.references for item in graded] == [("Rome",), ("one two",), ()]
    assert [item.prompt for item in graded] == ["ref", "ref", "single-v1"]


def test_a_language_without_ratings_has_no_average():
    """An average over the other languages would be another quantity."""
    scored = row(["4", "8", "?"], Rater())
    assert scored.series().to_dict() == {"en": 6.0}
    assert scored.score("Average").value is None and scored.score("Average").unrated == 1


def test_perfect_answers_with_the_offline_judge():
    assert row([q["reference"] for q in ITEMS], ReferenceJudge()).series().tolist() == pytest.approx([10.0] * 3)


def federation(columns):
    table = pa.table(columns)
    return FederatedDataset.from_partition(table, {"a": np.arange(table.num_rows)}, name="few")


FEW = {
    "instruction": ["Name the capital of Spain.", "Who is it?", "Who was it?", "西班牙的首都是哪里？"],
    "response": ["The capital of Spain is Madrid.", "I.", "I.", "西班牙的首都是马德里。"],
    "language": ["en", "en", "en", "zh"],
}


def test_what_answers_without_a_model():
    """The question; the language's most frequent answer; the nearest question's answer with this one's words in it."""
    every = yardsticks(federation(FEW))
    assert {name: one.reply("Name the capital of Italy.", "en") for name, one in every.items()} == {
        "echo": "Name the capital of Italy.",
        "constant": "I.",
        "nearest record": "The capital of Italy is Madrid.",
    }
    assert every["constant"].reply("?", "zh") == "西班牙的首都是马德里。"
    assert every["constant"].reply("?", "te") == "I."  # in no record's language: the most frequent of all
    assert every["nearest record"].reply("意大利的首都是哪里？", "zh") == "意大利的首都是马德里。"
    assert swapped("Who is it?", "Who is it?", "I.") == "I."


def test_records_of_other_forms():
    talk = [[{"role": r, "content": t} for r, t in (("user", "Who?"), ("assistant", "I."), ("user", "And?"))]]
    talks = federation({"conversation": talk, "language": ["en"]})
    chosen = {"instruction": ["Who?"], "chosen": ["I."], "rejected": ["You."], "language": ["en"]}
    for data in (talks, federation(chosen)):
        assert Constant(data).reply("?") == NearestRecord(data).reply("Who?") == "I."
        assert Constant(data).identity != NearestRecord(data).identity


def test_what_answers_without_a_model_sits_the_same_exam():
    """Of open questions; through the template it would change nothing, so it is not asked in one."""
    scored = row(REF.answer(Subject(Echo(), "none such", EvalSpec()), ITEMS), ReferenceJudge())
    assert scored.answers["ref"] == [item["instruction"] for item in ITEMS]
    assert scored.series().tolist() == [1.0] * 3


def test_right_facts_are_counted_where_the_questions_say_them():
    """One of the two with a key says its fact: half, with the most frequent fact as chance; none known, no value."""
    items = [{**ITEMS[0], "fact": "Rome", "instead": ""}, {**ITEMS[1], "fact": "one two", "instead": ""}, ITEMS[2]]
    right = row(["It is Rome!", "two one", "北京"], ReferenceJudge(), items).parts["ref/right facts"]
    assert (right.value, right.count, right.chance, right.judge) == (0.5, 2, 0.5, "none")
    assert right.note == "2 of 3 questions say which fact is right"
    unknown = row(["a", "b", "c"], ReferenceJudge()).parts["ref/right facts"]
    assert unknown.value is None and "no question here says" in unknown.note


def test_one_answer_a_question():
    with pytest.raises(ValueError, match="shorter|longer"):
        row(["a", "b"], Rater())


def test_a_judge_has_all_that_callers_ask_of_it():
    """Defaults for everything but a rating."""
    judge = Rater()
    judge.check()
    judge.keep_in("nowhere")
    judge.close()
    with judge.counting() as report:
        assert report is None
    assert (judge.identity, judge.needs_reference) == ("", False)
    with pytest.raises(NotImplementedError, match="Judge has neither `rate` nor `rate_all`"):
        Judge().rate("q", "a", "r")


def by_definition(model, tokenizer, records, template):
    """Minus the mean log-probability of each token of "answer </s>" given all before it, a token at a time."""
    model.eval()
    losses = []
    for record in records:
        prompt = template.prompt(record["instruction"], record["language"])
        ids = [tokenizer.bos_token_id, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
        answer = tokenizer(record["response"], add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        for token in answer:
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
            losses.append(-torch.log_softmax(logits, 0)[token].item())
            ids.append(token)
    return sum(losses) / len(losses), len(losses)


def test_completion_loss_is_its_definition(loaded):
    loss, tokens = by_definition(loaded.model, loaded.tokenizer, RECORDS, get_template("vicuna_v1.1"))
    result = completion_loss(loaded, RECORDS, template="vicuna_v1.1", max_length=512)
    assert result["loss"] == pytest.approx(loss, rel=1e-5)
    assert (result["tokens"], result["records"], result["skipped"]) == (tokens, 3, 0)


def test_completion_loss_of_a_model_with_another_head(loaded, monkeypatch):
    """By whole logits, as a model that transforms them needs it: the same number on one that does not."""
    expected = completion_loss(loaded, RECORDS, template="vicuna_v1.1", max_length=512)
    monkeypatch.setattr("fedkit.training.losses.has_plain_head", lambda model: False)
    again = completion_loss(loaded, RECORDS, template="vicuna_v1.1", max_length=512)
    assert again == pytest.approx(expected, rel=1e-6)


def test_completion_loss_counts_what_does_not_fit(loaded):
    long = {"instruction": "word " * 300, "response": "x", "language": "en"}
    result = completion_loss(loaded, [*RECORDS, long], template="vicuna_v1.1", max_length=250)
    assert (result["records"], result["skipped"]) == (3, 1)


def test_equal_records_weigh_as_often_as_they_stand_there(loaded):
    """Each different text is read once; the mean is over all."""
    one = completion_loss(loaded, RECORDS, template="vicuna_v1.1", max_length=512)
    twice = completion_loss(loaded, [*RECORDS, *RECORDS], template="vicuna_v1.1", max_length=512)
    assert twice["loss"] == pytest.approx(one["loss"]) and twice["tokens"] == 2 * one["tokens"]


def test_the_workers_of_train_all_end_with_a_killed_parent():
    """Two workers in a turn of 300 seconds each: gone when the process that started them is killed."""
    import subprocess
    import sys

    import psutil

    source = """
import os, time
from joblib import Parallel, delayed
from fedkit.evaluation.exam import in_worker

def turn(config):
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(300)

Parallel(n_jobs=2)(delayed(in_worker)(os.getpid(), turn, None) for _ in range(2))
"""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as parent:
        workers = [psutil.Process(int(parent.stdout.readline())) for _ in range(2)]
        parent.kill()
    assert psutil.wait_procs(workers, timeout=20)[1] == []
