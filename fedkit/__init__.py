"""fedkit: federated learning of large language models, taught and reproduced.

The names below are the public ones; each is imported when it is first used, so `import fedkit` is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "algorithms": ("ALGORITHMS", "Algorithm", "make_algorithm"),
    "aggregators": ("RunningMean",),
    "benchmarks": ("BENCHMARKS", "SUITES", "evaluate"),
    "builders": ("BUILDERS", "Built", "build"),
    "claims": ("judge_claim",),
    "client": ("SFTClient",),
    "errors": ("FedkitError",),
    "estimate": ("Estimate",),
    "evaluation": ("by_language", "completion_loss", "ref_answers", "ref_scores"),
    "export": ("export_parquet", "import_parquet"),
    "federated": ("FederatedDataset",),
    "generation": ("generate",),
    "human_eval": ("human_eval_pass",),
    "judge": ("ReferenceJudge",),
    "judges": ("JudgeSpec", "OpenAIJudge"),
    "models": ("adapter_state", "load_model", "set_adapter_state"),
    "partitioners": ("PARTITIONERS",),
    "profiles": ("PROFILES", "ModelSpec", "TrainSpec", "get_profile"),
    "prompts": ("TEMPLATES", "get_template"),
    "report": ("ResultsTable",),
    "sandbox": ("run_python",),
    "session": ("Session",),
    "runs": ("Run", "RunConfig"),
    "sources": ("SOURCES", "load_raw"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"fedkit has no public name {name!r}")


def __dir__() -> list[str]:
    return __all__
