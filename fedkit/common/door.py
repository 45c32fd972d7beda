"""The front door of a package: its public names, each imported when it is first used, so that it opens at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def front_door(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package, from its modules and the names that each gives.

    A module of the package that is named with no names is itself a public name. For users and notebooks; code of the
    package imports from the modules, so that `fedkit.common.code` can follow it.
    """
    places = {name: module for module, names in homes.items() for name in names}
    modules = {module.rpartition(".")[2]: module for module, names in homes.items() if not names}
    public = sorted({*places, *modules})

    def get(name: str) -> Any:
        if name in places:
            return getattr(import_module(f"{package}.{places[name]}"), name)
        if name in modules:
            return import_module(f"{package}.{modules[name]}")
        raise AttributeError(f"{package} has no public name {name!r}; it has {', '.join(public)}")

    return get, lambda: public, public
