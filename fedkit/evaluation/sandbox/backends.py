"""Ways to shut a process in: bubblewrap, or util-linux's unshare and setpriv where it is missing.

Both give a process that sees the system's libraries, the Python installation and numpy, read-only, /dev/null, a small
/tmp of its own in memory, and nothing else: no home, no /proc, no network, no other process. As root they drop to a
user of their own each, so that no two share a limit. Processor time, memory, threads and system calls are limited by
the process itself before it runs foreign code (`guest.lock`).
"""

from __future__ import annotations

import functools
import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from .guest import PACKAGES, SITE, WORK

NOBODY = 65534
USERS = (61184, 65520)  # numbers that systemd sets aside for users of the moment
FILE_BYTES = 32 * 2**20  # all that a program may write
_FILES = 4096  # and in so many files, where the way can say so
REMEDY = "install bubblewrap (`apt-get install bubblewrap`, `dnf install bubblewrap`) on Linux on x86_64 or aarch64"
_LIBRARIES = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc/ld.so.cache")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": WORK, "MALLOC_ARENA_MAX": "2"}
_ENVIRONMENT |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def python() -> Path:
    """The interpreter outside any virtual environment; the sandbox sees its installation and no more of the disk."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    return base if base.exists() else Path(sys.executable).resolve()


_GUEST = ("guest_values.py", "guest_lock.py", "guest.py")
_BETWEEN = ("from __future__", "from .")  # lines of imports that have no place in the middle, or are no more needed


def guest() -> list[str]:
    """The command that runs `guest.py`, as one text with the files that it imports; its arguments follow."""
    lines = [line for name in _GUEST for line in files(__package__).joinpath(name).read_text("utf-8").splitlines()]
    source = "\n".join(["from __future__ import annotations", *(x for x in lines if not x.startswith(_BETWEEN))])
    return [str(python()), "-I", "-S", "-u", "-c", source]


def _visible() -> list[tuple[str, str]]:
    """What to show and where: the system's libraries and, where it lies elsewhere, the Python installation; numpy."""
    paths = [path for path in _LIBRARIES if os.path.lexists(path)]
    base = str(Path(sys.base_prefix).resolve())
    if not any(base == p or base.startswith(f"{p}/") for p in paths):
        paths.append(base)
    return [(path, path) for path in paths] + _packages()


def _packages() -> list[tuple[str, str]]:
    """The folder of each package that programs may import, and that of its libraries beside it."""
    shown = []
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        for home in (spec.submodule_search_locations or ()) if spec else ():
            both = (Path(home), Path(home).with_name(f"{name}.libs"))
            shown += [(str(folder), f"{SITE}/{folder.name}") for folder in both if folder.is_dir()]
    return shown


def _user() -> int:
    """A user whom no other process is: its limits are of this one alone."""
    return USERS[0] + secrets.randbelow(USERS[1] - USERS[0])


def _identity() -> list[str]:
    user = _user()
    return [f"--reuid={user}", f"--regid={user}", "--clear-groups"]


