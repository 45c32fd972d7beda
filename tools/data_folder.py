"""`python -m tools.data_folder [--check]`: write docs/data_folder.md, what `--data-dir` may hold."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fedkit.common.code import ROOT as PACKAGE
from fedkit.data.sources import RawSource
from fedkit.data.streams import DOCUMENT, FREE, RATIO, RECORD
from fedkit.evaluation.benchmarks.registry import all_sources

PAGE = PACKAGE.parent / "docs" / "data_folder.md"
_HEAD = """# What `--data-dir` may hold

Written by `python -m tools.data_folder`. A dataset is looked for under the given folder by
these names, in this order; of the first that matches anything, all matches are read. `NAME*.ext` stands for
`NAME.jsonl`, `NAME.json` and `NAME.csv`, each also with `.gz`. What is not there comes from the embedded world
(profiles `smoke` and `mini`) or from the Hub (`course` and `paper`). Every table, row and report, and the last lines of
`reproduce.py`, name the source of questions, worked examples, reference answers and records. The licence is the
publisher's statement.

**What is refused.** A folder that holds none of these names. A part of a table's shards
(`train-00000-of-00003.parquet` without the other two), and a table twice (`train.parquet` beside `train (1).parquet`,
or two files of the same bytes). Real questions without their worked examples (`gsm8k/test.jsonl` alone, `mmlu/test/`
without `mmlu/dev/`): invented ones would not do. A Git-LFS pointer in the place of the data: run `git lfs pull` in the
clone.

Names that begin with a dot are passed over. A folder with some of the four sets of `domains` gives those as sets of
their own, and the federation of all four from the embedded world.

**Limits**, since nobody vouches for a file. One record (a line, a JSON value, a CSV row) has at most {record} million
characters; a document that is read whole (a BIG-bench task, the Financial PhraseBank) at most {document} MiB; a gzip or
parquet file unpacks to at most {ratio} times its size, or to {free} MiB where that is more. Whoever trusts a larger one
unpacks it by hand.

**Forms.** In a CSV file, fields that are lists or objects (`conversation`, `turns`, `answer`) are JSON text, as
`json.dumps` writes it; pandas' own form with single quotes is not. The Financial PhraseBank is read in UTF-8, or else
in Latin-1, as its publisher has it. FedLLM-Bench's `evaluation/open_ended/data` is a data folder as it is. Sets marked
**gated** want a form to be accepted on the Hub, and a token of that account in the variable `HF_TOKEN`.

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


def data_folder_page() -> str:
    """What a data folder may hold, as the Markdown of docs/data_folder.md."""
    lines = [
        f"| {s.name}: {s.description} | {_files(s)} | {s.hub or 'no'}{' (**gated**)' if s.gated else ''} |"
        f" {'yes' if s.embedded else 'no'} | {s.licence} |"
        for s in all_sources()
    ]
    limits = dict(record=round(RECORD / 1e6), document=DOCUMENT >> 20, ratio=RATIO, free=FREE >> 20)
    head = _HEAD
    for name, value in limits.items():
        head = head.replace(f"{{{name}}}", str(value))
    return head + "\n".join(lines) + "\n"


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
