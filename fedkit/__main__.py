"""`python -m fedkit export NAME --out FILE`: a federated dataset for other programs, without a notebook."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence

from .common.console import say
from .common.errors import FedkitError, unknown
from .data.export import FORMATS, export
from .session import Session


def main(argv: Sequence[str]) -> int:
    """Build a dataset as a profile has it and write it; exit code 2 for a user's mistake, said in a sentence."""
    parser = argparse.ArgumentParser(prog="python -m fedkit", description="What fedkit does without a notebook.")
    command = parser.add_subparsers(dest="command", required=True).add_parser(
        "export", help="write a federated dataset as JSON, as one Parquet file, or as a folder of `datasets`"
    )
    command.add_argument("name", help="a federated dataset, such as fed_chatbot_it")
    command.add_argument("--profile", default="mini", help="smoke, mini, course or paper (default: mini)")
    command.add_argument("--data-dir", help="a folder with the real records")
    command.add_argument("--offline", action="store_true", help="never ask the Hub")
    command.add_argument("--format", default="json", help=f"{', '.join(FORMATS)} (default: json)")
    command.add_argument("--out", required=True, help="the file, or for disk the folder, to write")
    command.add_argument("--partition", help="a control split such as iid instead of the dataset's own clients")
    command.add_argument("--seed", type=int, default=0, help="of splits and caps (default: 0)")
    try:
        return _export(parser.parse_args(argv))
    except FedkitError as error:
        say(str(error))
        return 2


def _export(options: argparse.Namespace) -> int:
    if options.format not in FORMATS:
        raise unknown("export format", options.format, FORMATS)
    with tempfile.TemporaryDirectory() as scratch:
        kit = Session(options.profile, data_dir=options.data_dir, offline=options.offline, results_dir=scratch)
        built = kit.build(options.name, partition=options.partition, seed=options.seed)
    path, dataset = export(built.dataset, options.format, options.out), built.dataset
    what = f"{path}: {dataset.name}, {len(dataset)} clients, {dataset.n_records} records, {built.located.describe()}"
    say(f"{what}\ndropped: {built.drops.sentence()}; fingerprint {dataset.fingerprint[:16]}", sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
