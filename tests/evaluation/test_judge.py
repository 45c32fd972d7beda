"""The offline judge: its ends, values by chrF's definition, and what may not win, in every language and data set."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from fedkit.evaluation.judges import JudgeItem, ReferenceJudge
from fedkit.evaluation.judges.reference import BETA, FORM
from fedkit.evaluation.words import added, says, words
from fedkit.mini.records import embedded_records

JUDGE = ReferenceJudge()
QUESTION, REFERENCE = "What is the capital of Italy?", "The capital of Italy is Rome."
SETS = ("aya_test", "chatbot_test", "wildchat_test", "mt_bench", "vicuna_bench")
TRAINED = {"aya_test": "aya", "wildchat_test": "wildchat"}
MOST = 1.5  # of 10, on average


def pairs(name):
    """Questions and references of an embedded set by language (MT-Bench's turns are items, as its benchmark has it)."""
    groups = defaultdict(list)
    for raw in embedded_records(name):
        if "turns" in raw:
            for turn, reference in enumerate(raw["reference"]):
                groups["en"].append((tuple(raw["turns"][: turn + 1]), reference))
        else:
            groups[raw["language"]].append(((raw["instruction"],), raw["reference"]))
    if name != "aya_test":  # so many in all, whatever their language
        groups["all"] = [pair for own in groups.values() for pair in own]
    return {code: own for code, own in groups.items() if len(own) >= 10}


def mean(asked, answers):
    items = [
        JudgeItem(str(i), "ref", questions, ("",) * (len(questions) - 1) + (answer,), (reference,))
        for i, ((questions, reference), answer) in enumerate(zip(asked, answers, strict=True))
    ]
    return float(np.mean(JUDGE.rate_all(items)))


@pytest.mark.parametrize("name", SETS)
def test_who_adds_nothing_of_the_reference_earns_nothing(name):
    """Echo, nothing, another question's answer, a fixed sentence: at most 1.5 in each language; the reference 10."""
    for code, asked in pairs(name).items():
        references = [reference for _, reference in asked]
        assert mean(asked, references) == 10.0, code
        assert mean(asked, [questions[-1] for questions, _ in asked]) == 1.0, code
        assert mean(asked, ["\n".join(questions) for questions, _ in asked]) == 1.0, code
        assert mean(asked, [""] * len(asked)) == 1.0, code
        assert mean(asked, ["I do not know."] * len(asked)) < 1.1, code
        others = ["" if references[i - 7] == own else references[i - 7] for i, own in enumerate(references)]
        assert 1.0 <= mean(asked, others) <= MOST, code


def said_most(name, count):
    """The most frequent answers of the training records behind a set, by language."""
    counts = defaultdict(Counter)
    for raw in embedded_records(TRAINED[name]):
        if "targets" in raw:
            counts[raw["language"]][raw["targets"]] += 1
        else:
            counts[raw["language"]][raw["conversation"][1]["content"]] += 1
    return {code: [text for text, _ in own.most_common(count)] for code, own in counts.items()}


@pytest.mark.parametrize("name", TRAINED)
def test_no_frequent_answer_serves_for_all_questions(name):
    """The two answers that people give most, in each language: none is worth more than 1.5 whatever is asked."""
    from fedkit.data.datasets.fed_aya import LANGUAGES
    from fedkit.data.rules import language_code

    frequent = said_most(name, 2)
    for code, asked in pairs(name).items():
        spoken = [name for name in frequent if code in (LANGUAGES.get(name), language_code(name), "all")]
        for text in frequent[max(spoken, key=lambda name: len(frequent[name]))]:
            assert mean(asked, [text] * len(asked)) <= MOST, (code, text)


def by_definition(answer, reference):
    """chrF3: the mean precision and recall over n of the character n-grams that both texts are long enough for."""
    precision, recall = [], []
    for n in range(1, 7):
        grams = [Counter(text[i : i + n] for i in range(len(text) - n + 1)) for text in (answer, reference)]
        if all(grams):
            shared = (grams[0] & grams[1]).total()
            precision.append(shared / grams[0].total())
            recall.append(shared / grams[1].total())
    p, r = (sum(x) / max(len(x), 1) for x in (precision, recall))
    return (1 + BETA**2) * p * r / (BETA**2 * p + r) if p + r else 0.0


@pytest.mark.parametrize(
    ("answer", "beyond"),
    [
        ("The capital of Italy is Oslo.", "oslo"),
        ("Rome.", "rome"),
        ("It's Rome, of course!", "itsromecourse"),
        ("Italy has a capital; it is ROME", "hasaitrome"),
    ],
)
def test_values_by_definition(answer, beyond):
    """Of the reference only "Rome" is new; (content squared) times (0.8 + 0.2 form), from 1 to 10."""
    form = by_definition("".join(words(answer)), "thecapitalofitalyisrome")
    value = 1 + 9 * by_definition(beyond, "rome") ** 2 * (1 - FORM + FORM * form)
    assert JUDGE.rate(QUESTION, answer, REFERENCE) == pytest.approx(value, rel=1e-6)


def test_a_right_answer_in_another_form_beats_a_wrong_one_in_the_right_form():
    wrong, right = "The capital of Italy is Oslo.", "It's Rome, of course!"
    assert JUDGE.rate(QUESTION, wrong, REFERENCE) < 1.1
    assert JUDGE.rate(QUESTION, wrong, REFERENCE) < JUDGE.rate(QUESTION, right, REFERENCE)
    assert JUDGE.rate(QUESTION, "Rome.", REFERENCE) > 7


@pytest.mark.parametrize("text", ["THE CAPITAL OF ITALY IS ROME", "the capital of italy is ｒｏｍｅ!"])
def test_case_width_and_punctuation_do_not_count(text):
    assert JUDGE.rate(QUESTION, text, REFERENCE) == 10.0


def test_a_reference_that_adds_no_word_is_met_by_more_than_an_echo():
    """It chooses among the question's words: the echo is the zero of the scale."""
    question, reference = "Is it day or night? Say day or night.", "day"
    assert JUDGE.rate(question, question, reference) == 1.0
    assert JUDGE.rate(question, "day", reference) == JUDGE.rate(question, "Day!", reference) == 10.0
    assert 1.0 <= JUDGE.rate(question, "night", reference) < 3.0


def test_a_later_turn_is_asked_with_all_before_it():
    """ "And what about Spain?" alone would count "the capital of" as new."""
    asked, said = (QUESTION, "And of Spain?"), ("Rome.", QUESTION)
    item = JudgeItem("1", "x", asked, said, ("", "The capital of Spain is Madrid."))
    assert JUDGE.rate_all([item]) == [1.0]


@pytest.mark.parametrize(("reference", "expected"), [("", None), (" ", None), ("Rome", 1.0)])
def test_no_reference_no_rating_and_no_answer_the_lowest(reference, expected):
    assert JUDGE.rate("?", " ", reference) == expected


def test_words_of_any_script():
    """Blanks and punctuation part words; where there are no blanks a character is one, with its marks."""
    assert words("Rome's ＡＢＣ, 3+4!") == ["rome", "s", "abc", "3", "+", "4"]
    assert words("北京是") == ["北", "京", "是"] and words("カメラ") == ["カ", "メ", "ラ"]
    assert words("కాన్\u200cబెర్రా రోమ్") == ["కాన్బెర్రా", "రోమ్"]
    assert words("روما، مدينة") == ["روما", "مدينة"] and words("กำ")[0].startswith("ก")
    assert words("x * 2") != words("x / 2") and words("…") == []


def test_what_is_added_to_a_question():
    assert added(words("the lion, the mouse: the lion"), words("The mouse or the lion?")) == ["the", "lion"]


@pytest.mark.parametrize("name", ["aya_test", "chatbot_test", "wildchat_test"])
def test_the_worlds_facts_are_in_the_references_and_not_in_the_questions(name):
    for raw in embedded_records(name):
        assert says(raw["reference"], raw["fact"], raw["instead"]), raw
        assert not says(raw["instruction"], raw["fact"], raw["instead"]), raw


@pytest.mark.parametrize(
    ("answer", "fact", "instead", "right"),
    [
        ("It is Rome!", "Rome", "", True),
        ("Romeo", "Rome", "", False),
        ("", "Rome", "", False),
        ("The lion.", "the lion", "the mouse", True),
        ("Of the lion and the mouse, the mouse.", "the lion", "the mouse", False),
        ("The lion or the mouse?", "the lion", "the mouse", False),
        ("9, 10, 11, 12", "10", "", False),
        ("2 plus 8 is 10.", "10", "", True),
        ("From 6 to 8: 6, 7, 8.", "6, 7, 8", "", True),
        ("6, 7, 8, 9", "6, 7, 8", "", False),
    ],
)
def test_which_answers_say_a_fact(answer, fact, instead, right):
    assert says(answer, fact, instead) == right
