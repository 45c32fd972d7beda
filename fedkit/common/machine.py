"""How many processor cores there are to use: one answer for the runner, for training and for the records of both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .errors import FedkitError

JOBS = "FEDKIT_JOBS"  # the environment's word on how many runs are trained at a time
CGROUPS = Path("/sys/fs/cgroup")


def cores(own: Path = Path("/proc/self/cgroup"), mounted: Path = CGROUPS) -> int:
    """The processor cores that this process may use, at least 1.

    Those that it may be scheduled on (`taskset`, a batch system), and no more whole ones than the CPU quota of its
    control group and of those above it (a container, a service) is worth. `own`: this process's control groups.
    """
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        usable = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        usable = len(os.sched_getaffinity(0))
    else:
        usable = os.cpu_count() or 1
    return max(1, int(min([usable, *_quotas(own, mounted)])))


def jobs(given: int | None = None, default: int | None = None) -> int:
    """Runs to train at a time: `given`, else what FEDKIT_JOBS says, else `default`, else one a core.

    `FedkitError` for what is no whole number of at least 1.
    """
    if given is not None:
        if isinstance(given, bool) or not isinstance(given, int) or given < 1:
            raise FedkitError(f"jobs is {given!r}; it must be a whole number of at least 1")
        return given
    words = os.environ.get(JOBS, "").strip()
    if not words:
        return cores() if default is None else default
    if not words.isascii() or not words.isdigit() or int(words) < 1:
        raise FedkitError(f"{JOBS} is {words!r}; set it to a whole number of at least 1, or unset it")
    return int(words)


def _quotas(own: Path, mounted: Path) -> Iterator[float]:
    """The CPU quotas, in cores, of the control groups that this process is in (Linux; versions 1 and 2)."""
    for line in _text(own).splitlines():
        _, controllers, inside = line.split(":", 2)
        for root in [mounted] if not controllers else [mounted / controllers, mounted / "cpu"]:
            if controllers and "cpu" not in controllers.split(","):
                continue
            group = root / inside.strip("/")
            while True:
                quota, period = _quota(group)
                if quota > 0 and period > 0:  # -1 and "max" are none
                    yield quota / period
                if group == root:
                    break
                group = group.parent


def _quota(group: Path) -> tuple[float, float]:
    """Quota and period of one group in microseconds, zeros where it has none."""
    words = _text(group / "cpu.max").split() or [
        word for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us") for word in _text(group / name).split()
    ]
    try:
        quota, period = map(float, words)
    except ValueError:
        return 0.0, 0.0
    return quota, period


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
