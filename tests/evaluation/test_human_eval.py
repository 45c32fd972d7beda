"""HumanEval: the published solutions pass, wrong ones fail, completions are cut as published, pass@k by counting."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import pytest
from sandbox_tools import without_sandbox

from fedkit.common.errors import FedkitError
from fedkit.data.place import Place
from fedkit.data.readers import read_file
from fedkit.evaluation.benchmarks import BENCHMARKS, Pool
from fedkit.evaluation.benchmarks.human_eval import cut_completion, human_eval_pass, pass_at_k
from fedkit.evaluation.sandbox import which_sandbox

REAL = Path(__file__).parents[3] / "shared" / "data" / "human_eval" / "HumanEval.jsonl.gz"
SAMPLE = (0, 10, 32, 38, 50, 78, 103, 115, 130, 163)  # 32, 38 and 50 have helpers in their prompts

PROBLEM = {
    "task_id": "own/0",
    "prompt": "def shift(x: int) -> int:\n    return x + 1\n\ndef back(x: int) -> int:\n    '''Undo shift.'''\n",
    "entry_point": "back",
    "test": "def check(candidate):\n    for x in range(5):\n        assert candidate(shift(x)) == x\n",
}


@pytest.fixture(autouse=True, scope="module")
def sandbox():
    if which_sandbox() is None:
        without_sandbox("no sandbox works here: bubblewrap or unshare is needed")


@pytest.fixture(scope="module")
def problems():
    if not REAL.exists():
        pytest.skip("the real HumanEval is not here: shared/data/human_eval")
    return list(read_file(REAL))


def test_published_solutions_pass(problems):
    """All 164, and none is cut."""
    assert len(problems) == 164
    assert all(cut_completion(p["canonical_solution"]) == p["canonical_solution"] for p in problems)
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda p: human_eval_pass(p, p["canonical_solution"]), problems))
    assert {p["task_id"]: o.reason for p, o in zip(problems, outcomes, strict=True) if not o.passed} == {}


@pytest.mark.parametrize("completion", ["    pass\n", "    raise SystemExit(0)\n", "  return\n    1\n"])
def test_wrong_completions_fail(problems, completion):
    assert not any(human_eval_pass(problems[number], completion).passed for number in SAMPLE[::3])


def test_another_problems_solution_fails(problems):
    assert not human_eval_pass(problems[0], problems[2]["canonical_solution"]).passed


def test_a_completion_that_redefines_the_prompts_helper():
    assert human_eval_pass(PROBLEM, "    return x - 1\n").passed
    outcome = human_eval_pass(PROBLEM, "    return x\n\ndef shift(x):\n    return x\n")
    assert outcome.kind == "wrong"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("    return 1\n", "    return 1\n"),
        ("    return 1\nprint(f())\ndef g(): pass", "    return 1"),
        ("    if x:\n        return 1\n\nclass A: pass", "    if x:\n        return 1\n"),
        ("    # a comment inside\n    return 1\n# outside", "    # a comment inside\n    return 1"),
        ("    return 1\nif __name__ == '__main__':", "    return 1"),
        ("", ""),
    ],
)
def test_cut(text, kept):
    assert cut_completion(text) == kept


def test_what_the_model_wrote_is_run_as_it_stands(monkeypatch):
    """Indentation is the model's: a body at column 0 is none, nor is one indented otherwise than its docstring."""
    item = {**PROBLEM, "prompt": PROBLEM["prompt"].replace("x + 1\n\n", "x + 1\n")}
    seen = []

    def ask(subject, prompts, **options):
        seen.append((prompts, options))
        return [texts[i] for i in range(len(prompts))]

    monkeypatch.setattr("fedkit.evaluation.benchmarks.human_eval.ask", ask)
    monkeypatch.setattr(
        "fedkit.evaluation.benchmarks.human_eval.too_long", lambda subject, prompts: [False] * len(prompts)
    )
    texts = ["    return x - 1\n\ndef more(): pass", "return x - 1\n", "   return x - 1", "\n    return x - 1"]
    answers = BENCHMARKS["human_eval"].answer(None, [item] * 4)
    assert [answer["passed"] for answer in answers] == [True, False, False, True]
    assert (
        answers[1]["reason"].startswith("error: SyntaxError: 'return' outside")
        and answers[0]["completion"] == "    return x - 1\n"
    )
    assert seen == [([item["prompt"]] * 4, {"temperature": 0.0, "strip": False})], "the prompt as published"


def test_a_limit_draws_problems_and_says_so():
    benchmark, pool = BENCHMARKS["human_eval"], Pool(Place(None, offline=True, embedded=True), 3)
    items = benchmark.items(pool, "")
    score = benchmark.score(items, [{"passed": False, "cut": True}] * 3, None)["pass@1"]
    assert (score.count, score.note, score.chance) == (
        3,
        "3 of 16 items; 3 of 3 prompts cut to the model's length",
        0.0,
    )


def test_pass_at_k_is_the_share_of_draws():
    """Of all draws of k out of 6 samples, 2 of them right, those that hold a right one."""
    for k in range(1, 7):
        draws = list(combinations(range(6), k))
        assert pass_at_k(6, 2, k) == pytest.approx(sum(1 for draw in draws if min(draw) < 2) / len(draws))
    assert pass_at_k(5, 0, 5) == 0.0 and pass_at_k(5, 5, 1) == 1.0
    with pytest.raises(FedkitError, match="pass@3 of 1 passing in 2"):
        pass_at_k(2, 1, 3)


def test_bad_problems_are_named(tmp_path):
    path = tmp_path / "human_eval" / "HumanEval.jsonl"
    path.parent.mkdir()
    pool = Pool(Place(tmp_path, offline=True))
    path.write_text(json.dumps(PROBLEM) + "\n" + json.dumps({**PROBLEM, "test": None}) + "\n")
    with pytest.raises(FedkitError, match="record 2 of human_eval is malformed .*test"):
        BENCHMARKS["human_eval"].items(pool, "")
    with pytest.raises(FedkitError, match="the problem has no text in the field 'test'"):
        human_eval_pass({**PROBLEM, "test": None}, "")
    with pytest.raises(FedkitError, match="'entry_point'"):
        human_eval_pass({"task_id": "x", "prompt": ""}, "")
