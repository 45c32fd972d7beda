"""Programs that abuse what right ones may do: threads, a place to write, numpy, asyncio, memory and prints."""

from __future__ import annotations

from hostile_programs import FAILED, FORGE, LIBC, in_call

CLONE = "if libc.syscall(56 if os.uname().machine == 'x86_64' else 220, {flags}, 0, 0, 0, 0) < 0:\n"
CLONE += "    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))"
THREADS = "import os, threading, time\nfrom threading import Thread as T\ndef spin():\n    while True:\n        pass\n"
NUMPY = "try:\n    import numpy\nexcept ImportError:\n    numpy = None\n"
# While a wrong answer is on its way, another thread writes what it can find on whatever it can reach.
FORGE_IN_A_THREAD = "def forge():\n    " + "\n    ".join(FORGE.strip().splitlines()) + "\n"
FORGE_IN_A_THREAD += (
    "import threading\nt = threading.Thread(target=forge)\nt.start()\nt.join()\nreturn 2 * x - (x == 21)"
)
AT_EXIT = FORGE_IN_A_THREAD.partition("import threading")[0]
AT_EXIT += "atexit.register(forge)\nthreading._register_atexit(forge)\nraise SystemExit(0)"

ABUSES = [
    in_call(
        "threads that stay", "while True:\n    T(target=time.sleep, args=(1000,)).start()", "processes", head=THREADS
    ),
    in_call(
        "small threads that stay",
        "threading.stack_size(2**15)\nwhile True:\n    T(target=time.sleep, args=(1000,)).start()",
        "processes",
        head=THREADS,
    ),
    in_call("a thread that outlives", "T(target=spin, daemon=True).start()\nreturn 0", "wrong", head=THREADS),
    in_call("a thread that no end waits for", "T(target=spin).start()\nos._exit(0)", "exit", head=THREADS),
    in_call(
        "threads against the clock",
        "some = [T(target=spin) for _ in range(16)]\n[t.start() for t in some]\n[t.join() for t in some]",
        "time",
        head=THREADS,
    ),
    in_call(
        "an end in a thread",
        "T(target=os._exit, args=(0,)).start()\ntime.sleep(1000)",
        "exit",
        head=THREADS,
    ),
    in_call(
        "fork in a thread",
        "with Pool(1) as pool:\n    return pool.submit(os.fork).result()",
        "processes",
        head=f"{THREADS}from concurrent.futures import ThreadPoolExecutor as Pool",
    ),
    in_call(
        "many processes",
        "with Pool(4) as pool:\n    return list(pool.map(abs, range(4)))",
        "processes",
        "files",
        "forbidden",
        "error",
        head="from concurrent.futures import ProcessPoolExecutor as Pool",
    ),
    in_call("a process by clone", CLONE.format(flags="17"), "processes", head=LIBC),
    in_call("a network by clone", CLONE.format(flags="0x3d0f00 | 0x40000000"), "processes", head=LIBC),
    in_call("a process by clone3", FAILED.format(call="libc.syscall(435, bytes(88), 88)"), "error", head=LIBC),
    in_call("forging the word in a thread", FORGE_IN_A_THREAD, "garbled", "wrong", "error"),
    in_call("forging the word at the end", AT_EXIT, "garbled", "exit", head="import atexit, threading"),
    in_call(
        "other words on the channel",
        "import __main__\n__main__.encode = lambda value: dict(i=hex(2 * x), l=[])\nreturn 0",
        "garbled",
        "wrong",
    ),
    in_call(
        "a flood by threads",
        "some = [T(target=flood) for _ in range(8)]\n[t.start() for t in some]\n[t.join() for t in some]",
        "output",
        head=f"{THREADS}def flood():\n    while True:\n        print('x' * 1000)",
    ),
    in_call(
        "memory by threads",
        "kept = []\nmore = lambda: [kept.append(bytearray(2**22)) for _ in range(99)]\n"
        "with Pool(4) as pool:\n    return [one.result() for one in [pool.submit(more) for _ in range(4)]]",
        "memory",
        head="from concurrent.futures import ThreadPoolExecutor as Pool",
    ),
    in_call(
        "many files",
        "for i in itertools.count():\n    with open(f'/tmp/{i}', 'wb') as f:\n        f.write(bytes(2**20))",
        "files",
        head="import itertools",
    ),
    in_call(
        "empty files",
        "for i in itertools.count():\n    open(f'/tmp/{i}', 'wb').close()",
        "files",
        "time",
        head="import itertools",
    ),
    in_call(
        "folders without end",
        "while True:\n    os.mkdir('x')\n    os.chdir('x')",
        "files",
        "time",
        head="import os",
    ),
    in_call(
        "modules for the tests",
        "for name in ('math', 'json', 'numpy', 'sitecustomize', 'usercustomize'):\n"
        "    open(f'/tmp/{name}.py', 'w').write('import os\\nos._exit(0)')\nreturn 0",
        "wrong",
    ),
    in_call(
        "a verdict on the disk",
        "for place in ('/tmp/verdict', 'verdict.json', '/tmp/result'):\n"
        "    open(place, 'w').write(json.dumps(dict(end='passed', word='0' * 32)))\nreturn 0",
        "wrong",
        head="import json",
    ),
    in_call(
        "a program of its own",
        "open('x', 'w').write('#!/bin/sh\\nexit 0')\nos.chmod('x', 0o777)\nos.execv('/tmp/x', ['x'])",
        "files",
        head="import os",
    ),
    in_call("writing past its own folder", "open('../x', 'w').write('x')", "files"),
    in_call("a package to change", "open('/site/numpy/__init__.py', 'a').write('1/0')", "files"),
    in_call("a hole in memory", "f = open('x', 'wb')\nf.truncate(2**40)", "files"),
    in_call("the disk, raw", "return open('/dev/sda', 'rb').read(1) or open('/dev/vda', 'rb').read(1)", "files"),
    in_call(
        "asyncio to the network",
        "async def call():\n    await asyncio.open_connection('127.0.0.1', {port})\nreturn asyncio.run(call())",
        "network",
        head="import asyncio",
    ),
    in_call(
        "asyncio to another program",
        "async def call():\n    await asyncio.create_subprocess_exec('/bin/true')\nreturn asyncio.run(call())",
        "processes",
        "files",
        "forbidden",
        "error",
        head="import asyncio",
    ),
    in_call(
        "asyncio without end",
        "async def wait():\n    await asyncio.sleep(1000)\nreturn asyncio.run(wait())",
        "time",
        head="import asyncio",
        wall=3.0,
    ),
    in_call("a pair of sockets to the world", "socket.socketpair(socket.AF_INET)", "network", head="import socket"),
    in_call("a socket of the machine", "socket.socket(socket.AF_UNIX)", "network", head="import socket"),
    in_call(
        "numbers that equal all",
        "class Same(numpy.float64):\n    __eq__ = lambda self, other: True\nreturn Same(0)",
        "wrong",
        "error",
        head=NUMPY,
    ),
    in_call(
        "an array that equals all",
        "class Same(numpy.ndarray):\n    __eq__ = lambda self, other: True\nreturn numpy.zeros(1).view(Same)",
        "wrong",
        "error",
        head=NUMPY,
    ),
    in_call(
        "another numpy",
        "import types\nclass Same:\n    item = lambda self: self\n    __eq__ = lambda self, other: True\n"
        "sys.modules['numpy'] = types.SimpleNamespace(generic=Same)\nreturn Same()",
        "wrong",
        "error",
        head="import sys",
    ),
]
