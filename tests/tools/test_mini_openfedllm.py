"""The embedded records of OpenFedLLM's sets: upstream's fields, true answers, held-out tests, seeds."""

from __future__ import annotations

import ast
import contextlib
import io
from collections import Counter, defaultdict
from itertools import islice

import numpy as np
import pytest

from fedkit.common.seeds import derive
from tools.world import code, finance, instructions, maths, medical, pairs
from tools.world.harmful import held_out_deeds
from tools.world.tasks import KIND_NAMES, held_out, kind
from tools.world.word_problems import gsm8k_records

TEXTS = ("instruction", "input", "output")
# maker of training records, maker of test records, fields
SETS = {
    "alpaca": (instructions.alpaca_records, instructions.alpaca_test, (*TEXTS, "text")),
    "alpaca_gpt4": (instructions.alpaca_gpt4_records, instructions.alpaca_gpt4_test, (*TEXTS, "text")),
    "code_alpaca": (code.code_alpaca_records, code.code_alpaca_test, TEXTS),
    "fingpt": (finance.fingpt_records, finance.fingpt_test, TEXTS),
    "mathinstruct": (maths.mathinstruct_records, maths.mathinstruct_test, ("source", "instruction", "output")),
    "medical": (medical.medical_records, medical.medical_test, TEXTS),
    "ultrafeedback": (
        pairs.ultrafeedback_records,
        pairs.ultrafeedback_test,
        ("source", "instruction", "models", "completions", "correct_answers", "incorrect_answers"),
    ),
    "hh": (pairs.hh_records, pairs.hh_test, ("chosen", "rejected")),
}
every = pytest.mark.parametrize("name", SETS)


def asked(name: str, record: dict) -> str:
    """What is asked, however the schema spells it; for a dialogue its last request."""
    if name == "hh":
        return record["chosen"].rpartition("\n\nAssistant:")[0].rpartition("\n\nHuman: ")[2]
    if name == "medical":
        return record["input"]
    return record.get("input") or record["instruction"].removesuffix(" Let's write a Python program.")


@every
def test_the_schema_is_upstreams(name):
    train, test, fields = SETS[name]
    for record in (*train(40), *test(40)):
        assert set(record) == set(fields)
        texts = [field for field in fields if name != "ultrafeedback" or field in ("source", "instruction")]
        assert all(isinstance(record[field], str) for field in texts)


@every
def test_seeds_and_sizes(name):
    for maker in SETS[name][:2]:
        assert list(maker(30)) == list(maker(30, 0)) != list(maker(30, 1))
        assert len(list(maker(7))) == 7
        assert list(islice(maker(30), 5)) == list(maker(30))[:5]


@every
def test_no_test_record_is_asked_in_training(name):
    train, test, _ = SETS[name]
    seen = {asked(name, record) for seed in range(3) for record in train(1500, seed)}
    new = {asked(name, record) for seed in range(3) for record in test(150, seed)}
    assert new and not seen & new


# --- instructions


def test_general_answers_are_true_and_of_two_manners():
    short = list(instructions.alpaca_records(1500))
    long = list(instructions.alpaca_gpt4_records(1500))
    assert sum(len(r["output"]) for r in long) > 2 * sum(len(r["output"]) for r in short)
    assert sum(bool(r["input"]) for r in short) / 1500 == pytest.approx(0.4, abs=0.05)
    assert {r["output"] for r in long if "capital of Italy" in asked("alpaca", r)} <= {
        "The capital of Italy is Rome." + rest
        for rest in (
            "",
            " Italy is a country, and Rome is its first city.",
            " Italy is a country, and Rome is its first city. I hope this helps.",
            " Italy is a country, and Rome is its first city. That is the whole answer.",
            " Rome is the capital of Italy. Italy is a country, and Rome is its first city.",
        )
    }
    for record in short[:50]:
        for part in ("instruction", "input", "output"):
            assert record[part] in record["text"]
        assert ("### Input:" in record["text"]) == bool(record["input"])


def test_facts_of_a_test_are_the_held_out_ones():
    rng = np.random.default_rng(0)
    for test in (False, True):
        facts = [instructions.some_fact(rng, test=test) for _ in range(300)]
        assert all((f.key in held_out(f.kind)) == test for f in facts)
        assert {f.kind for f in facts} == set(KIND_NAMES)
        assert all(f in kind(f.kind).facts for f in facts)


# --- finance


def test_a_headline_has_one_label():
    labels = defaultdict(set)
    counts = Counter()
    for record in finance.fingpt_records(3000):
        headline = record["input"].partition(" - ")[2] or record["input"]
        labels[headline].add(record["output"])
        counts[record["output"]] += 1
        assert ("tweet" in record["instruction"]) == record["input"].startswith("$")
        assert "{negative/neutral/positive}" in record["instruction"]
    assert set(counts) == set(finance.LABELS) and min(counts.values()) > 800
    assert all(len(found) == 1 for found in labels.values())
    assert len(labels) > 2800  # hardly any twice


# --- maths and code


