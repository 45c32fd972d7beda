"""Models and trainings that the datasets of a profile start from."""

from __future__ import annotations

from dataclasses import replace

from ..training.specs import LoraSpec, ModelSpec, TrainSpec

MINI_LORA = LoraSpec(r=16, alpha=32, dropout=0.0, target_modules="all-linear")
MINI_MODEL = ModelSpec(threads=1, lora=MINI_LORA)
MINI = TrainSpec(
    rounds=15, clients_per_round=4, local_steps=10, batch_size=8, max_length=128, lr_first=3e-3, lr_last=3e-4
)
SMOKE = replace(MINI, rounds=2, clients_per_round=2, local_steps=2, batch_size=4)

# FedLLM-Bench section 4 (batch of 16, 2e-5 to 1e-6) and Table 7; OpenFedLLM section 4.1 and the settings.
BENCH = TrainSpec(rounds=200, clients_per_round=4, local_steps=10, batch_size=4, grad_accum=4)
OPEN = TrainSpec(
    rounds=200, clients_per_round=2, local_steps=10, batch_size=16, max_length=512, lr_first=5e-5, lr_last=1e-6
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
