"""Models, trainings and federated datasets of each profile: both papers' numbers in `paper`, smaller in the others.

FedLLM-Bench: Table 7 and the settings. The Arena datasets have the paper's own minimums in `mini` too, since the
embedded votes are as many as the paper's. OpenFedLLM: sections 4.1 to 4.6 and the settings. A client's part of the
paper's samples is a cap: 20,000 over 20 clients are at most 1,000 each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..training.specs import LoraSpec, ModelSpec, TrainSpec
from .specs import DatasetSpec

MINI_LORA = LoraSpec(r=16, alpha=32, dropout=0.0, target_modules="all-linear")
MINI_MODEL = ModelSpec(threads=1, lora=MINI_LORA)
MINI = TrainSpec(
    rounds=15, clients_per_round=4, local_steps=10, batch_size=8, max_length=128, lr_first=3e-3, lr_last=3e-4
)
SMOKE = replace(MINI, rounds=2, clients_per_round=2, local_steps=2, batch_size=4)

# FedLLM-Bench section 4 (batch of 16, 2e-5 to 1e-6) and Table 7; OpenFedLLM section 4.1 and the settings. Among real
# people there is one whose questions all fill the window; a run of days goes on without.
BENCH = TrainSpec(rounds=200, clients_per_round=4, local_steps=10, batch_size=4, grad_accum=4, without_room="leave_out")
OPEN = TrainSpec(
    rounds=200,
    clients_per_round=2,
    local_steps=10,
    batch_size=16,
    max_length=512,
    lr_first=5e-5,
    lr_last=1e-6,
    without_room="leave_out",
)
OPEN_VALUES = replace(OPEN, lr_first=5e-4, lr_last=1e-5, template="vicuna_v1.1", task="dpo")

LLAMA = ModelSpec(
    name="meta-llama/Llama-2-7b-hf",
    dtype="float16",
    quantization="8bit",
    gradient_checkpointing=True,
    lora=LoraSpec(r=16, alpha=32, dropout=0.05, target_modules=("q_proj", "v_proj")),
)
LLAMA_OPEN = replace(LLAMA, lora=replace(LLAMA.lora, r=32, alpha=64))
# Fed-ChatbotPA starts from an instruction-tuned model (section 4); FedVA too, from one that is not
# aligned yet (OpenFedLLM 3.3, for its runs of 4.5 and 4.6; the settings name the model).
ALPACA = replace(LLAMA, name="wxjiao/alpaca-7b", lora=replace(LLAMA.lora, r=8, alpha=16))
WIZARD = replace(LLAMA_OPEN, name="cognitivecomputations/Wizard-Vicuna-7B-Uncensored")
SMOL = ModelSpec(
    name="HuggingFaceTB/SmolLM2-135M",
    dtype="bfloat16",
    lora=LoraSpec(r=16, alpha=32, dropout=0.05, target_modules="all-linear"),
)

# --- FedLLM-Bench

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

_SMOKE_BENCH = {
    "fed_aya": DatasetSpec(SMOKE, minimum=8, raw_records=1200, test_questions=2),
    "fed_chatbot_it": DatasetSpec(SMOKE, minimum=10, raw_records=1500, test_questions=4),
    "fed_chatbot_pa": DatasetSpec(
        replace(SMOKE, dynamic_epochs=0.03, task="dpo"), minimum=5, raw_records=1500, test_questions=4
    ),
    "fed_wildchat": DatasetSpec(SMOKE, minimum=5, raw_records=600, test_questions=4),
    "fed_wildchat_multi": DatasetSpec(SMOKE, minimum=3, raw_records=600, test_questions=4),
}
_MINI_BENCH = {
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
COURSE = replace(BENCH, rounds=30, batch_size=8, grad_accum=2, max_length=512, lr_first=2e-4)
_COURSE_BENCH = {
    "fed_aya": DatasetSpec(COURSE, minimum=100, max_records_per_client=400),
    "fed_chatbot_it": DatasetSpec(replace(COURSE, local_steps=5), minimum=10, test_questions=50),
    "fed_chatbot_pa": DatasetSpec(replace(_PREFERENCE, rounds=30, local_steps=13), minimum=5, test_questions=50),
    "fed_wildchat": DatasetSpec(COURSE, minimum=200, max_records_per_client=400, test_questions=50),
    "fed_wildchat_multi": DatasetSpec(
        replace(COURSE, clients_per_round=3, max_length=1024, template="vicuna_v1.1"),
        minimum=200,
        max_records_per_client=400,
        test_questions=50,
    ),
}
_PAPER_BENCH = {
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

# --- OpenFedLLM

# Clients, clients a round, cap of a client in `paper`. Alone, a client's corpus of the four domains is dealt like the
# general one; so is the medical one, whose set-up only the full paper has.
_SFT: dict[str, tuple[int, int, int]] = {
    "alpaca_gpt4": (20, 2, 1000),
    "fingpt": (50, 5, 200),
    "alpaca": (20, 2, 1000),
    "mathinstruct": (20, 2, 1000),
    "code_alpaca": (20, 2, 1000),
    "medical": (20, 2, 1000),
}
_VALUES = ("ultrafeedback", "hh_rlhf")
_VALUE_CLIENTS, _VALUE_SAMPLED = 5, 2


def _datasets(
    train: TrainSpec, values: TrainSpec, *, sampled: int | None = None, domains: dict[str, Any], **spec: Any
) -> dict[str, DatasetSpec]:
    """All but gsm8k; `sampled`: clients a round where not the paper's."""
    common = {"test_questions": 0, **spec}
    specs = {
        name: DatasetSpec(replace(train, clients_per_round=sampled or a_round), n_clients=clients, **common)
        for name, (clients, a_round, _) in _SFT.items()
    }
    specs["domains"] = DatasetSpec(replace(train, clients_per_round=4), **common | domains)  # all four, every round
    pairs = DatasetSpec(
        replace(values, clients_per_round=_VALUE_SAMPLED, task="dpo"), n_clients=_VALUE_CLIENTS, **common
    )
    return specs | dict.fromkeys(_VALUES, pairs)


