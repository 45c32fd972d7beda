"""Running generated code: shut in, limited, and with no way to pass a test but to solve its task."""

from __future__ import annotations

from .backends import BACKENDS, which_sandbox
from .limits import Limits, Outcome
from .run import require_sandbox, run_python

__all__ = ["BACKENDS", "Limits", "Outcome", "require_sandbox", "run_python", "which_sandbox"]
