"""What runs inside the sandbox: the tests in one process, the program under test in another.

The tests never share a process with the program. They call its functions over two pipes, one line of JSON a message,
and answers come back as plain data (numbers, text, lists, tuples, sets, dicts), so that a program can neither read
the tests, nor replace what they compare with, nor print the word that only the process with the tests holds.

The text of this file and of the two that it imports is handed to `python -I -S -c` as one (`backends.guest`); they
import the standard library alone and nothing of fedkit but each other.
"""

from __future__ import annotations

import builtins
import json
import os
import sys
from types import CodeType, ModuleType
from typing import Any, NoReturn

from .guest_lock import lock
from .guest_values import decode, encode

SITE, PACKAGES = "/site", ("numpy",)  # where packages besides the standard library are, if the machine has them
WORK = "/tmp"  # the one place to write, which each process has for itself


class Gone(BaseException):
    """The program's process has ended, or closed its end; no `except Exception` of the tests takes it for an error."""


class Garbled(BaseException):
    """What came from the program is longer than a message may be, or is no message."""


class Link:
    """Messages over two pipes."""

    def __init__(self, read: int, write: int, longest: int) -> None:
        self._in, self._out = os.fdopen(read, "rb"), os.fdopen(write, "wb")
        self._longest = longest

    def send(self, message: Any) -> None:
        text = json.dumps(message).encode() + b"\n"
        if len(text) > self._longest:
            raise OverflowError(f"a value of {len(text)} bytes is more than the {self._longest} that may be passed")
        try:
            self._out.write(text)
            self._out.flush()
        except OSError:
            raise Gone from None

    def receive(self) -> dict[str, Any]:
        line = self._in.readline(self._longest + 1)
        if not line.endswith(b"\n"):
            raise Garbled("a message too long") if len(line) > self._longest else Gone
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            raise Garbled("no message") from None
        if not isinstance(message, dict):
            raise Garbled("no message")
        return message


def _error(error: BaseException) -> dict[str, Any]:
    text = str(error).splitlines()[0][:500] if str(error).strip() else ""
    return {"type": type(error).__name__, "text": text, "errno": getattr(error, "errno", None)}


def program_side(link: Link) -> None:
    """Run the program, then call its functions as asked, until the other side hangs up."""
    request = link.receive()
    module = ModuleType("program")
    sys.modules["program"] = module
    try:
        lock(request["limits"])
        exec(compile(request["program"], "program", "exec"), module.__dict__)
        link.send({"names": {name: _describe(module, name) for name in request["names"] if hasattr(module, name)}})
    except Exception as error:
        link.send({"error": _error(error)})
        return
    while True:
        call = link.receive()
        try:
            args, kwargs = decode(call["args"]), decode(call["kwargs"])
            link.send({"value": encode(getattr(module, call["call"])(*args, **kwargs))})
        except Exception as error:
            link.send({"error": _error(error)})


def _describe(module: ModuleType, name: str) -> dict[str, Any]:
    value = getattr(module, name)
    if isinstance(value, ModuleType):
        return {"module": value.__name__}
    return {"call": name} if callable(value) else {"value": encode(value)}


def _names(code: CodeType) -> set[str]:
    """Every name that the code mentions, its functions' too."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names


_ERRORS = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, StopIteration | StopAsyncIteration)
}


def _raise(told: Any) -> NoReturn:
    """The program's exception here, if Python has it built in; one that would end an iteration never."""
    known = isinstance(told, dict) and isinstance(told.get("type"), str)
    try:
        error = _ERRORS.get(told["type"] if known else "", RuntimeError)(told["text"] if known else "")
    except TypeError:  # an exception that takes more than a text
        error = RuntimeError(told["text"])
    error.from_program = told if known else {"type": "RuntimeError", "text": "", "errno": None}  # type: ignore[attr-defined]
    raise error


