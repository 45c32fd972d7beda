"""Benchmarks: what a model is measured on, and the tables' columns.

`base` says what a benchmark is; each other file holds one or a family, with its raw sources; `harness` makes a
close-ended one of an lm-eval task; `registry` lists them; `suites` has the columns of each table; `evaluate` puts a
model through a suite and gives a row (`rows`).
"""

from __future__ import annotations

from ...common.door import front_door

__getattr__, __dir__, __all__ = front_door(
    __name__,
    {
        "registry": ("BENCHMARKS",),
        "suites": ("SUITES", "Column", "Suite", "get_suite"),
        "base": ("Benchmark", "Pool", "Score", "Subject"),
        "harness": ("chosen", "close_ended", "written"),
        "rows": ("Row",),
    },
)
