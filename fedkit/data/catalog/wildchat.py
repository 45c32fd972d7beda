"""WildChat: the raw conversations, FedLLM-Bench's two releases of Fed-WildChat, and the questions for them.

The names of the released files are those of FedLLM-Bench's training scripts.
"""

from __future__ import annotations

from types import MappingProxyType

from ..sources import RawSource, spellings

_LICENCE = "ODC-BY (first released under AI2 ImpACT, low risk)"
_FOLDERS = ("WildChat-1M", "WildChat", "wildchat")

SOURCES = (
    RawSource(
        "wildchat",
        files=(
            *(f"{folder}/{under}train*.parquet" for folder in _FOLDERS for under in ("", "data/")),
            *(name for folder in _FOLDERS for name in spellings(folder, "train")),
        ),
        # Who asked is `hashed_ip` of the record or of a turn; the builder looks for both.
        fields=MappingProxyType({"conversation": list}),
        hub="allenai/WildChat-1M",
        embedded=True,
        licence=_LICENCE,
        description="WildChat (Zhao et al. 2024): conversations of people with ChatGPT, by hashed IP address",
    ),
    RawSource(
        "fed_wildchat",
        files=(
            "Fed-WildChat/single_turn/*.json",
            "Fed-WildChat/single_turn/*.json.gz",
            "fed_wildchat/*.json",
            "fed_wildchat/*.json.gz",
        ),
        fields=MappingProxyType({"instruction": str, "response": str, "client_id": str}),
        licence=_LICENCE,
        description="Fed-WildChat, single-turn, as FedLLM-Bench released it: {client: [instruction, response]}",
    ),
    RawSource(
        "fed_wildchat_multi",
        files=(
            "Fed-WildChat/multi_turn/*.json",
            "Fed-WildChat/multi_turn/*.json.gz",
            "fed_wildchat_multi/*.json",
            "fed_wildchat_multi/*.json.gz",
        ),
        # `conversations` of {from, value} in the release, `conversation` of {role, content} in an export of fedkit.
        fields=MappingProxyType({"client_id": str}),
        licence=_LICENCE,
        description="Fed-WildChat, multi-turn, as FedLLM-Bench released it: {client: [conversations]}",
    ),
    RawSource(
        "wildchat_test",
        files=("fedllm_bench/wildchat_test.json", "wildchat_test.json", "wildchat/testset.json"),
        fields=MappingProxyType({"instruction": str}),
        embedded=True,
        licence=_LICENCE,
        description="Ref questions of FedLLM-Bench for Fed-WildChat, 50, without reference answers",
    ),
)
