"""`python -m fedkit.data.catalog`: what a data folder may hold, as the Markdown of docs/data_folder.md."""

from __future__ import annotations

from ..sources import RawSource
from . import SOURCES

_HEAD = """# What `--data-dir` may hold

Written by `python -m fedkit.data.catalog > docs/data_folder.md`. A dataset is looked for under the given folder by
these names, in this order; of the first that matches anything, all matches are read. `NAME*.ext` stands for
`NAME.jsonl`, `NAME.json` and `NAME.csv`, each also with `.gz`. What is not there comes from the embedded world
(profiles `smoke` and `mini`) or from the Hub (`course` and `paper`), and every output names the source. The licence is
the publisher's statement.

| raw dataset | files | on the Hub | embedded | licence |
|---|---|---|---|---|
"""
_ENDS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".csv.gz")


def _files(source: RawSource) -> str:
    """The patterns, the usual spellings of one table as one."""
    shown: dict[str, None] = {}
    for pattern in source.files:
        stem = next((pattern.removesuffix(end) for end in sorted(_ENDS, key=len)[::-1] if pattern.endswith(end)), "")
        whole = stem and all(f"{stem}{end}" in source.files for end in _ENDS)
        shown[f"`{stem}*.ext`" if whole else f"`{pattern}`"] = None
    return ", ".join(shown)


def table() -> str:
    """The whole page."""
    lines = [
        f"| {s.name}: {s.description} | {_files(s)} | {s.hub or 'no'} | {'yes' if s.embedded else 'no'} | {s.licence} |"
        for s in SOURCES.values()
    ]
    return _HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
