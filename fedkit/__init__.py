"""fedkit: federated learning of large language models, taught and reproduced.

    import fedkit
    kit = fedkit.Session("mini")

The public names, each imported when it is first used, so that `import fedkit` is instant:

| to work with | |
|---|---|
| `Session` | data, runs, scores and tables of one profile: build, plan, train, evaluate, write |
| `PROFILES`, `get_profile` | every number of a run: smoke, mini, course, paper |
| `FedkitError` | what was wrong with the input, where, and what to do |
| `generator` | randomness from (seed, purpose, round, client) |

| data | |
|---|---|
| `DATASETS` | the federated datasets by name, each with sources, rule, card and questions |
| `Place`, `Cut` | where raw records come from; how they become clients |
| `Built`, `FederatedDataset` | a dataset with the story of its making; its clients and their records |

| algorithms and privacy | |
|---|---|
| `ALGORITHMS`, `make_algorithm` | the algorithms by name; one with its hyperparameters |
| `Algorithm`, `Broadcast`, `Aggregate` | the contract: what a client is sent, and what the server gets |
| `RunningMean` | the streaming weighted mean of updates |
| `sample_clients` | who takes part in a round |
| `privacy` | the wing on privacy: mechanisms that wrap any algorithm, and the accountant |

| training | |
|---|---|
| `ModelSpec`, `LoraSpec`, `TrainSpec` | base model, adapter and rounds as frozen data |
| `SFTClient`, `DPOClient` | the LoRA client loop for answers and for preference pairs |
| `Run`, `RunConfig` | a finished run on disk, and everything that its result depends on |
| `load_model`, `initial_state`, `adapter_state`, `set_adapter_state` | a base model under LoRA; its adapter |
| `get_template` | how an instruction becomes a prompt |

| evaluation | |
|---|---|
| `BENCHMARKS`, `SUITES`, `Suite`, `Column`, `Row` | benchmarks, the columns of each table, and a row of results |
| `EvalSpec`, `generate`, `completion_loss` | how answers are generated; answers; the loss of known ones |
| `Judge`, `ReferenceJudge`, `OpenAIJudge`, `JudgeSpec`, `JudgeChoice` | who rates answers |
| `run_python` | a sandbox for generated code |

| analysis and report | |
|---|---|
| `analysis`, `figures`, `toy` | how unlike clients are; the plots; a problem of two clients to compute by hand |
| `as_table` | a frame at the end of a cell, its texts escaped |
| `ResultsTable`, `label` | a table of ours beside the paper's; the papers' names of methods |
"""

from __future__ import annotations

from .common.door import front_door

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = front_door(
    __name__,
    {
        "session": ("Session",),
        "profiles": ("PROFILES", "get_profile"),
        "common.errors": ("FedkitError",),
        "common.seeds": ("generator",),
        "data.datasets.registry": ("DATASETS",),
        "data.place": ("Place",),
        "data.datasets.built": ("Built", "Cut"),
        "data.federated": ("FederatedDataset",),
        "algorithms.registry": ("ALGORITHMS", "make_algorithm"),
        "algorithms.base": ("Aggregate", "Algorithm", "Broadcast"),
        "algorithms.aggregators": ("RunningMean",),
        "privacy.primitives": ("sample_clients",),
        "privacy": (),
        "training.specs": ("LoraSpec", "ModelSpec", "TrainSpec"),
        "training.sft": ("SFTClient",),
        "training.dpo": ("DPOClient",),
        "training.runs": ("Run", "RunConfig"),
        "training.models": ("adapter_state", "initial_state", "load_model", "set_adapter_state"),
        "training.prompts": ("get_template",),
        "evaluation.benchmarks.registry": ("BENCHMARKS",),
        "evaluation.benchmarks.suites": ("SUITES", "Column", "Suite"),
        "evaluation.benchmarks.rows": ("Row",),
        "evaluation.specs": ("EvalSpec",),
        "evaluation.generation": ("generate",),
        "evaluation.likelihood": ("completion_loss",),
        "evaluation.judges": ("Judge", "JudgeChoice", "JudgeSpec", "OpenAIJudge", "ReferenceJudge"),
        "evaluation.sandbox": ("run_python",),
        "analysis": (),
        "analysis.figures": (),
        "analysis.toy": (),
        "report.cells": ("as_table",),
        "report.tables": ("ResultsTable",),
        "report.paper": ("label",),
    },
)
