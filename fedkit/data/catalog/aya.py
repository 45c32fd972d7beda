"""Aya: the raw dataset, FedLLM-Bench's release of Fed-Aya, and the questions for it."""

from __future__ import annotations

from types import MappingProxyType

from ..sources import RawSource, spellings

_AYA_FIELDS = MappingProxyType({"inputs": str, "targets": str, "language": str, "user_id": str})
_AYA = dict(fields=_AYA_FIELDS, hub="CohereLabs/aya_dataset", hub_config="default", licence="Apache-2.0")

SOURCES = (
    RawSource(
        "aya",
        files=(
            "aya/train*.parquet",
            "aya/data/train*.parquet",
            "aya_dataset/train*.parquet",
            "aya_dataset/data/train*.parquet",
            *spellings("aya", "train"),
            *spellings("aya_dataset", "train"),
        ),
        embedded=True,
        description="Aya Dataset (Singh et al. 2024): instructions and answers by volunteers, 65 languages",
        **_AYA,  # type: ignore[arg-type]
    ),
    RawSource(
        "aya_heldout",
        files=("aya/test*.parquet", "aya/data/test*.parquet", "aya_dataset/data/test*.parquet"),
        split="test",
        description="Aya Dataset, held-out split: 5 of Fed-Aya's 8 languages (no Spanish, French, Russian)",
        **_AYA,  # type: ignore[arg-type]
    ),
    RawSource(
        "fed_aya",
        files=("Fed-Aya/aya_*.json", "Fed-Aya/aya_*.json.gz", "fed_aya/*.json", "fed_aya/*.json.gz"),
        fields=MappingProxyType({"instruction": str, "response": str, "client_id": str}),
        licence="Apache-2.0",
        description="Fed-Aya as FedLLM-Bench released it: {client: [instruction, response]}",
    ),
    RawSource(
        "aya_test",
        files=("fedllm_bench/aya_test.json", "aya_test.json", "aya_evaluation/test_datasets.json"),
        fields=MappingProxyType({"instruction": str, "reference": str, "client_id": str}),
        embedded=True,
        licence="Apache-2.0",
        description="Ref questions of FedLLM-Bench with reference answers, 20 in each of 8 languages",
    ),
)