def _ask(link: Link, message: dict[str, Any]) -> Any:
    link.send(message)
    answer = link.receive()
    if "error" in answer:
        _raise(answer["error"])
    try:
        return decode(answer["value"])
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError):
        raise Garbled("no value") from None


def _stand_in(link: Link, known: Any, name: str) -> Any:
    """What the tests see under a name of the program: a function that asks, a module of Python's own, or a value."""
    if not isinstance(known, dict):
        raise Garbled("no names")
    if "module" in known:
        if known["module"] not in {*sys.stdlib_module_names, *PACKAGES}:
            raise Garbled("no names")
        return __import__(known["module"])
    if "value" in known:
        try:
            return decode(known["value"])
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError):
            raise Garbled("no names") from None

    def far(*args: Any, **kwargs: Any) -> Any:
        return _ask(link, {"call": name, "args": encode(args), "kwargs": encode(kwargs)})

    return far


def tests_side(request: dict[str, Any], link: Link) -> dict[str, Any]:
    """Run the tests against the program at the other end of `link`; what happened, with the word only if all passed."""
    try:
        lock(request["limits"])
        code = compile(request["tests"], "tests", "exec")
    except Exception as error:
        return {"end": "tests", "error": _error(error)}
    # Python's own names are never taken from the program: a program that redefines `abs` compares nothing with it.
    wanted = sorted(name for name in _names(code) if not hasattr(builtins, name))
    try:
        link.send({"program": request["program"], "names": wanted, "limits": request["limits"]})
        ready = link.receive()
        if "error" in ready:
            _raise(ready["error"])
        names = ready.get("names")
        if not isinstance(names, dict):
            raise Garbled("no names")
        scope = {name: _stand_in(link, names[name], name) for name in wanted if name in names}
        exec(code, {**scope, "__name__": "tests"})
        # Swallowed by a bare `except` of the tests or not: a program that is gone has not passed.
        if _ask(link, {"call": "__dir__", "args": encode(()), "kwargs": encode({})}) is None:
            raise Gone
    except Gone:
        return {"end": "gone"}
    except Garbled as error:
        return {"end": "garbled", "error": _error(error)}
    except BaseException as error:
        told = getattr(error, "from_program", None)
        return {"end": "wrong", "error": _error(error)} if told is None else {"end": "error", "error": told}
    return {"end": "passed", "word": request["word"]}


def probe(unseen: str, place: str) -> str:
    """Whether this process is shut in: "shut in", or what it can do that it must not."""
    import socket

    if os.path.exists(unseen):
        return "files outside can be seen"
    lock({"cpu_seconds": 5, "memory_bytes": 2**29, "threads": 64, "file_bytes": 2**20})
    for what, attempt in (
        ("a socket can be opened", socket.socket),
        ("a process can be started", os.fork),
        ("a file can be written", lambda: open(os.path.join(place, "x"), "w")),
    ):
        try:
            attempt()
        except OSError:
            continue
        return what
    return "shut in"


def main(words: list[str]) -> None:
    """`program READ WRITE LONGEST`, `tests READ WRITE LONGEST VERDICT` (the request on standard input), or `probe`."""
    if words[0] == "probe":
        print(probe(*words[1:]), flush=True)
        os._exit(0)
    side, read, write, longest = words[0], *map(int, words[1:4])
    sys.path.append(SITE)
    if os.path.isdir(WORK):
        os.chdir(WORK)
    link = Link(read, write, longest)
    if side == "tests":
        request = json.loads(sys.stdin.buffer.read())
        _no_input()
        verdict = tests_side(request, link)
        os.write(int(words[4]), json.dumps(verdict).encode())
        os._exit(0)  # what the tests left behind (exit handlers) has no say any more
    _no_input()
    try:
        program_side(link)
    except (Gone, Garbled):
        pass


def _no_input() -> None:
    """Standard input at its end, so that `input()` raises EOFError instead of waiting."""
    read, write = os.pipe()
    os.close(write)
    os.dup2(read, 0)
    os.close(read)


if __name__ == "__main__":
    main(sys.argv[1:])
