"""fedkit: federated learning of large language models, taught and reproduced.

The names below are the public ones; each is imported when it is first used, so `import fedkit` is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "algorithms": ("ALGORITHMS", "Algorithm", "make_algorithm"),
    "algorithms.aggregators": ("RunningMean",),
    "evaluation.benchmarks": ("BENCHMARKS", "SUITES", "evaluate"),
    "data.builders": ("BUILDERS", "Built", "build"),
    "report.claims": ("judge_claim",),
    "training.sft": ("SFTClient",),
    "common.errors": ("FedkitError",),
    "training.estimate": ("Estimate",),
    "evaluation.ref": ("by_language", "completion_loss", "ref_answers", "ref_scores"),
    "data.export": ("export_parquet", "import_parquet"),
    "data.federated": ("FederatedDataset",),
    "evaluation.generation": ("generate",),
    "evaluation.human_eval": ("human_eval_pass",),
    "evaluation.judges.judge": ("ReferenceJudge",),
    "evaluation.judges": ("JudgeSpec", "OpenAIJudge"),
    "training.models": ("adapter_state", "load_model", "set_adapter_state"),
    "data.partitioners": ("PARTITIONERS",),
    "profiles": ("PROFILES", "get_profile"),
    "training.specs": ("ModelSpec", "TrainSpec"),
    "training.prompts": ("TEMPLATES", "get_template"),
    "report.tables": ("ResultsTable",),
    "evaluation.sandbox": ("run_python",),
    "session": ("Session",),
    "training.runs": ("Run", "RunConfig"),
    "data.sources": ("SOURCES", "load_raw"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"fedkit has no public name {name!r}")


def __dir__() -> list[str]:
    return __all__
