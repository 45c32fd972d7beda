"""Where and with what a run was made: versions, device, commit, peak memory."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("fedkit", "torch", "transformers", "peft", "trl", "datasets", "bitsandbytes", "accelerate")


def versions() -> dict[str, str]:
    """Installed versions of the packages that a result depends on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return {"python": platform.python_version(), **found}


def commit() -> str:
    """The checkout's commit, with `+changes` where the tree differs from it; `unknown` outside a checkout."""
    root = Path(__file__).resolve().parents[1]
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        dirty = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip()[:12] + ("+changes" if dirty.stdout.strip() else "")


def peak_memory_mb() -> float:
    """Peak resident memory of this process in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


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
