"""OpenFedLLM's datasets in each profile: section 4.1 and the settings in `paper`, smaller in the others."""

from __future__ import annotations

from dataclasses import replace

from .bases import LLAMA_OPEN, MINI, OPEN, SMOKE
from .specs import DatasetSpec

SMOKE_DATASETS = {
    "gsm8k": DatasetSpec(replace(SMOKE, max_length=256), n_clients=20, raw_records=200, test_questions=0),
}
MINI_DATASETS = {
    "gsm8k": DatasetSpec(
        replace(MINI, rounds=20, clients_per_round=2, max_length=512), n_clients=20, raw_records=1000, test_questions=0
    ),
}
COURSE_DATASETS = {
    "gsm8k": DatasetSpec(replace(OPEN, rounds=30, lr_first=2e-4), n_clients=20, test_questions=0),
}
PAPER_DATASETS = {
    "gsm8k": DatasetSpec(OPEN, model=LLAMA_OPEN, n_clients=20, test_questions=0),
}
