"""Benchmarks of both papers: questions, requests, problems and headlines that nobody is trained on.

File names are upstream's. Where the Hub's copy is another publisher's, or is no longer served without its script, the
entry says so; then a local file is the way. Licences as the publishers state them.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from ..sources import RawSource, spellings
from .openfedllm import SOURCES as _OPENFEDLLM

_TURNS = MappingProxyType({})  # question_id and turns, or on the Hub prompt_id and prompt; `benchmarks.mt_bench` checks
_CHOICES = MappingProxyType({})  # several schemas; `benchmarks.choices` checks


def _tfns() -> RawSource:
    """The source `tfns` of OpenFedLLM, with a form in the embedded world."""
    upstream = next(source for source in _OPENFEDLLM if source.name == "tfns")
    return replace(upstream, name="tfns_benchmark", embedded=True)


SOURCES = (
    RawSource(
        "mt_bench",
        ("mt_bench/question.jsonl", *spellings("mt_bench", "questions")),
        fields=_TURNS,
        hub="HuggingFaceH4/mt_bench_prompts",
        embedded=True,
        licence="Apache-2.0",
        description="MT-Bench (Zheng et al. 2023): 80 questions of two turns in 8 categories",
    ),
    RawSource(
        "mt_bench_reference",
        ("mt_bench/reference_answer/gpt-4.jsonl",),
        fields=MappingProxyType({"choices": list}),
        licence="Apache-2.0",
        description="GPT-4's answers to MT-Bench's 30 questions of math, reasoning and coding (in lm-sys/FastChat on "
        "GitHub, fastchat/llm_judge/data); without this file the questions' own notes stand in, and a row says so",
    ),
    RawSource(
        "vicuna_bench",
        ("vicuna_bench/question.jsonl", *spellings("vicuna_bench", "questions")),
        fields=_TURNS,
        embedded=True,  # no lasting copy on the Hub is known: local or embedded
        licence="Apache-2.0",
        description="Vicuna bench (Chiang et al. 2023): 80 questions of one turn in 9 categories",
    ),
    RawSource(
        "advbench",
        ("advbench/harmful_behaviors.csv", *spellings("advbench", "train")),
        fields=MappingProxyType({"goal": str}),
        hub="walledai/AdvBench",  # asks for a login; its field is `prompt`
        embedded=True,
        licence="MIT",
        description="AdvBench (Zou et al. 2023): 520 harmful requests",
    ),
    RawSource(
        "human_eval",
        ("human_eval/HumanEval.jsonl.gz", *spellings("human_eval", "HumanEval")),
        fields=MappingProxyType({"task_id": str, "prompt": str, "entry_point": str, "test": str}),
        hub="openai/openai_humaneval",
        split="test",
        embedded=True,
        licence="MIT",
        description="HumanEval (Chen et al. 2021): 164 functions to write, with tests",
    ),
    RawSource(
        "mmlu_dev",
        ("mmlu/dev/*.csv",),
        fields=MappingProxyType({}),
        hub="cais/mmlu",
        hub_config="all",
        split="dev",
        embedded=True,
        licence="MIT",
        description="MMLU (Hendrycks et al. 2021), five worked examples a subject",
    ),
    RawSource(
        "mmlu",
        ("mmlu/test/*.csv",),
        fields=MappingProxyType({}),
        hub="cais/mmlu",
        hub_config="all",
        split="test",
        embedded=True,
        licence="MIT",
        description="MMLU (Hendrycks et al. 2021): questions of 57 subjects with four choices",
    ),
    RawSource(
        "bbh",
        ("bbh/*.json",),
        fields=MappingProxyType({"input": str, "target": str}),
        hub="SaylorTwift/bbh",  # lm-eval's; one configuration a task
        split="test",
        embedded=True,
        licence="MIT",
        description="BIG-Bench Hard (Suzgun et al. 2022): one file for each of up to 27 reasoning tasks",
    ),
    RawSource(
        "drop",
        (*spellings("drop", "validation"), "drop/*.parquet"),
        fields=MappingProxyType({"passage": str, "question": str, "answer": dict}),
        hub="EleutherAI/drop",
        split="validation",
        embedded=True,
        licence="CC BY-SA 4.0",
        description="DROP (Dua et al. 2019): questions whose answer takes counting or sums over a passage",
    ),
    RawSource(
        "crass",
        (
            "crass/CRASS_FTM_main_data_set.csv",
            "crass/task.json",
            *spellings("crass", "test"),
            "crass/*.parquet",
        ),
        fields=_CHOICES,
        hub="hails/bigbench",  # BIG-bench's part of it
        hub_config="crass_ai_zero_shot",
        split="default",
        embedded=True,
        licence="Apache-2.0",
        description="CRASS (Frohberg and Binder 2022), 274 questions: what would have happened otherwise",
    ),
    RawSource(
        "hhh",
        (*(f"hhh/{pattern}" for pattern in ("*/task.json", "*/*.parquet", "*.parquet")), *spellings("hhh", "test")),
        fields=_CHOICES,
        hub="HuggingFaceH4/hhh_alignment",  # has a script; `benchmarks.choices` fetches its files
        split="test",
        embedded=True,
        licence="Apache-2.0 (BIG-bench)",
        description="HHH (Askell et al. 2021) as BIG-bench has it: which answer is helpful, honest, harmless",
    ),
    RawSource(
        "fpb",
        ("fpb/Sentences_50Agree.txt", *spellings("fpb", "test"), *spellings("fpb", "train"), "fpb/*.parquet"),
        fields=MappingProxyType({}),
        # A dataset with a script, which datasets 4 and later no longer runs: give the file in its archive.
        hub="takala/financial_phrasebank",
        hub_config="sentences_50agree",
        embedded=True,
        licence="CC BY-NC-SA 3.0",
        description="Financial PhraseBank (Malo et al. 2014): 4,846 sentences of news; a quarter is the test",
    ),
    RawSource(
        "fiqa_sa",
        tuple(f"fiqa_sa/{end}" for end in ("data/*.parquet", "*.parquet", "*.jsonl*", "*.json", "*.json.gz", "*.csv*")),
        fields=MappingProxyType({}),
        hub="pauri32/fiqa-2018",
        split="train+validation+test",
        embedded=True,
        licence="MIT, by the Hub copy's card",
        description="FiQA-SA (Maia et al. 2018): headlines and posts with a score from -1 to 1; 22.6 % are the test",
    ),
    _tfns(),
    RawSource(
        "nwgi",
        (*spellings("nwgi", "test"), "nwgi/*.parquet"),
        fields=MappingProxyType({}),
        hub="oliverwang15/news_with_gpt_instructions",
        split="test",
        embedded=True,
        licence="none stated",
        description="NWGI (Yang et al. 2023): news with sentiment labels made by a GPT model",
    ),
)
