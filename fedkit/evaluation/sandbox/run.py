"""One program and its tests, run in two sandboxes that speak to each other; the outcome, named."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ...common.errors import FedkitError, unknown
from ...common.parent import ending_with_parent
from . import backends


@dataclass(frozen=True)
class Limits:
    """Bounds for a program and, apart from it, for its tests.

    There is no knob for what each has always: 64 threads, 32 MiB of files in a folder `/tmp` of its own (the working
    folder), numpy where it is installed; nor for what none has: network, other processes, any other file to write.
    """

    wall_seconds: float = 20.0  # from start to end, starting the sandbox included
    cpu_seconds: int = 5  # of processor time, whole seconds as the kernel counts them
    memory_bytes: int = 2 * 2**30  # address space, of which a thread's stack takes 8 MiB
    output_bytes: int = 4 * 2**20  # printed by program and tests together
    message_bytes: int = 8 * 2**20  # one call's arguments, or its answer

    def __post_init__(self) -> None:
        for name, least in (("wall_seconds", 0.0), ("cpu_seconds", 1), ("memory_bytes", 2**26), ("output_bytes", 0)):
            if getattr(self, name) < least:
                raise FedkitError(f"Limits.{name} is {getattr(self, name)}; give at least {least}")


@dataclass(frozen=True)
class Outcome:
    """What came of one run. `reason` begins with its kind and a colon, except for "passed".

    Kinds: `wrong` (a test failed), `error` (the program raised), `time`, `memory`, `output`, `processes` (it tried to
    start one, or too many threads), `network`, `files` (one that it may not see or write, or too much of them),
    `forbidden` (another call that is denied), `exit` (it ended before its tests did), `signal` (it crashed or was
    killed), `garbled` (it wrote into the channel to its tests), `tests` (the tests themselves cannot run).
    """

    passed: bool
    reason: str
    seconds: float  # wall clock
    output: str  # the first 64 KiB that program and tests printed

    @property
    def kind(self) -> str:
        """The word that `reason` begins with."""
        return self.reason.partition(":")[0]


DEFAULT = Limits()
THREADS = 64
_SHOWN = 64 * 2**10  # bytes of what was printed that an outcome keeps
_SETTLE = 2.0  # seconds that a process whose channel closed has to end, before it is killed


def run_python(program: str, tests: str, *, limits: Limits = DEFAULT, sandbox: str | None = None) -> Outcome:
    """Run `tests` against the functions of `program`, and neither with a way to harm the machine.

    program: Python text; tests: Python text that calls the program's functions by their names and raises (asserts)
    where they are wrong. Each runs in a sandbox of its own: what a test calls is asked of the other process, arguments
    and answers travel as plain data (numbers, text, bytes, lists, tuples, sets, dicts, fractions), so an argument
    changed in place does not change for the tests, and an object of the program's own class equals nothing. Names that
    Python itself defines are never taken from the program.

    A pass needs a random word that only the tests' process is given, written after the last test: to end early, in
    whichever way, is no pass. `sandbox`: a name of `BACKENDS`; None takes the first that works. `FedkitError` where no
    sandbox works; foreign code never runs without one.
    """
    name = _chosen(sandbox)
    request = {
        "word": secrets.token_hex(16),
        "program": program,
        "tests": tests,
        "limits": {
            "cpu_seconds": limits.cpu_seconds,
            "memory_bytes": limits.memory_bytes,
            "threads": THREADS,
            "file_bytes": backends.FILE_BYTES,
        },
    }
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        ends = _Pipes(stack)
        guest = backends.guest()
        longest = str(limits.message_bytes)

        def start(side: str, pipes: tuple[int, ...], **streams: Any) -> subprocess.Popen[bytes]:
            words = [side, str(pipes[0]), str(pipes[1]), longest, *map(str, pipes[2:])]
            command = ending_with_parent(backends.BACKENDS[name]([*guest, *words]))
            process = subprocess.Popen(
                command, pass_fds=pipes, stdout=ends.output[1], stderr=ends.output[1], start_new_session=True, **streams
            )
            stack.callback(_end, process)
            return process

        tested = start("program", (ends.calls[0], ends.returns[1]), stdin=subprocess.DEVNULL)
        own = (ends.returns[0], ends.calls[1], ends.verdict[1])
        testing = start("tests", own, stdin=ends.request[0])
        ends.hand_over()
        printed, verdict, over = _collect(ends, json.dumps(request).encode(), began + limits.wall_seconds, limits)
        if over is None and verdict.get("end", "gone") == "gone":  # its status says why
            with contextlib.suppress(subprocess.TimeoutExpired):
                (tested if verdict else testing).wait(_SETTLE)
        codes = (tested.poll(), testing.poll())
    seconds = time.monotonic() - began
    reason = over or _reason(verdict, request["word"], codes, limits, seconds)
    return Outcome(reason == "passed", reason, seconds, printed[:_SHOWN].decode("utf-8", "replace"))


def require_sandbox(sandbox: str | None = None) -> None:
    """Make sure of a sandbox before work that ends in one: `FedkitError` names what is missing and the remedy.

    `sandbox`: a name of `BACKENDS`; None asks for any that works.
    """
    _chosen(sandbox)


def _chosen(sandbox: str | None) -> str:
    if sandbox is not None and sandbox not in backends.BACKENDS:
        raise unknown("sandbox", sandbox, backends.BACKENDS)
    name = sandbox or backends.which_sandbox()
    if name is None or backends.fault(name) is not None:
        why = "; ".join(f"{one}: {backends.fault(one)}" for one in ([sandbox] if sandbox else backends.BACKENDS))
        raise FedkitError(f"generated code is not run, since no sandbox works here ({why}); {backends.REMEDY}")
    return name


class _Pipes:
    """The pipes of one run, (read end, write end) each; all closed with the stack."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.calls, self.returns, self.output, self.verdict, self.request = (os.pipe() for _ in range(5))
        self._open = {
            end for pair in (self.calls, self.returns, self.output, self.verdict, self.request) for end in pair
        }
        stack.callback(lambda: self.close(*self._open))

    def close(self, *ends: int) -> None:
        for end in set(ends) & self._open:
            self._open.discard(end)
            os.close(end)

    def hand_over(self) -> None:
        """Close what the two processes have now, so that the end of one is the end of its pipes."""
        self.close(*self.calls, *self.returns, self.output[1], self.verdict[1], self.request[0])


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()


