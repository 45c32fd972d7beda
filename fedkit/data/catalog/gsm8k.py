"""GSM8K: school word problems, training and test set."""

from __future__ import annotations

from types import MappingProxyType

from ..sources import RawSource, spellings

_QA_FIELDS = MappingProxyType({"question": str, "answer": str})
_GSM8K = dict(fields=_QA_FIELDS, hub="openai/gsm8k", hub_config="main", licence="MIT")

SOURCES = (
    RawSource(
        "gsm8k",
        files=(*spellings("gsm8k", "train"), "gsm8k/main/train*.parquet", "gsm8k/train*.parquet"),
        embedded=True,
        description="GSM8K (Cobbe et al. 2021): school word problems with worked answers, 7,473 for training",
        **_GSM8K,  # type: ignore[arg-type]
    ),
    RawSource(
        "gsm8k_test",
        files=(*spellings("gsm8k", "test"), "gsm8k/main/test*.parquet", "gsm8k/test*.parquet"),
        split="test",
        embedded=True,
        description="GSM8K (Cobbe et al. 2021), 1,319 problems for testing",
        **_GSM8K,  # type: ignore[arg-type]
    ),
)
