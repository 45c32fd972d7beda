"""From a model to scores: prompts, means by language, and the loss against its definition."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch

from fedkit.common.errors import FedkitError
from fedkit.data.builders.questions import Question
from fedkit.evaluation import ref as evaluation
from fedkit.evaluation.judges.judge import ReferenceJudge
from fedkit.evaluation.specs import EvalSpec
from fedkit.training.prompts import get_template

QUESTIONS = [
    Question("1", "en", "Name the capital of Italy.", "Rome"),
    Question("2", "en", "Count to two.", "one two"),
    Question("3", "zh", "北京?", "北京是中国的首都。"),
]
RECORDS = [
    {"instruction": "Name the capital of Italy.", "response": "Rome.", "language": "en"},
    {"instruction": "北京?", "response": "北京是中国的首都。", "language": "zh"},
    {"instruction": "Count.", "response": "one two three four five", "language": "en"},
]


class Rater:
    name = "first letter"

    def rate(self, question, answer, reference):
        return None if answer == "?" else float(answer)


def test_answers_are_those_to_the_templates_prompts(tiny_model, tiny_tokenizer):
    from fedkit.evaluation.generation import generate

    spec = EvalSpec(max_new_tokens=6, batch_size=2)
    template = get_template("alpaca")
    prompts = [template.prompt(q.instruction, q.language) for q in QUESTIONS]
    expected = generate(tiny_model, tiny_tokenizer, prompts, max_new_tokens=6)
    answers = evaluation.ref_answers(tiny_model, tiny_tokenizer, QUESTIONS, template="alpaca", evaluation=spec)
    again = evaluation.ref_answers(tiny_model, tiny_tokenizer, QUESTIONS, template=template, evaluation=spec)
    assert answers == again == expected and len(answers) == 3


def test_scores_and_their_means():
    """en (4 + 8) / 2 = 6, zh 2; the average is over languages, (6 + 2) / 2, not over questions, 14 / 3."""
    scores = evaluation.ref_scores(QUESTIONS, ["4", "8", "2"], Rater())
    assert list(scores.columns) == ["id", "language", "instruction", "answer", "reference", "score"]
    assert scores.attrs == {"judge": "first letter", "unrated": 0}
    assert evaluation.by_language(scores).to_dict() == {"en": 6.0, "zh": 2.0, "Average": 4.0}


def test_unrated_answers_are_counted_and_left_out():
    scores = evaluation.ref_scores(QUESTIONS, ["4", "?", "2"], Rater())
    assert scores.attrs["unrated"] == 1 and math.isnan(scores.score[1])
    assert evaluation.by_language(scores)["en"] == 4.0


def test_a_judge_that_rates_many_at_once_is_asked_once():
    """And sees no reference where there is none."""
    calls = []

    class Many(Rater):
        def rate_all(self, items):
            calls.append(items)
            return [float(len(item.answers[-1])) for item in items]

    questions = [*QUESTIONS[:2], Question("4", "zh", "?", " ")]
    assert evaluation.ref_scores(questions, ["a", "bb", "ccc"], Many()).score.tolist() == [1.0, 2.0, 3.0]
    (items,) = calls
    assert [item.references for item in items] == [("Rome",), ("one two",), ()]
    assert [item.prompt for item in items] == ["ref", "ref", "single-v1"]


def test_a_language_without_ratings_has_no_average():
    with pytest.raises(FedkitError, match="language 'zh' has no rated answer"):
        evaluation.by_language(evaluation.ref_scores(QUESTIONS, ["4", "8", "?"], Rater()))
    with pytest.raises(FedkitError, match="no rated answer"):
        evaluation.by_language(evaluation.ref_scores([], [], Rater()))


def test_perfect_answers_with_the_offline_judge():
    scores = evaluation.ref_scores(QUESTIONS, [q.reference for q in QUESTIONS], ReferenceJudge())
    assert evaluation.by_language(scores).tolist() == pytest.approx([10.0] * 3)
    assert isinstance(scores, pd.DataFrame)


def test_one_answer_a_question():
    with pytest.raises(FedkitError, match="2 answers for 3 questions"):
        evaluation.ref_scores(QUESTIONS, ["a", "b"], Rater())


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


def test_completion_loss_is_its_definition(tiny_model, tiny_tokenizer):
    template = get_template("vicuna_v1.1")
    loss, tokens = by_definition(tiny_model, tiny_tokenizer, RECORDS, template)
    for size in (1, 2, 16):
        found = evaluation.completion_loss(tiny_model, tiny_tokenizer, RECORDS, template, 512, size)
        assert found["loss"] == pytest.approx(loss, rel=1e-5)
        assert (found["tokens"], found["records"], found["skipped"]) == (tokens, 3, 0)


def test_completion_loss_of_a_model_with_another_head(tiny_model, tiny_tokenizer, monkeypatch):
    """By whole logits, as a model that transforms them needs it: the same number on one that does not."""
    template = get_template("vicuna_v1.1")
    expected = evaluation.completion_loss(tiny_model, tiny_tokenizer, RECORDS, template, 512)
    monkeypatch.setattr("fedkit.training.losses.has_plain_head", lambda model: False)
    found = evaluation.completion_loss(tiny_model, tiny_tokenizer, RECORDS, template, 512)
    assert found == pytest.approx(expected, rel=1e-6)


def test_completion_loss_counts_what_does_not_fit(tiny_model, tiny_tokenizer):
    long = {"instruction": "word " * 300, "response": "x", "language": "en"}
    template = get_template("vicuna_v1.1")
    found = evaluation.completion_loss(tiny_model, tiny_tokenizer, [*RECORDS, long], template, 250)
    assert (found["records"], found["skipped"]) == (3, 1)
