"""The embedded world's records by the name of their raw source."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

_GENERATORS = {
    "aya": "world.aya_records",
    "aya_test": "world.aya_questions",
    "arena": "arena.arena_records",
    "chatbot_test": "arena.chatbot_questions",
    "wildchat": "wildchat.wildchat_records",
    "wildchat_test": "wildchat.wildchat_questions",
    "gsm8k": "world.gsm8k_records",
    "gsm8k_test": "world.gsm8k_test",
    "alpaca": "instructions.alpaca_records",
    "alpaca_test": "instructions.alpaca_test",
    "alpaca_gpt4": "instructions.alpaca_gpt4_records",
    "alpaca_gpt4_test": "instructions.alpaca_gpt4_test",
    "code_alpaca": "code.code_alpaca_records",
    "code_alpaca_test": "code.code_alpaca_test",
    "mathinstruct": "maths.mathinstruct_records",
    "mathinstruct_test": "maths.mathinstruct_test",
    "fingpt": "finance.fingpt_records",
    "fingpt_test": "finance.fingpt_test",
    "medical": "medical.medical_records",
    "medical_test": "medical.medical_test",
    "ultrafeedback": "pairs.ultrafeedback_records",
    "ultrafeedback_test": "pairs.ultrafeedback_test",
    "hh_rlhf": "pairs.hh_records",
    "hh_rlhf_harmless": "pairs.hh_records",
    "hh_rlhf_helpful": "pairs.hh_records",
    "hh_rlhf_test": "pairs.hh_test",
    "mt_bench": "benchmarks.mt_bench_questions",
    "vicuna_bench": "benchmarks.vicuna_questions",
    "advbench": "benchmarks.advbench_requests",
    "human_eval": "benchmarks.human_eval_problems",
    "mmlu_dev": "close_ended.mmlu_dev",
    "mmlu": "close_ended.mmlu_questions",
    "bbh": "close_ended.bbh_examples",
    "drop": "close_ended.drop_questions",
    "crass": "close_ended.crass_questions",
    "hhh": "close_ended.hhh_pairs",
    "fpb": "close_ended.fpb",
    "fiqa_sa": "close_ended.fiqa_sa",
    "tfns_benchmark": "close_ended.tfns",
    "nwgi": "close_ended.nwgi",
}


def embedded_records(name: str, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """The records of the raw source `name`, at most `limit`, in the upstream schema and unchecked."""
    module, _, function = _GENERATORS[name].partition(".")
    generate = getattr(import_module(f"fedkit.mini.{module}"), function)
    counted = limit is not None and name not in ("aya_test", "chatbot_test", "wildchat_test")
    yield from generate(n=limit) if counted else generate()