def _collect(ends: _Pipes, request: bytes, deadline: float, limits: Limits) -> tuple[bytes, dict[str, Any], str | None]:
    """Feed the request, read what is printed and the verdict; the third is why it was stopped, if it was."""
    printed, verdict, sent = bytearray(), bytearray(), 0
    for end in (ends.request[1], ends.output[0], ends.verdict[0]):
        os.set_blocking(end, False)
    with selectors.DefaultSelector() as ready:
        ready.register(ends.request[1], selectors.EVENT_WRITE)
        ready.register(ends.output[0], selectors.EVENT_READ, printed)
        ready.register(ends.verdict[0], selectors.EVENT_READ, verdict)
        while ends.verdict[0] in {key.fd for key in ready.get_map().values()}:
            left = deadline - time.monotonic()
            if left <= 0:
                return bytes(printed), {}, f"time: it ran past {limits.wall_seconds:g} seconds"
            for key, _ in ready.select(left):
                if key.data is None:
                    with contextlib.suppress(BrokenPipeError):
                        sent += os.write(key.fd, request[sent : sent + 65536])
                        if sent < len(request):
                            continue
                    ready.unregister(key.fd)
                    ends.close(key.fd)
                    continue
                block = os.read(key.fd, 65536)
                key.data.extend(block)
                if not block:
                    ready.unregister(key.fd)
            if len(printed) > limits.output_bytes:
                cut = bytes(printed[: limits.output_bytes])
                return cut, {}, f"output: it printed more than {limits.output_bytes} bytes"
    with contextlib.suppress(BlockingIOError):  # what was printed last
        while block := os.read(ends.output[0], 65536):
            printed.extend(block)
    try:
        told = json.loads(verdict) if verdict else {}
    except ValueError:
        told = {}
    return bytes(printed[: limits.output_bytes]), told, None


def _reason(
    verdict: Mapping[str, Any], word: str, codes: tuple[int | None, ...], limits: Limits, seconds: float
) -> str:
    end = verdict.get("end")
    if end == "passed" and secrets.compare_digest(str(verdict.get("word")), word):
        return "passed"
    told = verdict.get("error") or {}
    said = f"{told.get('type')}: {told.get('text')}".rstrip(": ")
    if end in _SAID:
        return _SAID[end](told, said)
    who, code = ("the program", codes[0]) if end == "gone" else ("the tests' process", codes[1])
    return _ended(who, code, limits, seconds)


def _ended(who: str, code: int | None, limits: Limits, seconds: float) -> str:
    """Why a process is no more, from its status: a shell and bubblewrap give 128 + n for signal n, Python -n."""
    if code is None:
        return f"exit: {who} closed its channel before the tests were through"
    number = -code if code < 0 else code - 128
    if number == signal.SIGXCPU or (number == signal.SIGKILL and seconds > limits.cpu_seconds):
        return f"time: {who} used more than {limits.cpu_seconds} seconds of processor time"
    if 0 < number < signal.NSIG:
        return f"signal: {who} was ended by {signal.Signals(number).name}"
    return f"exit: {who} ended with status {code} before the tests were through"


def _program_error(told: Mapping[str, Any], said: str) -> str:
    number = told.get("errno")
    for kind, matches in _KINDS.items():
        if matches(told.get("type"), number, str(told.get("text"))):
            return f"{kind}: {said}"
    return f"error: {said}"


# What an exception of the program is called; the first that fits.
_KINDS: Mapping[str, Callable[[Any, Any, str], bool]] = MappingProxyType(
    {
        "memory": lambda name, number, text: name == "MemoryError" or number == errno.ENOMEM,
        "processes": lambda name, number, text: number == errno.EAGAIN or "can't start new thread" in text,
        "network": lambda name, number, text: (
            name in ("gaierror", "herror") or number in (errno.ENETUNREACH, errno.ENETDOWN, errno.ECONNREFUSED)
        ),
        "forbidden": lambda name, number, text: number == errno.EPERM,
        "files": lambda name, number, text: (
            number in (errno.ENOENT, errno.EACCES, errno.EROFS, errno.EFBIG, errno.ENOSPC, errno.EMFILE, errno.ENOTDIR)
        ),
    }
)
_SAID: Mapping[str, Callable[[Mapping[str, Any], str], str]] = MappingProxyType(
    {
        "wrong": lambda told, said: f"wrong: {said}",
        "tests": lambda told, said: f"tests: {said}",
        "error": _program_error,
        "garbled": lambda told, said: "garbled: the program wrote into the channel to its tests, or answered too much",
    }
)
