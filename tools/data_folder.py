"""`python -m tools.data_folder [--check]`: write docs/data_folder.md, what `--data-dir` may hold."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fedkit.common.code import ROOT as PACKAGE
from fedkit.data.datasets.registry import DATASETS
from fedkit.data.sources import RawSource
from fedkit.evaluation.benchmarks.registry import BENCHMARKS

PAGE = PACKAGE.parent / "docs" / "data_folder.md"
_HEAD = """# What `--data-dir` may hold

Written by `python -m tools.data_folder`. A dataset is looked for under the given folder by
these names, in this order; of the first that matches anything, all matches are read. `NAME*.ext` stands for
`NAME.jsonl`, `NAME.json` and `NAME.csv`, each also with `.gz`. What is not there comes from the embedded world
(profiles `smoke` and `mini`) or from the Hub (`course` and `paper`), and every output names the source. The licence is
the publisher's statement.

| raw dataset | files | on the Hub | embedded | licence |
|---|---|---|---|---|
"""
_ENDS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".csv", ".csv.gz")


def all_sources() -> tuple[RawSource, ...]:
    """The raw sources of every dataset and of every benchmark, each once."""
    readers = (*DATASETS.values(), *BENCHMARKS.values())
    return tuple({source.name: source for reader in readers for source in reader.sources}.values())


def _files(source: RawSource) -> str:
    """The patterns, the usual spellings of one table as one."""
    shown: dict[str, None] = {}
    for pattern in source.files:
        stem = next((pattern.removesuffix(end) for end in sorted(_ENDS, key=len)[::-1] if pattern.endswith(end)), "")
        whole = stem and all(f"{stem}{end}" in source.files for end in _ENDS)
        shown[f"`{stem}*.ext`" if whole else f"`{pattern}`"] = None
    return ", ".join(shown)


def data_folder_page() -> str:
    """What a data folder may hold, as the Markdown of docs/data_folder.md."""
    lines = [
        f"| {s.name}: {s.description} | {_files(s)} | {s.hub or 'no'} | {'yes' if s.embedded else 'no'} | {s.licence} |"
        for s in all_sources()
    ]
    return _HEAD + "\n".join(lines) + "\n"


def main(argv: Sequence[str]) -> int:
    """Write the page, or with --check say whether it is what the sources are; exit code 1 where it is not."""
    if "--check" not in argv:
        PAGE.write_text(data_folder_page(), encoding="utf-8")
        return 0
    fresh = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == data_folder_page()
    print(f"{PAGE.name} is {'up to date' if fresh else 'stale: run python -m tools.data_folder'}")
    return 0 if fresh else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
