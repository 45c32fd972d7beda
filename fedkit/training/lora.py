"""peft, imported without bitsandbytes until a quantized base asks for it.

Wherever bitsandbytes is installed peft imports it, and with it torch's compiler: 570 modules and a sixth of what it
takes to come to the first training step on a CPU, where neither is used. Python lets a module be absent for a while
(`sys.modules[name] = None`), and peft asks once and remembers. So import this module before anything that imports peft
(transformers' trainer does, and TRL's).
"""

from __future__ import annotations

import sys

from ..common.console import quiet

_NAME = "bitsandbytes"
_ABSENT = "peft" not in sys.modules and _NAME not in sys.modules
if _ABSENT:
    sys.modules[_NAME] = None  # type: ignore[assignment]
try:
    with quiet():  # bitsandbytes warns of kernels that a CPU has no use for
        import peft.helpers
        from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
        from peft.import_utils import is_bnb_4bit_available, is_bnb_available

        is_bnb_available(), is_bnb_4bit_available()
finally:
    if _ABSENT:
        del sys.modules[_NAME]

__all__ = ["LoraConfig", "get_peft_model", "prepare_model_for_kbit_training", "with_bitsandbytes"]


def with_bitsandbytes() -> None:
    """From now on peft sees bitsandbytes, if it is installed; to be called before a quantized base is loaded."""
    for asked in (is_bnb_available, is_bnb_4bit_available):
        asked.cache_clear()
    if is_bnb_available():
        with quiet():
            import bitsandbytes

        peft.helpers.bnb = bitsandbytes
