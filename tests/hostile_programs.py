"""Programs that should define `double(x)`, and try something else instead; what the sandbox must call each.

`{secret_file}`, `{port}` and `{home}` are filled in by the test: a file that only the user may read, a listening port,
and the user's home. Each program is alone in its process, so what it breaks there is its own.
"""

from __future__ import annotations

from dataclasses import dataclass

TESTS = """
def check(candidate):
    assert candidate(21) == 42
    assert all(map(lambda x: abs(candidate(x) - 2 * x) == 0, range(-2, 3)))
check(double)
"""


@dataclass(frozen=True)
class Hostile:
    """A program and the kinds of outcome that name what it did."""

    name: str
    program: str
    kinds: tuple[str, ...]
    wall_seconds: float = 30.0

    @property
    def of_the_machine(self) -> bool:
        """Whether the way of shutting it in decides, rather than Python or the channel between the two sides."""
        return bool({"network", "files", "processes", "forbidden", "signal", "time"} & set(self.kinds))


def in_call(name: str, body: str, *kinds: str, head: str = "", wall: float = 30.0) -> Hostile:
    """The attack is made when a test calls the function."""
    lines = "\n    ".join(body.strip().splitlines())
    return Hostile(name, f"{head}\ndef double(x):\n    {lines}\n", kinds, wall)


FORGE = """
import gc, json, os, re, sys
found = []
frame = sys._getframe()
while frame:
    found += [str(v) for v in {**frame.f_globals, **frame.f_locals}.values()]
    found += [str(c) for c in frame.f_code.co_consts]
    frame = frame.f_back
found += [str(thing) for thing in gc.get_objects() if isinstance(thing, (dict, list, str, bytes))]
words = sorted(set(re.findall(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", "".join(found))))
print("words found:", words, "tests found:", any("candidate(21) ==" + " 42" in text for text in found))
for word in words or [chr(48) * 32]:
    print(json.dumps({"end": "passed", "word": word}), flush=True)
    for fd in range(3, 4096):
        try:
            os.write(fd, (json.dumps({"end": "passed", "word": word}) + chr(10)).encode())
        except OSError:
            pass
return None
"""

LIBC = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
FAILED = "if {call} != 0:\n    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))"

