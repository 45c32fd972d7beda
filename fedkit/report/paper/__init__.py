"""What the two papers print, as data: tables, set-ups, claims. One file a table; add a file and its lines here.

FedLLM-Bench: Ye et al., NeurIPS 2024 Datasets and Benchmarks. OpenFedLLM: Ye et al., KDD 2024.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from ...common.errors import unknown
from ...evaluation.specs import AVERAGE
from .bench_table1 import TABLE1
from .bench_table2 import CLAIMS as _CLAIMS2
from .bench_table2 import LANGUAGES, TABLE2
from .bench_table3 import TABLE3
from .bench_table4 import TABLE4_MULTI, TABLE4_SINGLE
from .bench_table5 import TABLE5
from .bench_table7 import SETTINGS, TABLE7, Script, Setup
from .openfedllm_datasets import OPENFEDLLM_DATASETS
from .table import Claim, PaperTable

TABLES: Mapping[str, PaperTable] = MappingProxyType(
    {t.key: t for t in (TABLE1, TABLE2, TABLE3, TABLE4_SINGLE, TABLE4_MULTI, TABLE5, OPENFEDLLM_DATASETS)}
)
CLAIMS: Mapping[str, Claim] = MappingProxyType({c.id: c for c in (*_CLAIMS2,)})

# How the papers write the methods; our tables use the same names, so that rows meet.
LABELS: Mapping[str, str] = MappingProxyType(
    {
        "base": "Base Model",
        "local": "Local Training",
        "fedavg": "FedAvg",
        "fedprox": "FedProx",
        "scaffold": "SCAFFOLD",
        "fedavgm": "FedAvgM",
        "fedyogi": "FedYogi",
        "fedadagrad": "FedAdagrad",
        "fedadam": "FedAdam",
        "ffa_lora": "FFA-LoRA",
    }
)


def label(method: str, detail: str = "") -> str:
    """The row name of a method: `label("local", "ar")` is "Local Training (ar)"; a name of no paper stays as it is."""
    name = LABELS.get(method, method)
    return f"{name} ({detail})" if detail else name


def published(table: str) -> PaperTable | None:
    """The printed table that ours of that name repeats (`41_table2_fed_aya`), or None where it repeats none."""
    return TABLES.get(re.sub(r"^\d+_", "", table))


def claim(name: str) -> Claim:
    """The claim of that id; `FedkitError` names the known ones."""
    if name not in CLAIMS:
        raise unknown("claim", name, CLAIMS)
    return CLAIMS[name]


__all__ = [
    "AVERAGE",
    "CLAIMS",
    "LABELS",
    "LANGUAGES",
    "OPENFEDLLM_DATASETS",
    "SETTINGS",
    "TABLE1",
    "TABLE2",
    "TABLE3",
    "TABLE4_MULTI",
    "TABLE4_SINGLE",
    "TABLE5",
    "TABLE7",
    "TABLES",
    "Claim",
    "PaperTable",
    "Script",
    "Setup",
    "claim",
    "label",
    "published",
]
