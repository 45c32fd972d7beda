"""OpenFedLLM's training sets as federated datasets, and their held-out records.

`instructions` and `pairs` say how raw records become rows, `corpus` deals one set over clients, `domains` gives each
client a set of its own, `held_out` reads the test records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from ...sources import Located
from ..built import Built
from .domains import build_domains
from .held_out import fingpt_test, held_out, hh_test, tfns
from .instructions import INSTRUCTION_SETS
from .pairs import HH_RLHF, ULTRAFEEDBACK, build_hh_rlhf, build_ultrafeedback

BUILDERS: Mapping[str, Callable[..., Built]] = MappingProxyType(
    {**INSTRUCTION_SETS} | {"domains": build_domains, "ultrafeedback": build_ultrafeedback, "hh_rlhf": build_hh_rlhf}
)
TEST_SETS: Mapping[str, Callable[..., tuple[Located, list[dict[str, Any]]]]] = MappingProxyType(
    {name: partial(held_out, corpus) for name, corpus in {**INSTRUCTION_SETS, "ultrafeedback": ULTRAFEEDBACK}.items()}
    | {"fingpt": fingpt_test, "hh_rlhf": partial(hh_test, HH_RLHF), "tfns": tfns}
)