def _capped(datasets: dict[str, DatasetSpec], **changed: Any) -> dict[str, DatasetSpec]:
    """The instruction sets at the paper's samples."""
    capped = {name: replace(datasets[name], max_records_per_client=cap, **changed) for name, (*_, cap) in _SFT.items()}
    return datasets | capped


SMOKE_DATASETS = _SMOKE_BENCH | {
    "gsm8k": DatasetSpec(replace(SMOKE, max_length=256), n_clients=20, raw_records=200, test_questions=0),
    **_datasets(SMOKE, replace(SMOKE, max_length=192), sampled=2, domains={}, raw_records=200),
}
MINI_DATASETS = _MINI_BENCH | {
    "gsm8k": DatasetSpec(
        replace(MINI, rounds=20, clients_per_round=2, max_length=512), n_clients=20, raw_records=1000, test_questions=0
    ),
    **_datasets(
        MINI,
        # Of the real test pairs of HH-RLHF's harmless part a quarter have longer prompts; at 192 it was half.
        replace(MINI, local_steps=5, max_length=320, lr_first=3e-4, lr_last=3e-5),
        domains={"max_records_per_client": 500, "raw_records": 2200},
        raw_records=2000,
    ),
}
_COURSE_OPEN = replace(OPEN, rounds=30, lr_first=2e-4)
COURSE_DATASETS = _COURSE_BENCH | {
    "gsm8k": DatasetSpec(_COURSE_OPEN, n_clients=20, test_questions=0),
    **_capped(
        _datasets(
            _COURSE_OPEN,
            replace(OPEN_VALUES, rounds=30),
            domains={"max_records_per_client": 1000},
            max_records_per_client=2000,
        )
    ),
}
_paper = {
    "gsm8k": DatasetSpec(OPEN, model=LLAMA_OPEN, n_clients=20, test_questions=0),
    **_capped(_datasets(OPEN, OPEN_VALUES, domains={"max_records_per_client": 5000}, model=LLAMA_OPEN)),
}
_paper |= {name: replace(_paper[name], model=WIZARD) for name in _VALUES}
_MOMENTUM = {"fedavgm": {"beta": 0.9}}  # settings: 0.9 here, 0.5 in FedLLM-Bench
PAPER_DATASETS = _PAPER_BENCH | {name: replace(spec, algorithms=_MOMENTUM) for name, spec in _paper.items()}
