"""The sandbox: honest programs pass as in plain Python, hostile ones neither pass nor harm and are named."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import textwrap
from collections import Counter
from fractions import Fraction

import psutil
import pytest
from hostile_allowances import ABUSES
from hostile_programs import PROGRAMS, TESTS
from sandbox_tools import NEEDED, without_sandbox

from fedkit.common.errors import FedkitError
from fedkit.evaluation.sandbox import BACKENDS, Limits, backends, guest, require_sandbox, run_python, which_sandbox

LIMITS = Limits(wall_seconds=60.0, cpu_seconds=1, memory_bytes=256 * 2**20)


@pytest.fixture(params=sorted(BACKENDS))
def sandbox(request):
    """Each way to shut a process in, where it works."""
    why = backends.fault(request.param)
    if why is not None:
        without_sandbox(f"{request.param} does not work here: {why}")
    return request.param


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """What a hostile program is after: a file, a home, a port that listens, a word in the environment."""
    monkeypatch.setenv("FEDKIT_TEST_SECRET", "word-of-the-user")
    secret = tmp_path / "secret.txt"
    secret.write_text("word-of-the-user")
    secret.chmod(0o644)  # readable by all: it must be out of sight, not merely forbidden
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield {"secret_file": str(secret), "home": str(tmp_path), "port": str(server.getsockname()[1])}
        with pytest.raises(BlockingIOError):  # nobody called
            server.accept()
    assert secret.read_text() == "word-of-the-user" and [p.name for p in tmp_path.iterdir()] == ["secret.txt"]


def fill(text, values):
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


@pytest.mark.parametrize("hostile", [*PROGRAMS, *ABUSES], ids=lambda hostile: hostile.name)
def test_hostile(hostile, sandbox, outside):
    if sandbox != which_sandbox() and not hostile.of_the_machine:
        pytest.skip("the same on every sandbox, and shown on the first")
    limits = Limits(hostile.wall_seconds, LIMITS.cpu_seconds, LIMITS.memory_bytes)
    before = len(psutil.Process().children(recursive=True))
    outcome = run_python(fill(hostile.program, outside), TESTS, limits=limits, sandbox=sandbox)
    assert not outcome.passed
    assert outcome.kind in hostile.kinds, outcome
    assert len(outcome.output) <= 64 * 2**10 and "word-of-the-user" not in outcome.output + outcome.reason
    assert len(psutil.Process().children(recursive=True)) == before


def test_there_are_twenty_and_more():
    assert len(PROGRAMS) >= 20 and len(ABUSES) >= 20
    assert max(Counter(hostile.name for hostile in [*PROGRAMS, *ABUSES]).values()) == 1


def test_the_word_and_the_tests_are_out_of_sight(sandbox):
    (forge,) = (hostile for hostile in PROGRAMS if hostile.name == "forging the word")
    outcome = run_python(forge.program, TESTS, limits=LIMITS, sandbox=sandbox)
    assert "words found: [] tests found: False" in outcome.output


@pytest.mark.parametrize("told", [{"word": "0" * 32}, {"word": ""}, {"word": None}, {}, {"word": ["0" * 32]}])
def test_a_verdict_without_the_word_is_no_pass(told):
    """Whoever reaches the pipe of the verdict, as these tests do, still has to know the word."""
    if which_sandbox() is None:
        without_sandbox("no sandbox works here")
    verdict = json.dumps({"end": "passed", **told})
    tests = f"import os, sys\nos.write(int(sys.argv[5]), {verdict.encode()!r})\nos._exit(0)"
    outcome = run_python("x = 1", tests, limits=LIMITS)
    assert not outcome.passed and outcome.reason.startswith("exit: the tests' process")


def test_an_honest_program_passes(sandbox):
    outcome = run_python("def double(x):\n    print('called')\n    return 2 * x", TESTS, limits=LIMITS, sandbox=sandbox)
    assert outcome.passed and outcome.reason == outcome.kind == "passed" and outcome.output == "called\n" * 6
    assert 0 < outcome.seconds < 60


# Programs that the reference harness passes, each with what it takes: `f(n)` is the list of the first n numbers.
RIGHT = {
    "threads": """
        import threading
        def f(n):
            out = []
            some = [threading.Thread(target=out.append, args=(i,)) for i in range(n)]
            for one in some: one.start()
            for one in some: one.join()
            return sorted(out)""",
    "a pool of threads": """
        from concurrent.futures import ThreadPoolExecutor
        def f(n):
            with ThreadPoolExecutor(32) as pool:
                return list(pool.map(lambda x: x, range(n)))""",
    "a temporary file": """
        import tempfile
        def f(n):
            with tempfile.NamedTemporaryFile("w+") as file:
                print(*range(n), file=file, flush=True)
                return [int(word) for word in open(file.name).read().split()]""",
    "a temporary folder": """
        import os, tempfile
        def f(n):
            with tempfile.TemporaryDirectory() as folder:
                for i in range(n): open(os.path.join(folder, str(i)), "w").close()
                return sorted(map(int, os.listdir(folder)))""",
    "a file beside it": """
        def f(n):
            with open("numbers.txt", "w") as file: file.write(str(list(range(n))))
            return eval(open("numbers.txt").read())""",
    "the null device": """
        import contextlib, os
        def f(n):
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere): print("x")
            return list(range(n))""",
    "prints of 100 KB": "def f(n):\n    print('x' * 100_000)\n    return list(range(n))",
    "asyncio": """
        import asyncio
        async def same(i):
            await asyncio.sleep(0.001)
            return await asyncio.to_thread(int, i)
        async def all_of(n):
            return await asyncio.gather(*map(same, range(n)))
        def f(n):
            return asyncio.run(all_of(n))""",
    "600 MB of memory": "def f(n):\n    much = bytearray(600 * 10**6)\n    return [much[i] + i for i in range(n)]",
}
NUMPY = "import numpy as np\ndef f(n):\n    return [np.int64(0), *map(np.float64, np.arange(n) @ np.eye(n))][1:]"
NUMPY += "\ndef g(n):\n    return np.arange(n).sum(), np.bool_(n > 1)"


@pytest.mark.parametrize("name", RIGHT)
def test_right_programs_pass_as_in_the_reference_harness(name, sandbox):
    outcome = run_python(textwrap.dedent(RIGHT[name]), "assert f(5) == [0, 1, 2, 3, 4]", sandbox=sandbox)
    assert outcome.passed, outcome
    assert len(outcome.output) <= 64 * 2**10


def test_numpy_is_there_where_it_is_installed(sandbox):
    """Its numbers travel as Python's; the rest of the packages beside it is not there."""
    tests = "import numpy as np\nassert f(3) == [0.0, 1.0, 2.0] and g(4) == (6, True)\nassert isinstance(np.pi, float)"
    outcome = run_python(NUMPY, tests, sandbox=sandbox)
    assert outcome.passed, outcome
    for name in ("torch", "pytest", "fedkit"):
        assert run_python(f"import {name}", "x", sandbox=sandbox).reason.startswith("error: ModuleNotFoundError")


