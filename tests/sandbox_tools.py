"""What a test does where no sandbox works: it is skipped, or fails where FEDKIT_NEED_SANDBOX=1 promises one."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from fedkit.evaluation.sandbox import which_sandbox

NEEDED = "FEDKIT_NEED_SANDBOX"


def without_sandbox(why: str) -> NoReturn:
    """Skip with a reason; where a sandbox is promised and none at all works, fail with it."""
    if os.environ.get(NEEDED) == "1" and which_sandbox() is None:
        pytest.fail(f"{NEEDED} is 1 and no sandbox works here: {why}", pytrace=False)
    pytest.skip(why)
