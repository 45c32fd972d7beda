"""How much faster batched answers are than one at a time: `python bench/generation.py`.

160 questions (20 in each of 8 languages), 32 new tokens each, on the embedded model with a LoRA adapter, on the CPU.
The end token is put out of reach, so that every answer has its 32 tokens and both ways do the same work.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from _common import Report, Target, conclude, parser

LIMIT = 8.0  # issue: one at a time over batched
MEASURES = {
    "one_at_a_time_seconds": "one at a time, s",
    "batched_seconds": "batched, s",
    "speedup": "one at a time over batched",
    "batched_unmerged_seconds": "batched, adapter not merged, s",
    "transformers_one_at_a_time_seconds": "transformers, one at a time, s",
    "speedup_over_transformers": "transformers over batched",
    "equal_answers": "answers that agree",
}


def measure(prompts: int = 160, new_tokens: int = 32, batch_size: int = 64, threads: int = 1, repeats: int = 3) -> dict:
    """Seconds of each way (the median of `repeats`; one at a time is run once), and how many answers agree."""
    import torch

    from fedkit.evaluation.generation import generate
    from fedkit.mini.records import embedded_records
    from fedkit.profiles import PROFILES
    from fedkit.training.models import load_model
    from fedkit.training.prompts import get_template

    torch.set_num_threads(threads)
    loaded = load_model(PROFILES["mini"].model)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for name, parameter in loaded.model.named_parameters():
            if ".lora_B." in name:  # an adapter as after some training: B no longer zero
                parameter.normal_(std=0.02)
    template = get_template("alpaca")
    texts = [template.prompt(q["instruction"], q["language"]) for q in embedded_records("aya_test")][:prompts]
    _no_end(loaded)

    def run(size: int, **options: Any) -> tuple[float, list[str]]:
        start = time.perf_counter()
        answers = generate(loaded.model, loaded.tokenizer, texts, max_new_tokens=new_tokens, batch_size=size, **options)
        return time.perf_counter() - start, answers

    generate(loaded.model, loaded.tokenizer, texts[:2], max_new_tokens=2)  # warm up
    runs = [run(batch_size) for _ in range(repeats)]
    unmerged = statistics.median(run(batch_size, merge=False)[0] for _ in range(repeats))
    single, one_by_one = run(1)
    reference = _transformers(loaded, texts, new_tokens)
    batched = statistics.median(seconds for seconds, _ in runs)
    lengths = [len(ids) for ids in loaded.tokenizer(texts)["input_ids"]]
    return {
        "prompts": len(texts),
        "prompt_tokens": {"shortest": min(lengths), "longest": max(lengths)},
        "new_tokens": new_tokens,
        "batch_size": batch_size,
        "threads": threads,
        "one_at_a_time_seconds": round(single, 3),
        "batched_seconds": round(batched, 3),
        "speedup": round(single / batched, 2),
        "batched_unmerged_seconds": round(unmerged, 3),
        "transformers_one_at_a_time_seconds": round(reference, 3),
        "speedup_over_transformers": round(reference / batched, 2),
        "equal_answers": sum(a == b for a, b in zip(runs[0][1], one_by_one, strict=True)),
    }


def _no_end(loaded: Any) -> None:
    """An end token that no logit stands for; special tokens other than the end may still appear."""
    loaded.model.generation_config.eos_token_id = None
    loaded.tokenizer.eos_token = None


def _transformers(loaded: Any, texts: list[str], new_tokens: int) -> float:
    """Seconds of transformers' own `generate`, one prompt at a time, as the two reference systems answer."""
    import torch

    loaded.model.eval()
    start = time.perf_counter()
    for text in texts:
        ids = torch.tensor([loaded.tokenizer(text)["input_ids"]])
        with torch.inference_mode():
            loaded.model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=new_tokens, do_sample=False
            )
    return time.perf_counter() - start


def report(prompts: int, new_tokens: int, batch_size: int, threads: list[int]) -> Report:
    """Every number of threads; a column each."""
    results = [measure(prompts, new_tokens, batch_size, n) for n in threads]
    given = ("prompts", "new_tokens", "batch_size", "threads")
    rows = [
        {"measure": name, **{f"{result['threads']} thread(s)": _shown(result[key]) for result in results}}
        for key, name in MEASURES.items()
    ]
    # Two readings of "one at a time": transformers' generate for each prompt, as the reference systems answer, and the
    # stricter one, fedkit's own loop at batch size 1, which is itself nearly twice as fast as transformers'.
    readings = {"transformers' generate": "speedup_over_transformers", "fedkit's own loop": "speedup"}
    targets = [
        Target(f"batched against one at a time by {name}, {n} thread(s)", result[key], "at least", LIMIT, "times")
        for name, key in readings.items()
        for n, result in zip(threads, results, strict=True)
    ]
    settings = {key.replace("_", " "): results[0][key] for key in given if key != "threads"}
    lengths = results[0]["prompt_tokens"]
    settings["prompt tokens"] = f"{lengths['shortest']} to {lengths['longest']}"
    return Report(rows, settings, targets, data={"results": results})


def _shown(value: float) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def main() -> int:
    """With one thread and with two: about two minutes on a quiet machine."""
    options = parser(__doc__)
    options.add_argument("--prompts", type=int, default=160)
    options.add_argument("--new-tokens", type=int, default=32)
    options.add_argument("--batch-size", type=int, default=64)
    options.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    given = options.parse_args()
    return conclude(
        "generation", given, lambda: report(given.prompts, given.new_tokens, given.batch_size, given.threads)
    )


if __name__ == "__main__":
    sys.exit(main())
