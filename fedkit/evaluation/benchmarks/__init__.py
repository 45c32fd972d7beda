"""Benchmarks, and one call from an adapter to a row of a table: `evaluate(kit, run, "chatbot_it")`.

A benchmark is one file and a line in `suites.BENCHMARKS`; a table's columns are a line in `suites.SUITES`.
"""

from __future__ import annotations

from .base import Benchmark, Place, Score, Subject
from .evaluate import evaluate
from .rows import Row
from .suites import BENCHMARKS, SUITES, Column, Suite, get_suite

__all__ = [
    "BENCHMARKS",
    "SUITES",
    "Benchmark",
    "Column",
    "Place",
    "Row",
    "Score",
    "Subject",
    "Suite",
    "evaluate",
    "get_suite",
]
