"""What runs inside the sandbox: the tests in one process, the program under test in another.

The tests never share a process with the program. They call its functions over two pipes, one line of JSON a message,
and answers come back as plain data (numbers, text, lists, tuples, sets, dicts), so that a program can neither read
the tests, nor replace what they compare with, nor print the word that only the process with the tests holds.

This file's text is handed to `python -I -S -c`; it imports the standard library alone and nothing of fedkit.
"""

from __future__ import annotations

import builtins
import json
import os
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from types import CodeType, ModuleType
from typing import Any, NoReturn

# --- values as JSON ------------------------------------------------------------------------------------------------


def _items(value: Any) -> list[Any]:
    return [encode(item) for item in value]


# Base type: tag, packing. A value of a subclass (a Counter, a namedtuple) travels as its base type.
_PACK: dict[type, tuple[str, Callable[[Any], Any]]] = {
    int: ("i", lambda value: hex(int(value))),  # decimal text of a long integer is refused by Python itself
    float: ("f", lambda value: float(value).hex()),
    str: ("s", lambda value: str.__str__(value)),
    bytes: ("b", lambda value: bytes(value).hex()),
    complex: ("c", lambda value: [value.real.hex(), value.imag.hex()]),
    list: ("l", lambda value: _items(list.__iter__(value))),
    tuple: ("t", lambda value: _items(tuple.__iter__(value))),
    set: ("S", lambda value: _items(set.__iter__(value))),
    frozenset: ("F", lambda value: _items(frozenset.__iter__(value))),
    type({}.keys()): ("S", _items),
    dict: ("d", lambda value: [[encode(k), encode(v)] for k, v in dict.items(value)]),
    range: ("r", lambda value: [value.start, value.stop, value.step]),
    Fraction: ("q", lambda value: [hex(value.numerator), hex(value.denominator)]),
    Decimal: ("D", str),
}
_UNPACK: dict[str, Callable[[Any], Any]] = {
    "i": lambda text: int(text, 16),
    "f": float.fromhex,
    "s": lambda text: text,
    "b": bytes.fromhex,
    "c": lambda parts: complex(*map(float.fromhex, parts)),
    "l": lambda items: [decode(item) for item in items],
    "t": lambda items: tuple(decode(item) for item in items),
    "S": lambda items: {decode(item) for item in items},
    "F": lambda items: frozenset(decode(item) for item in items),
    "d": lambda pairs: {decode(k): decode(v) for k, v in pairs},
    "r": lambda parts: range(*parts),
    "q": lambda parts: Fraction(*(int(part, 16) for part in parts)),
    "D": Decimal,
    "o": lambda name: Opaque(name),
}


