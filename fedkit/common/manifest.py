"""Where and with what a run was made: versions, device, commit, peak memory."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "fedkit",
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "bitsandbytes",
    "numpy",
    "pyarrow",
    "sacrebleu",
    "papermill",
)


def versions() -> dict[str, str]:
    """Installed versions of the packages that a result depends on."""
    installed = {}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = "not installed"
    return {"python": platform.python_version(), **installed}


def output(*command: str, cwd: Path | None = None) -> str | None:
    """What a command prints, or None where it fails or is not there."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def commit(root: Path | None = None) -> str | None:
    """The commit of a checkout (fedkit's own), with -dirty where tracked files differ; None outside version control."""
    root = root or Path(__file__).resolve().parents[1]
    return output("git", "describe", "--always", "--abbrev=40", "--dirty", "--match=", cwd=root)


def peak_memory_mb() -> float:
    """Peak resident memory of this process in MB (10^6 bytes)."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux's ru_maxrss also holds the peak of the process that forked this one
        peak = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM:")), None)
        if peak:
            return int(peak.split()[1]) * 1024 / 1e6
    peak_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak_rss / 1e6 if sys.platform == "darwin" else peak_rss * 1024 / 1e6


def environment(device: Any) -> dict[str, Any]:
    """The part of a manifest that says where a run was made."""
    import torch

    on_gpu = device.type == "cuda"
    return {
        "commit": commit(),
        "versions": versions(),
        "device": torch.cuda.get_device_name(device) if on_gpu else f"cpu ({platform.machine()})",
        "threads": torch.get_num_threads(),
        "gpu_peak_memory_mb": torch.cuda.max_memory_allocated(device) / 1e6 if on_gpu else None,
    }
