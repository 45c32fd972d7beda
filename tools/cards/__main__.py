"""`python -m tools.cards [NAME ...] [--check]`: write data_cards/, the cards and Croissant files, from builds."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from fedkit.common.errors import FedkitError
from fedkit.common.files import project_root, write_text
from fedkit.data.datasets.registry import DATASETS
from fedkit.data.export import export_parquet
from fedkit.session import Session

from .card import render_card
from .croissant import render_croissant


def rendered(names: Sequence[str], kit: Session) -> Iterator[tuple[str, str]]:
    """(file name, text) of the card and the Croissant file of each dataset."""
    for name in names:
        built = kit.build(name)
        yield f"{name}.md", render_card(DATASETS[name], built, kit.profile)
        with tempfile.TemporaryDirectory() as scratch:
            file = export_parquet(built.dataset, Path(scratch) / f"{name}.parquet")
            yield f"{name}.croissant.json", render_croissant(DATASETS[name], file)


def main(argv: Sequence[str]) -> int:
    """Write the datasets' cards and Croissant files, or check that they are what a build gives today."""
    parser = argparse.ArgumentParser(prog="python -m tools.cards", description="Cards and Croissant files of datasets.")
    parser.add_argument("--profile", default="mini", help="smoke, mini, course or paper (default: mini)")
    parser.add_argument("--data-dir", help="a folder with the real records")
    parser.add_argument("--offline", action="store_true", help="never ask the Hub")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"datasets (default: all: {', '.join(DATASETS)})")
    parser.add_argument("--out", type=Path, help="folder to write to (default: data_cards of the checkout)")
    parser.add_argument("--check", action="store_true", help="write nothing; say which files are stale")
    options = parser.parse_args(argv)
    folder = options.out or project_root() / "data_cards"
    stale = []
    with tempfile.TemporaryDirectory() as scratch:
        kit = Session(options.profile, data_dir=options.data_dir, offline=options.offline, results_dir=scratch)
        for name, text in rendered(options.names or tuple(DATASETS), kit):
            path = folder / name
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                continue
            stale.append(name)
            if not options.check:
                write_text(path, text)
                print(f"wrote {path}")
    if options.check:
        print(f"stale: {', '.join(stale)}; run python -m tools.cards" if stale else "every card is up to date")
    return int(options.check and bool(stale))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except FedkitError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
