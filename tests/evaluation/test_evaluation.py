"""From a model to scores: prompts, means by language, and the loss against its definition."""

from __future__ import annotations

import math

import pytest
import torch

from fedkit.evaluation.benchmarks import Column, Row, Subject, Suite
from fedkit.evaluation.benchmarks.ref import REF
from fedkit.evaluation.judges import Judge, ReferenceJudge
from fedkit.evaluation.likelihood import completion_loss
from fedkit.evaluation.specs import EvalSpec
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
