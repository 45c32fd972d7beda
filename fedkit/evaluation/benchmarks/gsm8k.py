"""GSM8K (Cobbe et al. 2021) through lm-eval: 5 worked examples, and the last number of the answer counts."""

from __future__ import annotations

from itertools import islice

from .base import Item, Pool, checked, constant, sample
from .harness import close_ended, written

SHOTS = 5


def items(pool: Pool, dataset: str) -> list[Item]:
    """The test problems with the first five of the training problems as worked examples."""
    worked = islice(pool.worked("gsm8k", "gsm8k_test").records(SHOTS), SHOTS)
    shots = [checked(raw, number, "gsm8k") for number, raw in enumerate(worked, 1)]
    return [{**problem, "shots": shots} for problem in sample(pool.records("gsm8k_test"), pool.limit, "gsm8k")]


# The numbers after '####', or the last number of the answer (flexible-extract), against the reference.
TASK = written(
    num_fewshot=SHOTS,
    doc_to_text="Question: {{question}}\nAnswer:",
    doc_to_target="{{answer}}",
    until=["Question:"],
    metric={
        "ignore_case": True,
        "ignore_punctuation": False,
        "regexes_to_ignore": [",", "\\$", "(?s).*#### ", "\\.$"],
    },
    filter_list=[
        {
            "name": "flexible-extract",
            "filter": [
                {"function": "regex", "group_select": -1, "regex_pattern": "(-?[$0-9.,]{2,})|(-?[0-9]+)"},
                {"function": "take_first"},
            ],
        }
    ],
)
# The problems are those that the dataset gsm8k of `fedkit.data` declares. Chance is the most frequent number for all.
GSM8K = close_ended(
    "gsm8k",
    "GSM8K",
    (),
    items,
    TASK,
    part="exact",
    right=lambda item, answer: answer["exact_match"],
    chance=lambda some: constant([item["answer"].rpartition("####")[2].strip() for item in some]),
)
BENCHMARKS = (GSM8K,)
