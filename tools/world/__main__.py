"""The embedded world's command line, from a checkout's root.

python -m tools.world --out DIR [--n N] [--seed S] [--only NAME ...]   a data folder that --data-dir reads
python -m tools.world freeze [--check]                                 the records that the package ships
python -m tools.world freeze --seed S --out DIR                        the same files of another world
python -m tools.world model [--check] [--out DIR [--seed S]]           the model that the package ships, or another
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fedkit.common.errors import FedkitError

from . import build, corpora


def _freeze(argv: Sequence[str]) -> str:
    parser = argparse.ArgumentParser(prog="python -m tools.world freeze", description="The package's records.")
    parser.add_argument("--check", action="store_true", help="compare what is generated with the files; write nothing")
    parser.add_argument("--out", type=Path, default=corpora.FOLDER, help="another folder than the package's own")
    parser.add_argument("--only", nargs="+", choices=corpora.frozen(), default=(), metavar="FILE", help="these files")
    parser.add_argument("--seed", type=int, default=0, help="of another world, which goes to --out")
    given = parser.parse_args(argv)
    if given.seed and given.out == corpora.FOLDER:
        parser.error(f"the package ships the world of seed 0; give --out for that of seed {given.seed}")
    if given.check:
        if stale := corpora.check(given.out, given.only, given.seed):
            raise FedkitError(f"stale: {', '.join(stale)}; run python -m tools.world freeze, since records changed")
        return f"{len(given.only or corpora.frozen())} files hold what is generated"
    size = corpora.freeze(given.out, given.only, given.seed)
    if size > corpora.LIMIT:
        raise FedkitError(f"{size:,} bytes of records, more than {corpora.LIMIT:,}; freeze fewer or smaller corpora")
    return f"wrote {len(given.only or corpora.frozen())} files, {size / 2**20:.2f} MB, to {given.out}"


def _write(argv: Sequence[str]) -> str:
    parser = argparse.ArgumentParser(prog="python -m tools.world", description=__doc__, usage="%(prog)s --out DIR ...")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, required=True, help="folder to write, for --data-dir")
    parser.add_argument("--n", type=int, help="records of each training corpus, or of those named by --only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=corpora.CORPORA, default=(), metavar="NAME", help="raw sources")
    given = parser.parse_args(argv)
    if given.n is not None and given.n < 1:
        parser.error(f"--n is {given.n}; give at least 1")
    files = corpora.write(given.out, given.only, given.n, given.seed)
    return f"wrote {len(files)} files to {given.out}; read them with --data-dir {given.out}"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit code 2 on a user's mistake."""
    argv = list(sys.argv[1:] if argv is None else argv)
    command = {"freeze": _freeze, "model": build.run}.get(argv[0] if argv else "")
    try:
        print(command(argv[1:]) if command else _write(argv))
    except FedkitError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
