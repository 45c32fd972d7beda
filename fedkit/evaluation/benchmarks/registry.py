"""The benchmarks: one file a benchmark or a family of them, and its line here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from ...data.datasets.registry import DATASETS
from ...data.sources import RawSource
from .base import Benchmark

_FILES = (  # each has its benchmarks in BENCHMARKS
    "mt_bench",
    "vicuna",
    "ref",
    "advbench",
    "human_eval",
    "mmlu",
    "gsm8k",
    "bbh",
    "few_shot",
    "choices",
    "finance",
)

_HOMES = {one.name: (one, file) for file in _FILES for one in import_module(f"{__package__}.{file}").BENCHMARKS}
BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType({name: one for name, (one, _) in _HOMES.items()})


def all_sources(*datasets: str) -> tuple[RawSource, ...]:
    """The raw sources of these datasets (none named: of every one) and of every benchmark, each once."""
    readers = (*(DATASETS[name] for name in datasets or DATASETS if name in DATASETS), *BENCHMARKS.values())
    return tuple({source.name: source for reader in readers for source in reader.sources}.values())


def module_of(name: str) -> str:
    """The module that makes a benchmark's answers and scores, and so names those that are kept."""
    return f"{__package__}.{_HOMES[name][1]}"