def test_no_two_programs_share_a_folder(sandbox):
    program = "import os\ndef f():\n    open('left', 'w').close()\n    return os.listdir('/tmp')"
    for _ in range(2):
        assert run_python(program, "assert f() == ['left']\nimport os\nassert os.listdir('/tmp') == []").passed


def test_a_harmless_try_is_no_fault(sandbox):
    """What was denied has changed nothing: a program that goes on and solves its task passes."""
    program = "def double(x):\n    try:\n        open('/x', 'w')\n    except OSError:\n        return 2 * x"
    assert run_python(program, TESTS, limits=LIMITS, sandbox=sandbox).passed


VALUES = [
    None,
    True,
    -(7**5000),
    1.5,
    -0.0,
    float("inf"),
    "a\nü\ud800北",
    b"\x00\xff",
    1 - 2j,
    [1, [2.0, "3"]],
    (1, (2,)),
    {1, (2, 3)},
    frozenset("ab"),
    {"a": [1], (1, 2): None, 3: {}},
    range(3, 10, 2),
    Fraction(-1, 3),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_travel_unchanged(value):
    again = guest.decode(json.loads(json.dumps(guest.encode(value))))
    assert again == value and type(again) is type(value)
    if not isinstance(value, set | frozenset):  # which have no order to keep
        assert repr(again) == repr(value)


def test_values_that_cannot_travel_equal_nothing():
    nan = guest.decode(json.loads(json.dumps(guest.encode(float("nan")))))
    assert math.isnan(nan)
    odd = guest.decode(json.loads(json.dumps(guest.encode(x for x in ()))))
    assert odd != [] and odd != () and "generator" in repr(odd)
    assert guest.decode(guest.encode(Counter("aab"))) == {"a": 2, "b": 1}
    for text in ("1", "[]", "{}", '{"z": 1}', '{"i": 1}', '{"S": [{"l": []}]}', '{"r": [1, 2, 0]}'):
        with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
            guest.decode(json.loads(text))


def test_exceptions_reach_the_tests(sandbox):
    program = "def half(x):\n    if x % 2:\n        raise ValueError('odd')\n    return x // 2"
    tests = "try:\n    half(3)\nexcept ValueError as error:\n    assert str(error) == 'odd'\nassert half(x=4) == 2"
    assert run_python(program, tests, limits=LIMITS, sandbox=sandbox).passed
    outcome = run_python(program, "half(3)", limits=LIMITS, sandbox=sandbox)
    assert outcome.reason == "error: ValueError: odd"


@pytest.mark.parametrize(
    ("program", "tests", "reason"),
    [
        ("def f(:", "assert True", "error: SyntaxError: invalid syntax (program, line 1)"),
        ("1 / 0", "assert True", "error: ZeroDivisionError: division by zero"),
        ("def f(): return 1", "assert f() == 2, 'two'", "wrong: AssertionError: two"),
        (
            "def f(): return None",
            "assert f() < 2",
            "wrong: TypeError: '<' not supported between instances of 'NoneType'",
        ),
        ("def f(): return 1", "assert g() == 2", "wrong: NameError: name 'g' is not defined"),
        ("x = 1", "assert (", "tests: SyntaxError: '(' was never closed (tests, line 1)"),
        ("x = 1", "import sys; sys.exit(0)", "wrong: SystemExit: 0"),
        (
            "x = 1",
            "import os; os._exit(0)",
            "exit: the tests' process ended with status 0 before the tests were through",
        ),
        (
            "import os\ndef f(): os._exit(3)",
            "f()",
            "exit: the program ended with status 3 before the tests were through",
        ),
        ("import os\ndef f(): os._exit(0)", "try:\n    f()\nexcept: pass", "exit: the program ended with status 0"),
        ("x = 1", "while True: pass", "time: the tests' process used more than 1 seconds of processor time"),
    ],
)
def test_reasons(program, tests, reason):
    if which_sandbox() is None:
        without_sandbox("no sandbox works here")
    outcome = run_python(program, tests, limits=LIMITS)
    assert not outcome.passed and outcome.reason.startswith(reason)


def test_values_and_modules_of_the_program(sandbox):
    program = "import math\nfrom collections import OrderedDict\nTABLE = {1: [2]}\ndef root(x): return math.sqrt(x)"
    tests = "assert TABLE == {1: [2]} and math.isclose(root(2) ** 2, 2)\nlen = sum"
    assert run_python(program, tests, limits=LIMITS, sandbox=sandbox).passed


def test_long_programs_and_answers(sandbox):
    """A program longer than a pipe holds, an argument and an answer too."""
    program = "# " + "x" * 300_000 + "\ndef turn(x):\n    return x[::-1]"
    tests = "data = list(range(50_000))\nassert turn(data) == data[::-1]"
    assert run_python(program, tests, limits=LIMITS, sandbox=sandbox).passed


def test_many_at_a_time(sandbox):
    from concurrent.futures import ThreadPoolExecutor

    programs = [f"def double(x): return {2 + i % 2} * x" for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        passed = list(pool.map(lambda p: run_python(p, TESTS, limits=LIMITS, sandbox=sandbox).passed, programs))
    assert passed == [True, False] * 6


def test_no_descriptor_is_left(sandbox):
    count = len(os.listdir("/proc/self/fd"))
    for program in ("def double(x): return 2 * x", "import os; os._exit(1)"):
        run_python(program, TESTS, limits=LIMITS, sandbox=sandbox)
    assert len(os.listdir("/proc/self/fd")) == count


ORPHAN = """
import contextlib, sys, threading, time, psutil
from fedkit.evaluation.sandbox import Limits, run_python
program = "import time\\ndef double(x):\\n    print('up', flush=True)\\n    time.sleep(1000)"
work = lambda: run_python(program, "double(1)", limits=Limits(wall_seconds=300.0), sandbox=sys.argv[1])
threading.Thread(target=work, daemon=True).start()
while True:
    with contextlib.suppress(psutil.NoSuchProcess):  # one that ended while it was looked at
        below = psutil.Process().children(recursive=True)
        if len(below) >= 4 and sum(p.name()[:6] == "python" for p in below) >= 2:
            break
    time.sleep(0.05)
print(*[p.pid for p in below], flush=True)
time.sleep(300)
"""


def test_nothing_outlives_a_killed_parent(sandbox):
    """Whatever runs in the sandbox ends with the process that started it, though it has no one to tell it."""
    with subprocess.Popen([sys.executable, "-c", ORPHAN, sandbox], stdout=subprocess.PIPE, text=True) as parent:
        below = [psutil.Process(int(word)) for word in parent.stdout.readline().split()]
        parent.kill()
    assert len(below) >= 4 and psutil.wait_procs(below, timeout=30)[1] == []


def test_without_a_sandbox_nothing_runs(monkeypatch):
    monkeypatch.setattr(backends, "fault", lambda name: f"{name} is not installed")
    assert which_sandbox() is None
    with pytest.raises(FedkitError, match="not run.*bubblewrap is not installed.*apt-get install bubblewrap"):
        run_python("x = 1", "assert True")
    with pytest.raises(FedkitError, match="unshare is not installed"):
        run_python("x = 1", "assert True", sandbox="unshare")
    with pytest.raises(FedkitError, match="not run.*bubblewrap is not installed.*apt-get install bubblewrap"):
        require_sandbox()


def test_a_sandbox_can_be_asked_for_before_the_work(sandbox):
    require_sandbox()
    require_sandbox(sandbox)
    with pytest.raises(FedkitError, match="unknown sandbox 'jail'"):
        require_sandbox("jail")


@pytest.mark.parametrize(
    ("way", "why"),
    [
        (lambda command: command, "files outside can be seen"),
        (lambda command: [*command[:-2], "/no/such/file", "/proc/self/fd"], "shut in"),
        (lambda command: ["sh", "-c", "echo no rights >&2; exit 1"], "no rights"),
        (lambda command: ["sh", "-c", "exit 3"], "it ended with status 3"),
        (lambda command: ["no-such-tool"], "no-such-tool is not installed"),
    ],
)
def test_a_sandbox_is_believed_after_a_trial_only(monkeypatch, way, why):
    """A tool that is there but shuts nothing in is not used; the second case is plain Python under `guest.lock`."""
    monkeypatch.setattr(backends, "BACKENDS", {"tool": way})
    assert (backends.fault.__wrapped__("tool") or "shut in") == why


def test_a_promised_sandbox_is_no_reason_to_skip(monkeypatch):
    """Nothing is skipped in silence where the environment says that a sandbox must work."""
    monkeypatch.setattr(backends, "fault", lambda name: f"{name} is not installed")
    monkeypatch.delenv(NEEDED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="why not"):
        without_sandbox("why not")
    monkeypatch.setenv(NEEDED, "1")
    with pytest.raises(pytest.fail.Exception, match="FEDKIT_NEED_SANDBOX is 1 .* why not"):
        without_sandbox("why not")


def test_bad_arguments():
    with pytest.raises(FedkitError, match="unknown sandbox 'jail'; known: bubblewrap, unshare"):
        run_python("", "", sandbox="jail")
    with pytest.raises(FedkitError, match="cpu_seconds is 0; give at least 1"):
        Limits(cpu_seconds=0)
