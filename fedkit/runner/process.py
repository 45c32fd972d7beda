"""Starting, watching and stopping the child process of one notebook, in surroundings that a user's own settings
(IPython start-up files, Jupyter configuration, kernels of other environments) do not reach."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ..common.console import HEADLESS, printable
from ..common.files import read_json, write_json
from ..common.machine import cores
from ..data.origins import LOG, read_log
from .child import ADDRESS
from .options import Options
from .plan import Step
from .records import Outcome

GRACE = 8.0  # seconds that a kernel gets to end its cell after an interrupt, before it is terminated


def environment(options: Options, private: Path) -> dict[str, str]:
    """The environment of a child: threads shared out, this very fedkit, private Jupyter folders, no Hub if offline."""
    env = dict(os.environ)
    threads = str(max(1, cores() // options.jobs))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        env.setdefault(name, threads)
    package_parent = str(Path(__file__).resolve().parents[2])
    env["PYTHONPATH"] = os.pathsep.join([package_parent, *filter(None, [os.environ.get("PYTHONPATH")])])
    env |= {
        HEADLESS: "1",
        LOG: str(private / "origins.jsonl"),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "IPYTHONDIR": str(private / "ipython"),
        "JUPYTER_CONFIG_DIR": str(private / "config"),
        "JUPYTER_DATA_DIR": str(private / "data"),
        "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
        "JUPYTER_PATH": str(private / "share"),
        "JUPYTER_NO_CONFIG": "1",
    }
    if options.offline or options.profile.embedded:
        env |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    return env


def private_folder() -> str | None:
    """Where the runner's own temporary folder lies, so near that a socket in it has an address; None: no such place.

    The system's (TMPDIR) if its path is short enough, else one of those that every system has.
    """
    longest = len("/fedkit-12345678/00s/runtime/kernel-5")
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        near = os.name != "posix" or len(os.fsencode(place)) + longest <= ADDRESS
        if near and os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK):
            return place
    return None


def install_kernel(private: Path) -> None:
    """Writes a kernelspec python3 for the running interpreter into the private folder; it is found first."""
    spec = {
        "argv": [
            sys.executable,
            "-m",
            "ipykernel_launcher",
            "--HistoryManager.enabled=False",
            "-f",
            "{connection_file}",
        ],
        "display_name": "Python 3",
        "language": "python",
    }
    write_json(private / "share" / "kernels" / "python3" / "kernel.json", spec)


class Child:
    """The running child of one step."""

    def __init__(self, step: Step, options: Options, temporary: Path) -> None:
        self.step = step
        self.begun = time.monotonic()
        number = step.number
        notebooks = options.folder / "notebooks"
        notebooks.mkdir(parents=True, exist_ok=True)
        self._private = temporary / number
        self._result = self._private / "result.json"
        self._log = self._private / "log.txt"
        self._part = notebooks / f".{number}.part.ipynb"
        self._partial = notebooks / f"{number}.partial.ipynb"
        self._part.unlink(missing_ok=True)
        self._partial.unlink(missing_ok=True)
        (self._private / "runtime").mkdir(parents=True)
        install_kernel(self._private)
        source = self._private / step.notebook.path.name
        shutil.copyfile(step.notebook.path, source)
        job = {
            "input": str(source),
            "part": str(self._part),
            "output": str(notebooks / f"{number}.ipynb"),
            "html": str(notebooks / f"{number}.html"),
            "result": str(self._result),
            "runtime": str(self._private / "runtime"),
            "cwd": str(step.notebook.path.parent),
            "parameters": dict(step.parameters),
            "title": f"{number} {step.notebook.title}",
            "parent": os.getpid(),
        }
        write_json(self._private / "job.json", job)
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fedkit.runner.child", str(self._private / "job.json")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(options, self._private),
                start_new_session=True,
            )

    @property
    def elapsed(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.begun

    def outcome(self, *, stopped: bool = False) -> Outcome:
        """How it ended; call once, after the process is gone. A stopped one leaves NN.partial.ipynb."""
        result: dict[str, Any] = read_json(self._result, {})
        outcome = Outcome(self.step.number, self.step.notebook.title, "ok", fingerprint=dict(self.step.fingerprint))
        outcome.seconds = result.get("seconds", round(self.elapsed, 2))
        outcome.peak_memory_mb = result.get("peak_memory_mb")
        outcome.origins = read_log(self._private / "origins.jsonl")
        if stopped and (result.get("status") != "ok"):
            outcome.status, outcome.error = "interrupted", "stopped before its end; run again to go on"
            self._keep_partial()
            return outcome
        if not result:
            self._keep_partial()
            outcome.status = "failed"
            outcome.details = self._log.read_text(encoding="utf-8", errors="replace")[-4000:]
            why = _full(self._private, self._part.parent) or _last_line(outcome.details)
            outcome.error = f"its process ended with code {self.process.returncode}: {why}"
            return outcome
        outcome.status, outcome.error = result["status"], _one_line(result["error"])
        outcome.details, page = result["details"], self._part.with_name(f"{self.step.number}.html")
        outcome.html = f"notebooks/{page.name}" if page.is_file() else ""
        if result.get("interrupted"):
            self._keep_partial()
        self._part.unlink(missing_ok=True)
        return outcome

    def _keep_partial(self) -> None:
        if read_json(self._part) is None:
            self._part.unlink(missing_ok=True)
        else:
            os.replace(self._part, self._partial)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _one_line(lines[-1]) if lines else "no message"


def _one_line(text: str) -> str:
    """An error as it is printed and kept: whatever it quotes, one line that no terminal obeys."""
    return " ".join(printable(text).split())


def _full(*folders: Path) -> str:
    """A sentence where there is no room on the disk of one of the folders."""
    for folder in folders:
        if shutil.disk_usage(folder).free < 2**20:
            return f"the disk of {folder} is full; free some space, and the same command goes on from what is kept"
    return ""


def stop(children: list[Child], *, grace: float = GRACE) -> None:
    """Ends all children: their kernels are interrupted (as Ctrl-C in a cell), then terminated, then killed."""
    import psutil

    family: list[psutil.Process] = []
    for child in children:
        family += _descendants(child)
    deadline, nudge = time.monotonic() + grace, 0.0
    while (alive := [child for child in children if child.process.poll() is None]) and time.monotonic() < deadline:
        if time.monotonic() >= nudge:
            for child in alive:
                for process in _descendants(child, recursive=False):
                    _signal(process, signal.SIGINT)
            nudge = time.monotonic() + 1.0
        time.sleep(0.05)
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
    for child in children:
        try:
            child.process.wait(grace / 2)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
    for process in family:
        _signal(process, signal.SIGKILL)


def _descendants(child: Child, *, recursive: bool = True) -> list[Any]:
    import psutil

    try:
        return psutil.Process(child.process.pid).children(recursive=recursive)
    except psutil.NoSuchProcess:
        return []


def _signal(process: Any, number: int) -> None:
    """Sends a signal to a process that may be gone; psutil makes sure that the id was not given to another."""
    import psutil

    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
