"""`python -m fedkit COMMAND`: what can be made or checked without a notebook; `python -m fedkit` lists the commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .common.errors import FedkitError
from .runner.commands import COMMANDS


def main(argv: Sequence[str]) -> int:
    """Run a command of `fedkit.runner.commands`; exit code 2 for a user's mistake, such as a name that is not known."""
    name, rest = (argv[0], argv[1:]) if argv else ("", [])
    if name in COMMANDS:
        try:
            return COMMANDS[name](rest)
        except FedkitError as error:
            print(error, file=sys.stderr)
            return 2
    lines = [f"  {known:12} {(work.__doc__ or '').splitlines()[0]}" for known, work in COMMANDS.items()]
    print("usage: python -m fedkit COMMAND [options]\n" + "\n".join(lines), file=sys.stderr if name else sys.stdout)
    return 2 if name and name not in ("-h", "--help") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
