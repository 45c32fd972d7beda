"""What the tests of OpenFedLLM's sets share: files of made records, and what was built as a bag of rows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path


def folder(tmp_path: Path, name: str, rows: list) -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


def alpaca(i: int, **changes) -> dict:
    return {"instruction": f"do {i}", "input": "", "output": f"done {i}", **changes}


def rows_of(built) -> Counter:
    return Counter(tuple(row.values()) for row in built.dataset.table.to_pylist())
