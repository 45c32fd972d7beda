"""How answers are generated, and the names of columns that are not the papers'."""

from __future__ import annotations

from dataclasses import dataclass

AVERAGE = "Average"  # of a table's other columns, as the papers head it
RIGHT = "right facts, %"  # of the answers to Ref questions, where the embedded world knows them


@dataclass(frozen=True)
class EvalSpec:
    """Generation and judging. Temperature 0 makes a table depend on nothing but its adapter."""

    max_new_tokens: int = 32
    batch_size: int = 64
    temperature: float = 0.0