class Opaque:
    """A value that cannot travel (a generator, an object of the program's own class); equal to nothing but itself."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<an object of type {self.name}>"


def encode(value: Any) -> Any:
    """A value as JSON; what is not plain data becomes an `Opaque` at the other end."""
    if value is None or value is True or value is False:
        return value
    kind = next((base for base in type(value).__mro__ if base in _PACK), None)
    if kind is None:
        return {"o": type(value).__name__}
    tag, pack = _PACK[kind]
    return {tag: pack(value)}


def decode(value: Any) -> Any:
    """The inverse of `encode`; `ValueError` or `TypeError` for anything else."""
    if value is None or value is True or value is False:
        return value
    ((tag, content),) = value.items()
    return _UNPACK[tag](content)


# --- limits --------------------------------------------------------------------------------------------------------

_EPERM, _EAGAIN, _EACCES, _ENETUNREACH = 1, 11, 13, 101

# Calls that a solution of a programming task has no use for, and the error that each gives: by processor, its number.
_DENIED: dict[int, dict[str, tuple[int, ...]]] = {
    _ENETUNREACH: {"x86_64": (41, 53), "aarch64": (198, 199)},  # socket, socketpair
    _EAGAIN: {"x86_64": (56, 57, 58, 435), "aarch64": (220, 435)},  # clone, fork, vfork, clone3: no process, no thread
    _EACCES: {"x86_64": (59, 322), "aarch64": (221, 281)},  # execve, execveat
    _EPERM: {
        # ptrace, process_vm_readv, process_vm_writev, kcmp, pidfd_open, pidfd_getfd; unshare, setns, chroot, mount,
        # umount2, pivot_root; memfd_create, shmget, semget, msgget (memory that no limit counts); bpf,
        # perf_event_open, userfaultfd, add_key, request_key, keyctl
        "x86_64": (101, 310, 311, 312, 272, 308, 161, 165, 166, 155, 319, 29, 64, 68, 321, 298, 323, 248, 249, 250),
        "aarch64": (117, 270, 271, 272, 97, 268, 51, 40, 39, 41, 279, 194, 190, 186, 280, 241, 282, 217, 218, 219),
    },
}
# io_uring and the newer mount calls, pidfd_open, pidfd_getfd, memfd_secret: one number on every processor.
_DENIED_EVERYWHERE = (425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 438, 442, 447)
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # the second set of call numbers on x86_64


def _filter(machine: str) -> list[tuple[int, int, int, int]]:
    """A seccomp program (classic BPF: code, jump if true, jump if false, constant) that denies the calls above."""
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    kill, error, allow = 0x80000000, 0x00050000, 0x7FFF0000
    program = [(load, 0, 0, 4), (equal, 1, 0, _AUDIT[machine]), (give, 0, 0, kill), (load, 0, 0, 0)]
    if machine == "x86_64":
        program += [(at_least, 0, 1, _X32), (give, 0, 0, error | _EPERM)]
    for code, numbers in _DENIED.items():
        for number in numbers[machine]:
            program += [(equal, 0, 1, number), (give, 0, 0, error | code)]
    for number in _DENIED_EVERYWHERE:
        program += [(equal, 0, 1, number), (give, 0, 0, error | _EPERM)]
    return [*program, (give, 0, 0, allow)]


def lock(limits: dict[str, int]) -> None:
    """Limit this process for good: CPU, memory, open files, no file content, no process or thread, no socket."""
    import ctypes
    import resource

    seconds, memory = limits["cpu_seconds"], limits["memory_bytes"]
    for which, soft, hard in (
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, 32, 32),
        (resource.RLIMIT_NPROC, 1, 1),
    ):
        resource.setrlimit(which, (soft, hard))

    class Instruction(ctypes.Structure):
        _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.POINTER(Instruction))]

    steps = [Instruction(*step) for step in _filter(os.uname().machine)]
    program = Program(len(steps), (Instruction * len(steps))(*steps))
    control = ctypes.CDLL(None, use_errno=True).prctl
    no_new_privileges, set_seccomp, mode_filter = 38, 22, 2
    zero = ctypes.c_ulong(0)
    for words in (
        (no_new_privileges, ctypes.c_ulong(1), zero, zero, zero),
        (set_seccomp, ctypes.c_ulong(mode_filter), ctypes.byref(program), zero, zero),
    ):
        if control(*words) != 0:
            raise OSError(ctypes.get_errno(), "the kernel refuses to limit system calls")


# --- the two sides -------------------------------------------------------------------------------------------------


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
        asked = link.receive()
        try:
            args, kwargs = decode(asked["args"]), decode(asked["kwargs"])
            answer = {"value": encode(getattr(module, asked["call"])(*args, **kwargs))}
            link.send(answer)
        except Exception as error:
            link.send({"error": _error(error)})


def _describe(module: ModuleType, name: str) -> dict[str, Any]:
    value = getattr(module, name)
    if isinstance(value, ModuleType):
        return {"module": value.__name__}
    return {"call": name} if callable(value) else {"value": encode(value)}


def _names(code: CodeType) -> set[str]:
    """Every name that the code mentions, its functions' too."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _names(constant)
    return found


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
        if known["module"] not in sys.stdlib_module_names:
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
    lock({"cpu_seconds": 5, "memory_bytes": 2**29})
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
