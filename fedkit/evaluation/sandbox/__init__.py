"""Running generated code: shut in, limited, and with no way to pass a test but to solve its task.

`run` starts two sandboxes and says what came of them; `backends` are the ways to shut a process in; `guest` is what
runs inside (with `guest_values` and `guest_lock`).
"""

from __future__ import annotations

from ...common.door import front_door

__getattr__, __dir__, __all__ = front_door(
    __name__,
    {"run": ("Limits", "Outcome", "require_sandbox", "run_python"), "backends": ("BACKENDS", "which_sandbox")},
)
