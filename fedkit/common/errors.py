"""The one exception for a user's mistake: it prints as a sentence, never as a traceback."""

from __future__ import annotations

from .console import printable


class FedkitError(Exception):
    """What happened, where (file and field), and the remedy, in one sentence.

    Raised for bad input only; a defect of fedkit itself raises an ordinary exception. Command lines print the
    sentence and leave with exit code 2; `reproduce.py` does the same when a notebook stops with it. What it quotes of
    files, people and servers can neither command a terminal nor begin a line of its own.
    """

    def __str__(self) -> str:
        return printable(super().__str__()).replace("\n", "\\n")


def unknown(kind: str, name: object, known: object) -> FedkitError:
    """The error for a name that is not in a registry, listing those that are."""
    names = ", ".join(sorted(map(str, known)))  # type: ignore[call-overload]
    return FedkitError(f"unknown {kind} {name!r}; known: {names}")