@functools.cache
def _sized() -> bool:
    """Whether this bubblewrap (0.7 or newer) can bound a place to write; an older one gets none."""
    try:
        said = subprocess.run(["bwrap", "--help"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "--size" in said.stdout + said.stderr


def _drop(program: str, *identity: str) -> list[str]:
    return [program, *identity, "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]


def bubblewrap(command: list[str]) -> list[str]:
    """The command inside bubblewrap; how many empty files a program makes is bounded by its processor time alone."""
    words = ["bwrap", "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-net", "--unshare-ipc"]
    words += ["--unshare-uts", "--unshare-cgroup-try", "--clearenv", "--hostname", "sandbox", "--chdir", "/"]
    for name, value in _ENVIRONMENT.items():
        words += ["--setenv", name, value]
    shown = _visible()
    if _sized():
        folders = {str(above) for place in ("/dev/null", *dict(shown).values()) for above in Path(place).parents}
        for folder in sorted(folders - {"/", *dict(shown).values()}):  # bubblewrap would shut them to all but root
            words += ["--perms", "0755", "--dir", folder]
        words += ["--perms", "1777", "--size", str(FILE_BYTES), "--tmpfs", WORK]
    for path, place in shown:
        link = os.path.islink(path)
        words += ["--symlink", os.readlink(path), place] if link else ["--ro-bind", path, place]
    words += ["--dev-bind", "/dev/null", "/dev/null"]
    words += ["--remount-ro", "/"]
    if os.geteuid() == 0:  # real root needs no user namespace, but must become nobody for the kernel's limits to count
        for name in ("SETUID", "SETGID", "SETPCAP"):
            words += ["--cap-add", f"CAP_{name}"]
        inner = _drop("setpriv", *_identity())
        return [*words, "--", *inner, *command]
    return [*words, "--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY), "--cap-drop", "ALL", "--", *command]


# $1: how to drop privileges, $2: what to show, a path, a tab and its place a line, $3: options of the place to write;
# then the command. The new root lies over /mnt, which only this mount namespace sees. A chroot holds here: to leave one
# takes CAP_SYS_CHROOT, which setpriv takes away, or a folder opened outside, of which none is handed on. The shell
# stays as the first process of its namespace, since the kernel shields the first from signals, that of too much
# processor time too.
_SCRIPT = """
set -e
drop=$1; paths=$2; room=$3; shift 3
tab=$(printf '\\t')
new=/mnt
mount --make-rprivate /
mount -t tmpfs -o size=1m,mode=755 none $new
echo "$paths" | while IFS=$tab read -r path place; do
  mkdir -p "$new$(dirname "$place")"
  if [ -L "$path" ]; then ln -s "$(readlink "$path")" "$new$place"; continue; fi
  if [ -d "$path" ]; then mkdir -p "$new$place"; else : > "$new$place"; fi
  mount --bind "$path" "$new$place"
  mount -o remount,bind,ro,nosuid,nodev "$new$place"
done
mkdir $new/dev $new/tmp
: > $new/dev/null
mount --bind /dev/null $new/dev/null
mount -t tmpfs -o "$room" none $new/tmp
mount -o remount,bind,ro $new
cd $new
chroot . $drop "$@" || exit $?
"""


def unshare(command: list[str]) -> list[str]:
    """The command in namespaces made by util-linux's unshare, under a root of its own."""
    words = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount", "--ipc", "--uts", "--cgroup"]
    identity = _identity()
    if os.geteuid() != 0:  # uid 0 of a new user namespace: the user's own, with no right left once setpriv is done
        words, identity = [*words, "--user", "--map-root-user"], []
    clean = ["env", "-i", *(f"{name}={value}" for name, value in _ENVIRONMENT.items())]
    drop = " ".join([*_drop("setpriv", *identity), *clean])
    shown = "\n".join(f"{path}\t{place}" for path, place in _visible())
    room = f"size={FILE_BYTES},nr_inodes={_FILES},mode=1777,nosuid,nodev,noexec"
    return [*words, "--", "sh", "-c", _SCRIPT, "sh", drop, shown, room, *command]


BACKENDS: Mapping[str, Callable[[list[str]], list[str]]] = MappingProxyType(
    {"bubblewrap": bubblewrap, "unshare": unshare}
)


@functools.cache
def fault(name: str) -> str | None:
    """Why a way does not work on this machine, by trying it; None where it works."""
    with tempfile.NamedTemporaryFile(prefix="fedkit-") as unseen:
        command = BACKENDS[name]([*guest(), "probe", unseen.name, "/"])
        if shutil.which(command[0]) is None:
            return f"{command[0]} is not installed"
        try:
            tried = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    said = tried.stdout.strip()
    if said == "shut in":
        return None
    return said or (tried.stderr.strip().splitlines() or [f"it ended with status {tried.returncode}"])[-1]


def which_sandbox() -> str | None:
    """The first way that works here (bubblewrap, else unshare); None where there is none."""
    return next((name for name in BACKENDS if fault(name) is None), None)