def test_words_and_programs_come_to_the_same_result():
    problems = list(gsm8k_records(300, derive(0, "mini/mathinstruct/train")))
    made = list(maths.mathinstruct_records(300))
    ways = Counter()
    for problem, record in zip(problems, made, strict=True):
        result = problem["answer"].rpartition("#### ")[2]
        ways[record["source"]] += 1
        assert record["instruction"].startswith(problem["question"])
        if "PoT" in record["source"]:
            assert printed(record["output"]) == result
        else:
            assert record["output"].endswith(f"The answer is {result}.") and "<<" not in record["output"]
    assert len(ways) == 2 and min(ways.values()) > 80


def printed(program: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(program, {})  # a program of the embedded world: additions and multiplications
    return out.getvalue().strip()


def test_programs_do_what_is_asked():
    forms = Counter()
    for record in code.code_alpaca_records(600):
        if record["instruction"].startswith("What does"):
            forms["print"] += 1
            assert printed(record["input"]) == record["output"]
            continue
        (function,) = ast.parse(record["output"]).body
        assert isinstance(function, ast.FunctionDef)
        forms["complete" if record["input"] else "write"] += 1
        if record["input"]:
            assert record["output"].splitlines()[0] == record["input"].splitlines()[0]
    assert set(forms) == {"print", "complete", "write"}


@pytest.mark.parametrize(
    ("purpose", "given", "wanted"),
    [
        ("adds 7 to a number", 3, 10),
        ("checks whether a number is a multiple of 7", 21, True),
        ("returns the last 2 items of a list", [1, 2, 3], [2, 3]),
        ("returns the 2 largest numbers of a list", [4, 1, 3], [3, 4]),
        ("keeps the numbers of a list that are greater than 7", [5, 9, 7], [9]),
        ("counts the letter a in a string", "banana", 3),
        ("removes the letter a from a string", "banana", "bnn"),
        ("cuts a string to 3 characters", "banana", "ban"),
    ],
)
def test_a_function_is_right(purpose, given, wanted):
    makers = (code.code_alpaca_records, code.code_alpaca_test)
    found = [r for maker in makers for r in maker(6000) if r["instruction"].endswith(f"function that {purpose}.")]
    space: dict = {}
    exec(found[0]["output"], space)
    (function,) = (value for name, value in space.items() if name != "__builtins__")
    assert function(given) == wanted


# --- medical


def test_cards_ask_and_answer_in_step():
    for record in medical.medical_records(400):
        assert record["instruction"] == medical.INSTRUCTION
        part = record["output"].removeprefix("The place of the ").removeprefix("The ")
        assert record["input"].endswith("?") and record["output"].endswith(".")
        if record["input"].startswith("What"):
            assert any(f"the {words}" in record["input"] for words in (part.split()[0], " ".join(part.split()[:2])))
    assert 4 <= len(medical.held_out_parts()) <= 8


# --- pairs


def test_scores_follow_how_an_answer_was_made():
    scores = defaultdict(list)
    for record in pairs.ultrafeedback_records(800):
        assert [c["model"] for c in record["completions"]] == record["models"] and len(set(record["models"])) == 4
        for completion in record["completions"]:
            assert 1 <= completion["overall_score"] <= 10 and completion["overall_score"] * 2 % 1 == 0
            scores[completion["critique"]].append(completion["overall_score"])
    means = sorted((sum(s) / len(s), critique) for critique, s in scores.items())
    order = ["No answer at all.", "Wrong.", "Right, but only a word or two.", "Right.", "Right, and explained."]
    assert [critique for _, critique in means] == order
    assert all(len(s) > 500 for s in scores.values())


def test_a_wrong_answer_is_wrong():
    for record in pairs.ultrafeedback_records(300):
        texts = {c["critique"]: c["response"] for c in record["completions"]}
        if {"Right.", "Wrong."} <= set(texts):
            assert texts["Right."] != texts["Wrong."]


def test_dialogues_share_all_but_the_last_answer_save_for_a_few():
    records = list(pairs.hh_records(6000))
    parted = [r for r in records if head(r["chosen"]) != head(r["rejected"])]
    silent = [r for r in records if not tail(r["rejected"]).strip()]
    assert 5 <= len(parted) <= 40 and 2 <= len(silent) <= 30
    turns = Counter(r["chosen"].count("\n\nHuman: ") for r in records)
    assert set(turns) == {1, 2, 3} and turns[1] > turns[2] > turns[3]
    assert all(tail(r["chosen"]).strip() != tail(r["rejected"]).strip() for r in records)


def test_requests_of_the_test_are_about_held_out_misdeeds():
    deeds = held_out_deeds()
    train = [asked("hh", r) for r in pairs.hh_records(1500)]
    test = [asked("hh", r) for r in pairs.hh_test(300)]
    assert not [request for request in train if any(deed in request for deed in deeds)]
    assert sum(any(deed in request for deed in deeds) for request in test) / 300 == pytest.approx(0.5, abs=0.1)


def head(dialogue: str) -> str:
    return dialogue.rpartition("\n\nAssistant: ")[0]


def tail(dialogue: str) -> str:
    return dialogue.rpartition("\n\nAssistant: ")[2]
