"""`python -m fedkit.report.cards [NAME ...]`: write the cards and Croissant files, or check that they are fresh."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...common.errors import FedkitError
from ...common.files import write_text
from ...data.export import export_parquet
from ...session import Session, project_root
from .card import render_card
from .croissant import render_croissant
from .story import read_story, stories


def rendered(names: Sequence[str], kit: Session) -> Iterator[tuple[str, str]]:
    """(file name, text) of the card and the Croissant file of each dataset."""
    for name in names:
        story = read_story(name)
        built = kit.build(name)
        yield f"{name}.md", render_card(name, built, kit.profile)
        with tempfile.TemporaryDirectory() as scratch:
            file = export_parquet(built.dataset, Path(scratch) / f"{name}.parquet")
            yield f"{name}.croissant.json", render_croissant(name, story, file)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0, 1 where --check finds a stale file, 2 for a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m fedkit.report.cards", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"datasets (default: all: {', '.join(stories())})")
    parser.add_argument("--profile", default="mini", help="profile to build with (default: mini)")
    parser.add_argument("--data-dir", help="your own copies of the raw data")
    parser.add_argument("--offline", action="store_true", help="never ask the Hub")
    parser.add_argument("--out", type=Path, help="folder to write to (default: data_cards of the checkout)")
    parser.add_argument("--check", action="store_true", help="write nothing; say which files are stale")
    options = parser.parse_args(arguments)
    folder = options.out or project_root() / "data_cards"
    stale = []
    try:
        with tempfile.TemporaryDirectory() as scratch:
            kit = Session(options.profile, data_dir=options.data_dir, offline=options.offline, results_dir=scratch)
            for name, text in rendered(options.names or stories(), kit):
                path = folder / name
                fresh = path.is_file() and path.read_text(encoding="utf-8") == text
                stale += [] if fresh else [name]
                if not options.check and not fresh:
                    write_text(path, text)
                    print(f"wrote {path}")
    except FedkitError as error:
        print(error, file=sys.stderr)
        return 2
    if options.check:
        print(f"stale: {', '.join(stale)}; run python -m fedkit.report.cards" if stale else "every card is up to date")
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
