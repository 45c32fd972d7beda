"""The training sets of OpenFedLLM (section 4.1; footnotes 1 to 7 of the paper name their Hub ids), and test sets.

None of the instruction sets has a published test split: their `_test` sources are made by the embedded world, or are
files of your own. The licence is the publisher's, as its dataset card or repository stated it when it was looked up;
where the statements differ or are missing, the entry says so. All texts are in English but for strays.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from ..sources import RawSource, spellings

_ALPACA_FIELDS = MappingProxyType({"instruction": str, "output": str})  # and `input`, which may be empty or absent
_HEADLINE_FIELDS = MappingProxyType({"instruction": str, "input": str, "output": str})
_CARD_FIELDS = MappingProxyType({"input": str, "output": str})  # `instruction` is the same sentence in every record
_COMPLETION_FIELDS = MappingProxyType({"instruction": str, "completions": list})
_PAIR_FIELDS = MappingProxyType({"chosen": str, "rejected": str})


def _files(folder: str, *others: str, stem: str = "train") -> tuple[str, ...]:
    """A clone of the Hub dataset (parquet under data/), one table in a folder, or upstream's own file names."""
    return (f"{folder}/data/{stem}*.parquet", f"{folder}/{stem}*.parquet", *spellings(folder, stem), *others)


def _with_test(name: str, description: str, *others: str, **fields: Any) -> tuple[RawSource, RawSource]:
    """A training source, and a test source in the same schema that is not on the Hub."""
    train = RawSource(name, _files(name, *others), embedded=True, description=description, **fields)
    test = RawSource(
        f"{name}_test",
        _files(name, stem="test"),
        fields=fields["fields"],
        split="test",
        embedded=True,
        licence=fields["licence"],
        description=f"held-out records in the schema of {name}; none are published",
    )
    return train, test


def _hh(name: str, part: str, folder: str | None = None, split: str = "train") -> RawSource:
    """HH-RLHF, all of it or one of its folders; red-team-attempts has another schema and is never read."""
    inner = folder or "[!r]*"
    roots = ("hh_rlhf", "hh-rlhf")
    files = tuple(
        f"{root}/{inner}/{stem}{end}"
        # Where a folder holds nothing but the test split, that is what there is to read; the builder says so.
        for stem in (("train", "test") if split == "train" else ("test",))
        for root in roots
        for end in (".jsonl.gz", ".jsonl")
    )
    return RawSource(
        name,
        files,
        fields=_PAIR_FIELDS,
        hub="Anthropic/hh-rlhf",
        hub_dir=folder,
        split=split,
        embedded=True,
        licence="MIT",
        description=f"HH-RLHF (Bai et al. 2022): two dialogues that differ in their last answer, {part}",
    )


SOURCES = (
    *_with_test(
        "alpaca",
        "Alpaca (Taori et al. 2023): 52,002 instructions answered by text-davinci-003",
        "alpaca/alpaca_data.json",
        fields=_ALPACA_FIELDS,
        hub="tatsu-lab/alpaca",
        licence="CC BY-NC 4.0",
    ),
    *_with_test(
        "alpaca_gpt4",
        "Alpaca-GPT4 (Peng et al. 2023): Alpaca's 52,002 instructions answered by GPT-4",
        "alpaca-gpt4/data/train*.parquet",
        "alpaca_gpt4/alpaca_gpt4_data.json",
        fields=_ALPACA_FIELDS,
        hub="vicgalle/alpaca-gpt4",
        licence="CC BY-NC 4.0",
    ),
    *_with_test(
        "code_alpaca",
        "CodeAlpaca (Chaudhary 2023): 20,022 instructions for code, answered by text-davinci-003",
        "CodeAlpaca-20k/data/train*.parquet",
        "code_alpaca/code_alpaca_20k.json",
        fields=_ALPACA_FIELDS,
        hub="lucasmccabe-lmi/CodeAlpaca-20k",
        licence="none stated on this Hub copy; the author's states CC BY 4.0, the first release CC BY-NC 4.0",
    ),
    *_with_test(
        "mathinstruct",
        "MathInstruct (Yue et al. 2023): some 262,000 problems of 13 sources, answered in words or as a program",
        "MathInstruct/MathInstruct.json",
        "mathinstruct/MathInstruct.json",
        fields=_ALPACA_FIELDS,
        hub="TIGER-Lab/MathInstruct",
        licence="MIT for the collection; its sources have terms of their own",
    ),
    *_with_test(
        "fingpt",
        "FinGPT sentiment (Yang et al. 2023): 76,772 financial headlines and posts with their sentiment",
        "fingpt-sentiment-train/data/train*.parquet",
        fields=_HEADLINE_FIELDS,
        hub="FinGPT/fingpt-sentiment-train",
        licence="none stated on its card; its sources (FPB, FiQA, TFNS, NWGI) have terms of their own",
    ),
    *_with_test(
        "medical",
        "Medical Meadow flashcards (Han et al. 2023): 33,955 questions and answers for students of medicine",
        "medical_meadow_medical_flashcards/*.json",
        "medical/medical_meadow_wikidoc_medical_flashcards.json",
        fields=_CARD_FIELDS,
        hub="medalpaca/medical_meadow_medical_flashcards",
        licence="Creative Commons; its card does not say which",
    ),
    RawSource(
        "ultrafeedback",
        (*_files("ultrafeedback"), "UltraFeedback/*.jsonl", "ultrafeedback/*.jsonl"),
        fields=_COMPLETION_FIELDS,
        hub="openbmb/UltraFeedback",
        embedded=True,
        licence="MIT",
        description="UltraFeedback (Cui et al. 2023): some 64,000 instructions, each with 4 answers scored by GPT-4",
    ),
    RawSource(
        "ultrafeedback_test",
        _files("ultrafeedback", stem="test"),
        fields=_COMPLETION_FIELDS,
        split="test",
        embedded=True,
        licence="MIT",
        description="held-out records in the schema of ultrafeedback; none are published",
    ),
    _hh("hh_rlhf", "160,800 for training"),
    _hh("hh_rlhf_harmless", "about harmlessness alone", "harmless-base"),
    _hh("hh_rlhf_helpful", "about helpfulness alone", "helpful-base"),
    _hh("hh_rlhf_test", "8,552 for testing", split="test"),
    RawSource(
        "tfns",
        ("tfns/sent_valid.csv", *spellings("tfns", "validation"), "tfns/*.parquet"),
        fields=MappingProxyType({"text": str}),  # and `label`: 0 bearish, 1 bullish, 2 neutral; text in a CSV file
        hub="zeroshot/twitter-financial-news-sentiment",
        split="validation",
        licence="MIT",
        description="Twitter financial news (TFNS), 2,388 posts with their sentiment: evaluation, never training",
    ),
)
