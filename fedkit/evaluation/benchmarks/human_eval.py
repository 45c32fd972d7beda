"""HumanEval (Chen et al. 2021, "Evaluating Large Language Models Trained on Code"): completions run against tests.

The model completes a function from its signature and docstring, greedily; the completion passes if it passes every
test (pass@1). Tests and completion run in the sandbox (`fedkit.evaluation.sandbox`).
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...common.errors import FedkitError
from ...data.sources import RawSource, spellings
from ..sandbox.run import Limits, Outcome, require_sandbox, run_python
from .base import Benchmark, Item, Pool, Score, Subject, ask, cut_note, notes, part_note, sample, share, too_long

if TYPE_CHECKING:
    from ..judges.judge import Judge

SOURCE = RawSource(
    "human_eval",
    ("human_eval/HumanEval.jsonl.gz", *spellings("human_eval", "HumanEval")),
    fields=MappingProxyType({"task_id": str, "prompt": str, "entry_point": str, "test": str}),
    hub="openai/openai_humaneval",
    split="test",
    embedded=True,
    licence="MIT",
    description="HumanEval (Chen et al. 2021): 164 functions to write, with tests",
)
STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")  # Chen et al. 2021, section 2.1
DEFAULT = Limits()


def items(pool: Pool, dataset: str) -> list[Item]:
    """The problems."""
    return sample(pool.records(SOURCE), pool.limit, "human_eval")


def answer(subject: Subject, some: Sequence[Item]) -> list[dict[str, Any]]:
    """A completion with what came of it. The prompt is the function as published, without a template.

    What the model wrote is run letter for letter up to the first line that leaves the function, so a body that is not
    indented fails. `fedkit` generates and runs it, not lm-eval: lm-eval's task runs generated code in its own process.
    """
    from ...common.console import quiet

    require_sandbox()
    prompts = [item["prompt"] for item in some]
    with quiet():  # cut prompts are counted and said in the score
        texts = ask(subject, prompts, temperature=0.0, strip=False)
    answers = []
    for item, text, cut in zip(some, texts, too_long(subject, prompts), strict=True):
        completion = cut_completion(text)
        outcome = human_eval_pass(item, completion)
        answers.append({"completion": completion, "passed": outcome.passed, "reason": outcome.reason, "cut": cut})
    return answers


def score(some: Sequence[Item], answers: Sequence[Any], judge: Judge) -> dict[str, Score]:
    """`pass@1`."""
    note = notes(part_note(some), cut_note(answers))
    return {"pass@1": share((answer["passed"] for answer in answers), note, 0.0)}


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
    for field in SOURCE.fields:
        if not isinstance(problem, Mapping) or not isinstance(problem.get(field), str):
            known = ", ".join(SOURCE.fields)
            raise FedkitError(f"the problem has no text in the field {field!r}; give {known} as HumanEval does")
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


HUMAN_EVAL = Benchmark("human_eval", "HumanEval", (SOURCE,), items, answer, score, need=lambda: require_sandbox())
BENCHMARKS = (HUMAN_EVAL,)
