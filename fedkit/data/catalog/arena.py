"""Chatbot Arena: the raw votes, FedLLM-Bench's releases of Fed-ChatbotIT and Fed-ChatbotPA, and the questions for them.

The names of the released files are those of FedLLM-Bench's training scripts.
"""

from __future__ import annotations

from types import MappingProxyType

from ..sources import RawSource, spellings

_LICENCE = "CC-BY-4.0 (instructions), CC-BY-NC-4.0 (answers)"
_FOLDERS = ("chatbot_arena_conversations", "arena")

SOURCES = (
    RawSource(
        "arena",
        files=(
            *(f"{folder}/{under}train*.parquet" for folder in _FOLDERS for under in ("", "data/")),
            *(name for folder in _FOLDERS for name in spellings(folder, "train")),
        ),
        fields=MappingProxyType({"winner": str, "judge": str, "conversation_a": list, "conversation_b": list}),
        hub="lmsys/chatbot_arena_conversations",
        embedded=True,
        licence=_LICENCE,
        description="Chatbot Arena Conversations (Zheng et al. 2023): 33,000 votes between two answers, by judge",
    ),
    RawSource(
        "fed_chatbot_it",
        files=("Fed-ChatbotIT/*.json", "Fed-ChatbotIT/*.json.gz", "fed_chatbot_it/*.json", "fed_chatbot_it/*.json.gz"),
        fields=MappingProxyType({"instruction": str, "response": str, "client_id": str}),
        licence=_LICENCE,
        description="Fed-ChatbotIT as FedLLM-Bench released it: {client: [instruction, response]}",
    ),
    RawSource(
        "fed_chatbot_pa",
        files=("Fed-ChatbotPA/*.json", "Fed-ChatbotPA/*.json.gz", "fed_chatbot_pa/*.json", "fed_chatbot_pa/*.json.gz"),
        fields=MappingProxyType({"chosen": str, "rejected": str, "client_id": str}),
        licence=_LICENCE,
        description="Fed-ChatbotPA as FedLLM-Bench released it: {client: [instruction or prompt, chosen, rejected]}",
    ),
    RawSource(
        "chatbot_test",
        files=("fedllm_bench/chatbot_test.json", "chatbot_test.json", "chatbot/testset.json"),
        fields=MappingProxyType({"instruction": str}),
        embedded=True,
        licence=_LICENCE,
        description="Ref questions of FedLLM-Bench for Fed-ChatbotIT and Fed-ChatbotPA, 50, without reference answers",
    ),
)
