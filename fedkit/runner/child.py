"""One notebook in one process: `python -m fedkit.runner.child JOB.json`; papermill, then HTML, then one result file.

The parent (execute.py) starts it in a session of its own, so that Ctrl-C reaches the parent alone, and stops it by
interrupting its kernel. Should the parent vanish, the child ends its kernel and itself.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from ..common.errors import FedkitError
from ..common.files import read_json, write_json, write_text
from ..common.parent import end_with_parent

ADDRESS = 100  # bytes that a socket's path may have anywhere (107 on Linux, 103 on macOS)


def _peak_memory_mb() -> float | None:
    """Highest resident memory of any finished process below this one (the kernel), in MiB; None where unknown."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # kilobytes; on macOS bytes
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _kernel_config(runtime: str) -> Any:
    """Sockets in the private folder instead of TCP ports: nothing listens, and two kernels never meet on a port.

    Jupyter's TCP, with signed messages, where the folder's path is too long for a socket's address.
    """
    from traitlets.config import Config

    config = Config()
    if os.name == "posix" and len(os.fsencode(runtime)) + len("/kernel-5") <= ADDRESS:
        config.KernelManager.transport = "ipc"
        config.KernelManager.ip = os.path.join(runtime, "kernel")
    return config


def _literal(path: str) -> str:
    """A path for papermill, which fills braces in paths with parameters: braces as they are."""
    return path.replace("{", "{{").replace("}", "}}")


def execute(job: dict[str, Any]) -> dict[str, Any]:
    """Runs the notebook and writes NN.ipynb and NN.html. The result has status, error, details, seconds, memory."""
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from .page import to_html

    result: dict[str, Any] = {"status": "ok", "error": "", "details": ""}
    begun = time.monotonic()
    try:
        papermill.execute_notebook(
            _literal(job["input"]),
            _literal(job["part"]),
            parameters=job["parameters"],
            kernel_name="python3",
            language="python",
            cwd=job["cwd"],
            progress_bar=False,
            start_timeout=180,
            config=_kernel_config(job["runtime"]),
        )
    except PapermillExecutionError as error:
        refused = error.ename == "FedkitError"
        result["status"] = "refused" if refused else "failed"
        result["error"] = (
            str(error.evalue) if refused else f"cell [{error.exec_count}]: {error.ename}: {error.evalue}".strip()
        )
        result["details"] = "\n".join(error.traceback)
        result["interrupted"] = error.ename == "KeyboardInterrupt"
    except DeadKernelError as error:
        result["status"], result["details"] = "failed", str(error)
        result["error"] = "its kernel was killed; most often the machine ran out of memory: give fewer --jobs"
    except OSError as error:  # the executed notebook cannot be saved, most often on a full disk
        result |= {"status": "failed", "error": _unsaved(error), "details": traceback.format_exc(), "interrupted": True}
    result["seconds"] = round(time.monotonic() - begun, 2)
    result["peak_memory_mb"] = _peak_memory_mb()
    if not result.get("interrupted"):
        try:
            notebook = nbformat.read(job["part"], as_version=4)
            write_text(Path(job["html"]), to_html(notebook, job["title"]))
            os.replace(job["part"], job["output"])
        except (OSError, FedkitError) as error:
            result |= {"status": "failed", "error": _unsaved(error), "details": traceback.format_exc()}
    return result


def _unsaved(error: Exception) -> str:
    return f"it could not be saved ({error}); mend that, and the same command goes on from what is kept"


def main(argv: list[str]) -> int:
    """Reads the job, runs it, writes the result file; exit code 0 whenever there is a result."""
    job = read_json(Path(argv[0]), {})
    end_with_parent(job["parent"])
    write_json(Path(job["result"]), execute(job))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
