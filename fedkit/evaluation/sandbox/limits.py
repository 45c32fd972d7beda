"""How much a program may use, and what came of running it."""

from __future__ import annotations

from dataclasses import dataclass

from ...common.errors import FedkitError


@dataclass(frozen=True)
class Limits:
    """Bounds for a program and, apart from it, for its tests.

    There is no knob for what is always zero: network, processes and threads besides the first, files written.
    """

    wall_seconds: float = 20.0  # from start to end, starting the sandbox included
    cpu_seconds: int = 5  # of processor time, whole seconds as the kernel counts them
    memory_bytes: int = 512 * 2**20  # address space
    output_bytes: int = 64 * 2**10  # printed by program and tests together
    message_bytes: int = 8 * 2**20  # one call's arguments, or its answer

    def __post_init__(self) -> None:
        for name, least in (("wall_seconds", 0.0), ("cpu_seconds", 1), ("memory_bytes", 2**26), ("output_bytes", 0)):
            if getattr(self, name) < least:
                raise FedkitError(f"Limits.{name} is {getattr(self, name)}; give at least {least}")


@dataclass(frozen=True)
class Outcome:
    """What came of one run. `reason` begins with its kind and a colon, except for "passed".

    Kinds: `wrong` (a test failed), `error` (the program raised), `time`, `memory`, `output`, `processes` (it tried to
    start one, or a thread), `network`, `files` (a file that it may not see or write), `forbidden` (another call that
    is denied), `exit` (it ended before its tests did), `signal` (it crashed or was killed), `garbled` (it wrote into
    the channel to its tests), `tests` (the tests themselves cannot run).
    """

    passed: bool
    reason: str
    seconds: float  # wall clock
    output: str  # what program and tests printed, cut at `Limits.output_bytes`

    @property
    def kind(self) -> str:
        """The word that `reason` begins with."""
        return self.reason.partition(":")[0]
