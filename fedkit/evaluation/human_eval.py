"""HumanEval (Chen et al. 2021, "Evaluating Large Language Models Trained on Code"): completions run against tests.

The model completes a function from its signature and docstring; the completion passes if it passes every test. Tests
and completion run in the sandbox (`fedkit.evaluation.sandbox`).
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..common.errors import FedkitError
from .sandbox import Limits, Outcome, run_python

FIELDS = ("task_id", "prompt", "entry_point", "test")
STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")  # Chen et al. 2021, section 2.1
DEFAULT = Limits()


def read_human_eval(path: str | Path) -> list[dict[str, Any]]:
    """The problems of `HumanEval.jsonl` (or .gz): task_id, prompt, entry_point, canonical_solution, test.

    `FedkitError` where the file cannot be read or a problem lacks a field.
    """
    from ..data.readers import read_file

    problems = list(read_file(Path(path)))
    for number, problem in enumerate(problems, 1):
        _check(problem, f"problem {number} of {path}")
    if not problems:
        raise FedkitError(f"{path} holds no problem; fetch HumanEval.jsonl.gz anew")
    return problems


def _check(problem: Any, what: str) -> None:
    for field in FIELDS:
        if not isinstance(problem, Mapping) or not isinstance(problem.get(field), str):
            raise FedkitError(f"{what} has no text in the field {field!r}; give {', '.join(FIELDS)} as HumanEval does")


def cut_completion(text: str) -> str:
    """A completion up to the first line that leaves the function, as published: class, def, comment, if or print."""
    ends = [text.find(stop) for stop in STOPS]
    return text[: min((end for end in ends if end >= 0), default=len(text))]


def human_eval_pass(
    problem: Mapping[str, Any], completion: str, *, limits: Limits = DEFAULT, sandbox: str | None = None
) -> Outcome:
    """Whether prompt and completion together pass the problem's tests; run as given, so cut what was generated first.

    Functions that the prompt gives beside the one to write (the polynomial of task 32, the encoders of 38 and 50) are
    defined for the tests from the prompt, so that a completion that writes them anew changes no test.
    """
    _check(problem, "the problem")
    name = problem["entry_point"]
    tests = f"{_given(problem['prompt'], name)}\n{problem['test']}\ncheck({name})\n"
    return run_python(problem["prompt"] + completion, tests, limits=limits, sandbox=sandbox)


def _given(prompt: str, name: str) -> str:
    """The prompt without the function to write."""
    try:
        tree = ast.parse(prompt)
    except SyntaxError:  # a prompt that ends inside its function: the program defines all there is
        return ""
    kept = [node for node in tree.body if not (isinstance(node, ast.FunctionDef) and node.name == name)]
    return ast.unparse(ast.Module(body=kept, type_ignores=[]))


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """The chance that one of k completions of `samples` passes, `correct` of which do (Chen et al. 2021, equation 1).

    1 - C(n - c, k) / C(n, k), the unbiased estimate. `FedkitError` unless 0 <= correct <= samples, 1 <= k <= samples.
    """
    if not (0 <= correct <= samples and 1 <= k <= samples):
        raise FedkitError(f"pass@{k} of {correct} passing in {samples} samples has no meaning; need k <= samples")
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)
