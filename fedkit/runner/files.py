"""Text and JSON files that appear whole or not at all, and JSON that may be absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..atomic import new_file


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text beside `path`, then renames it: a reader sees the old file or the new one."""
    with new_file(path) as new:
        new.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    """`write_text` of indented JSON."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path, default: Any) -> Any:
    """The content of a JSON file that this package wrote; `default` where it is absent or unreadable."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return default
