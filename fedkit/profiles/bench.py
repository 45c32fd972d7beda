"""FedLLM-Bench's datasets in each profile: Table 7 and the settings in `paper`, smaller in the others.

The Arena datasets have the paper's own minimums in `mini` too, since the embedded votes are as many as the paper's.
"""

from __future__ import annotations

from dataclasses import replace

from .bases import ALPACA, BENCH, MINI, SMOKE
from .specs import DatasetSpec

_PREFERENCE = replace(
    BENCH,
    clients_per_round=10,
    local_steps=2,  # ceil(3 x 13 pairs / (200 x 10 / 747 turns) / 8)
    batch_size=8,
    grad_accum=1,
    max_length=512,
    lr_first=1e-4,
    lr_last=1e-5,
    dynamic_epochs=3.0,
    task="dpo",
)

SMOKE_DATASETS = {
    "fed_aya": DatasetSpec(SMOKE, minimum=8, raw_records=1200, test_questions=2),
    "fed_chatbot_it": DatasetSpec(SMOKE, minimum=10, raw_records=1500, test_questions=4),
    "fed_chatbot_pa": DatasetSpec(
        replace(SMOKE, dynamic_epochs=0.03, task="dpo"), minimum=5, raw_records=1500, test_questions=4
    ),
    "fed_wildchat": DatasetSpec(SMOKE, minimum=5, raw_records=600, test_questions=4),
    "fed_wildchat_multi": DatasetSpec(SMOKE, minimum=3, raw_records=600, test_questions=4),
}
MINI_DATASETS = {
    "fed_aya": DatasetSpec(MINI, minimum=20, raw_records=4000),
    "fed_chatbot_it": DatasetSpec(replace(MINI, local_steps=5), minimum=10, test_questions=50),
    "fed_chatbot_pa": DatasetSpec(
        replace(MINI, local_steps=5, dynamic_epochs=0.25, task="dpo", lr_first=3e-4, lr_last=3e-5),
        minimum=5,
        test_questions=50,
    ),
    "fed_wildchat": DatasetSpec(MINI, minimum=20, test_questions=50),
    "fed_wildchat_multi": DatasetSpec(
        replace(MINI, clients_per_round=3, max_length=256), minimum=15, test_questions=50
    ),
}
_COURSE = replace(BENCH, rounds=30, batch_size=8, grad_accum=2, max_length=512, lr_first=2e-4)
COURSE_DATASETS = {
    "fed_aya": DatasetSpec(_COURSE, minimum=100, max_records_per_client=400),
    "fed_chatbot_it": DatasetSpec(replace(_COURSE, local_steps=5), minimum=10, test_questions=50),
    "fed_chatbot_pa": DatasetSpec(replace(_PREFERENCE, rounds=30, local_steps=13), minimum=5, test_questions=50),
    "fed_wildchat": DatasetSpec(_COURSE, minimum=200, max_records_per_client=400, test_questions=50),
    "fed_wildchat_multi": DatasetSpec(
        replace(_COURSE, clients_per_round=3, max_length=1024, template="vicuna_v1.1"),
        minimum=200,
        max_records_per_client=400,
        test_questions=50,
    ),
}
PAPER_DATASETS = {
    # Mean tokens: Table 1's instruction and response, and some 45 of the template.
    "fed_aya": DatasetSpec(BENCH, minimum=100, mean_tokens=386),
    "fed_chatbot_it": DatasetSpec(
        replace(BENCH, rounds=100, clients_per_round=10, local_steps=5), minimum=10, mean_tokens=324, test_questions=50
    ),
    "fed_chatbot_pa": DatasetSpec(
        _PREFERENCE,
        model=ALPACA,
        minimum=5,
        mean_tokens=332,
        test_questions=50,
    ),
    "fed_wildchat": DatasetSpec(
        replace(BENCH, rounds=100, clients_per_round=5), minimum=200, mean_tokens=882, test_questions=50
    ),
    "fed_wildchat_multi": DatasetSpec(
        replace(BENCH, rounds=50, clients_per_round=3, max_length=2048, template="vicuna_v1.1"),
        minimum=200,
        test_questions=50,
    ),
}