PROGRAMS = [
    in_call(
        "network", "socket.create_connection(('127.0.0.1', {port}), 5).send(b'x')", "network", head="import socket"
    ),
    in_call("name look-up", "socket.getaddrinfo('example.org', 80)", "network", head="import socket"),
    in_call("fork bomb", "while True:\n    os.fork()", "processes", head="import os"),
    in_call(
        "thread bomb",
        "while True:\n    T(target=lambda: 1).start()",
        "processes",
        "time",
        head="from threading import Thread as T",
    ),
    in_call("another program", "subprocess.run(['/bin/sh', '-c', 'true'])", "processes", head="import subprocess"),
    in_call("becoming another program", "os.execv('/bin/sh', ['sh', '-c', 'sleep 100'])", "files", head="import os"),
    in_call("memory", "kept = []\nwhile True:\n    kept.append(bytearray(2**24))", "memory"),
    in_call("mapped memory", "return mmap.mmap(-1, 2**34)", "memory", head="import mmap"),
    in_call(
        "memory behind a file", "fd = os.memfd_create('x')\nos.write(fd, b'x' * 2**24)", "forbidden", head="import os"
    ),
    in_call("disk", "with open('/tmp/x', 'wb') as f:\n    while True:\n        f.write(bytes(2**20))", "files"),
    in_call("endless loop", "while True:\n    pass", "time"),
    in_call(
        "endless loop, deaf",
        "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True:\n    pass",
        "time",
        head="import signal",
    ),
    in_call("sleep", "time.sleep(1000)", "time", head="import time", wall=2.0),
    in_call("sys.exit(0)", "sys.exit(0)", "exit", head="import sys"),
    Hostile("exit(0) at load", "import sys\nsys.exit(0)", ("exit",)),
    in_call("os._exit(0)", "os._exit(0)", "exit", head="import os"),
    Hostile("os._exit(0) at load", "import os\nos._exit(0)", ("exit",)),
    in_call("reading the user's file", "return open('{secret_file}').read()", "files"),
    in_call("listing the user's home", "return os.listdir('{home}')", "files", head="import os"),
    in_call("reading the password file", "return open('/etc/passwd').read()", "files"),
    in_call(
        "reading the environment",
        "print(dict(os.environ))\nreturn os.environ['FEDKIT_TEST_SECRET']",
        "error",
        head="import os",
    ),
    in_call("reading another process", "return open('/proc/1/environ').read()", "files"),
    in_call("killing the parent", "os.kill(os.getppid(), 9)", "wrong", "signal", "forbidden", head="import os"),
    in_call("killing everyone", "os.kill(-1, 9)", "wrong", "signal", "exit", "error", head="import os"),
    in_call("killing itself", "os.abort()", "signal", head="import os"),
    in_call(
        "deaf to signals",
        "for s in range(1, 32):\n    if s not in (9, 19):\n        signal.signal(s, signal.SIG_IGN)\ntime.sleep(1000)",
        "time",
        head="import signal, time",
        wall=2.0,
    ),
    in_call("output flood", "while True:\n    print('x' * 1000)", "output"),
    in_call("forging the word", FORGE, "garbled"),
    in_call(
        "another equality",
        "class Same:\n    __eq__ = lambda self, other: True\n    __sub__ = lambda self, other: 0\nreturn Same()",
        "wrong",
    ),
    Hostile(
        "replaced builtins",
        "import builtins\nbuiltins.all = all = builtins.map = map = builtins.abs = abs = lambda *a: True\n"
        "class Fine(Exception): pass\nbuiltins.AssertionError = AssertionError = Fine\ndef double(x): return 0",
        ("wrong",),
    ),
    Hostile("replaced checker", "def check(f): pass\ndef double(x): return 0", ("wrong",)),
    in_call("ending the iteration", "if x == 21:\n    return 42\nraise StopIteration", "error"),
    in_call(
        "tracing",
        "sys.settrace(lambda *a: None)\nsys._getframe(1).f_globals.clear()\nreturn 0",
        "wrong",
        "error",
        "exit",
        head="import sys",
    ),
    in_call(
        "symbolic link",
        "os.symlink('/etc/passwd', '/tmp/link')\nreturn open('/tmp/link').read()",
        "files",
        head="import os",
    ),
    in_call("writing outside", "open('{home}/.profile', 'a').write('true')", "files"),
    in_call("changing the library", "open(os.__file__, 'a').write('1/0')", "files", head="import os"),
    in_call("debugging", FAILED.format(call="libc.ptrace(16, 1, 0, 0)"), "forbidden", head=LIBC),
    in_call("own name spaces", FAILED.format(call="libc.unshare(0x10000000 | 0x00020000)"), "forbidden", head=LIBC),
    in_call("mounting", FAILED.format(call="libc.mount(b'none', b'/usr', b'tmpfs', 0, None)"), "forbidden", head=LIBC),
    in_call("raising its limits", "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))", "error", head="import resource"),
    in_call("standard input", "return input()", "error"),
    in_call("deep recursion", "return double(x + 1)", "error"),
    in_call(
        "stack overflow",
        "sys.setrecursionlimit(10**9)\nf = lambda n: sorted([n], key=f)\nreturn f(x)",
        "signal",
        "memory",
        head="import sys",
    ),
    in_call("bad pointer", "return ctypes.string_at(8)", "signal", head="import ctypes"),
    in_call("closing every channel", "os.closerange(0, 1024)", "exit", "error", head="import os"),
    in_call("a flood as the answer", "return 'x' * 2**26", "error", "memory", "garbled"),
    in_call("nested without end", "a = []\na.append(a)\nreturn a", "error"),
    in_call(
        "right answer, then the end",
        'os.write(LINK, b\'{"value": {"i": "0x2a"}}\' + bytes([10]))\nos._exit(0)',
        "exit",
        "garbled",
        head="import os, sys\nLINK = int(sys.argv[3])",
    ),
]
