"""How answers are generated, and the name of a mean over the columns of a table."""

from __future__ import annotations

from dataclasses import dataclass

AVERAGE = "Average"  # of a table's other columns, as the papers head it


@dataclass(frozen=True)
class EvalSpec:
    """Generation and judging. Temperature 0 makes a table depend on nothing but its adapter."""

    max_new_tokens: int = 32
    batch_size: int = 64
    temperature: float = 0.0
