"""What `python -m fedkit` does: export, cards, data-folder. Each takes the words after its name, gives the exit code.

0: all well; 1: `cards --check` met a stale file. A `FedkitError` becomes a sentence and 2 (`fedkit.__main__`).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from ..common.errors import unknown
from ..common.files import project_root, write_text
from ..data.datasets.registry import DATASETS
from ..data.export import FORMATS, export, export_parquet
from ..data.sources import RawSource
from ..session import Session


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m fedkit {name}", description=description)
    parser.add_argument("--profile", default="mini", help="smoke, mini, course or paper (default: mini)")
    parser.add_argument("--data-dir", help="a folder with the real records")
    parser.add_argument("--offline", action="store_true", help="never ask the Hub")
    return parser


@contextmanager
def _session(options: argparse.Namespace) -> Iterator[Session]:
    """A session that leaves nothing behind."""
    with tempfile.TemporaryDirectory() as scratch:
        yield Session(options.profile, data_dir=options.data_dir, offline=options.offline, results_dir=scratch)


def export_command(argv: Sequence[str]) -> int:
    """Build a dataset of a profile and write it for other programs."""
    parser = _parser("export", "Federated datasets for other programs: JSON, one Parquet file, or a `datasets` folder.")
    parser.add_argument("name", help="a federated dataset, such as fed_chatbot_it")
    parser.add_argument("--format", default="json", help=f"{', '.join(FORMATS)} (default: json)")
    parser.add_argument("--out", required=True, help="the file, or for disk the folder, to write")
    parser.add_argument("--partition", help="a control split such as iid instead of the dataset's own clients")
    parser.add_argument("--seed", type=int, default=0, help="of splits and caps (default: 0)")
    options = parser.parse_args(argv)
    if options.format not in FORMATS:
        raise unknown("export format", options.format, FORMATS)
    with _session(options) as kit:
        built = kit.build(options.name, partition=options.partition, seed=options.seed)
    path, dataset = export(built.dataset, options.format, options.out), built.dataset
    print(f"{path}: {dataset.name}, {len(dataset)} clients, {dataset.n_records} records, {built.located.describe()}")
    print(f"dropped: {built.drops.sentence()}; fingerprint {dataset.fingerprint[:16]}")
    return 0


def rendered(names: Sequence[str], kit: Session) -> Iterator[tuple[str, str]]:
    """(file name, text) of the card and the Croissant file of each dataset."""
    from ..report.cards import render_card
    from ..report.croissant import render_croissant

    for name in names:
        built = kit.build(name)
        yield f"{name}.md", render_card(DATASETS[name], built, kit.profile)
        with tempfile.TemporaryDirectory() as scratch:
            file = export_parquet(built.dataset, Path(scratch) / f"{name}.parquet")
            yield f"{name}.croissant.json", render_croissant(DATASETS[name], file)


def cards_command(argv: Sequence[str]) -> int:
    """Write the datasets' cards and Croissant files, or check that they are what a build gives today."""
    parser = _parser("cards", "Write the cards and Croissant files, or check that they are fresh.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"datasets (default: all: {', '.join(DATASETS)})")
    parser.add_argument("--out", type=Path, help="folder to write to (default: data_cards of the checkout)")
    parser.add_argument("--check", action="store_true", help="write nothing; say which files are stale")
    options = parser.parse_args(argv)
    folder = options.out or project_root() / "data_cards"
    stale = []
    with _session(options) as kit:
        for name, text in rendered(options.names or tuple(DATASETS), kit):
            path = folder / name
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                continue
            stale.append(name)
            if not options.check:
                write_text(path, text)
                print(f"wrote {path}")
    if options.check:
        print(f"stale: {', '.join(stale)}; run python -m fedkit cards" if stale else "every card is up to date")
    return int(options.check and bool(stale))


_HEAD = """# What `--data-dir` may hold

Written by `python -m fedkit data-folder > docs/data_folder.md`. A dataset is looked for under the given folder by
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
    from ..evaluation.benchmarks.registry import BENCHMARKS

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


def data_folder_command(argv: Sequence[str]) -> int:
    """Print what a data folder may hold, as Markdown (docs/data_folder.md)."""
    parser = argparse.ArgumentParser(prog="python -m fedkit data-folder", description=data_folder_page.__doc__)
    parser.parse_args(argv)
    print(data_folder_page(), end="")
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = MappingProxyType(
    {"export": export_command, "cards": cards_command, "data-folder": data_folder_command}
)
