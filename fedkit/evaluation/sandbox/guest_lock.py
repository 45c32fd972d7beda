"""Inside the sandbox: a process limits itself for good before it runs foreign code. See `guest`."""

from __future__ import annotations

import os

_EPERM, _EAGAIN, _EACCES, _ENOSYS, _ENETUNREACH = 1, 11, 13, 38, 101

# Calls that a solution of a programming task has no use for, and the error that each gives: by processor, its number.
_DENIED: dict[int, dict[str, tuple[int, ...]]] = {
    _ENETUNREACH: {"x86_64": (41,), "aarch64": (198,)},  # socket
    _EAGAIN: {"x86_64": (57, 58), "aarch64": ()},  # fork, vfork: no process
    _ENOSYS: {"x86_64": (435,), "aarch64": (435,)},  # clone3, whose flags cannot be seen from here: clone is taken then
    _EACCES: {"x86_64": (59, 322), "aarch64": (221, 281)},  # execve, execveat
    _EPERM: {
        # ptrace, process_vm_readv, process_vm_writev, kcmp, pidfd_open, pidfd_getfd; unshare, setns, chroot, mount,
        # umount2, pivot_root; memfd_create, shmget, semget, msgget (memory that no limit counts); bpf,
        # perf_event_open, userfaultfd, add_key, request_key, keyctl
        "x86_64": (101, 310, 311, 312, 272, 308, 161, 165, 166, 155, 319, 29, 64, 68, 321, 298, 323, 248, 249, 250),
        "aarch64": (117, 270, 271, 272, 97, 268, 51, 40, 39, 41, 279, 194, 190, 186, 280, 241, 282, 217, 218, 219),
    },
}
# Calls that are allowed by their first argument alone: by processor the number, then its values, then the error.
# clone: a thread as glibc and musl start it, with no flag more, and so never a process or a name space;
# socketpair: two ends within this process (AF_UNIX), which asyncio wakes itself with.
_BY_ARGUMENT: tuple[tuple[dict[str, int], tuple[int, ...], int], ...] = (
    ({"x86_64": 56, "aarch64": 220}, (0x3D0F00, 0x7D0F00), _EAGAIN),
    ({"x86_64": 53, "aarch64": 199}, (1,), _ENETUNREACH),
)
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
    for numbers_of, values, code in _BY_ARGUMENT:
        cases = [step for value in values for step in ((equal, 0, 1, value), (give, 0, 0, allow))]
        program += [(equal, 0, len(cases) + 2, numbers_of[machine]), (load, 0, 0, 16), *cases]  # 16: the low half
        program += [(give, 0, 0, error | code)]
    return [*program, (give, 0, 0, allow)]


def lock(limits: dict[str, int]) -> None:
    """Limit this process for good: CPU, memory, threads, files (open, and their content), no process, no socket.

    limits: `cpu_seconds`, `memory_bytes` (address space), `threads` and `file_bytes` (of one file; the place for all of
    them has a size of its own).
    """
    import ctypes
    import resource

    seconds, memory = limits["cpu_seconds"], limits["memory_bytes"]
    for which, soft, hard in (
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_FSIZE, limits["file_bytes"], limits["file_bytes"]),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, 64, 64),
        (resource.RLIMIT_NPROC, limits["threads"], limits["threads"]),
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
