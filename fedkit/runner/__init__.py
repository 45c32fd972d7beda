"""The headless runner behind `reproduce.py`: plans, runs notebooks in child processes, collects. It never trains.

Reads like its data: options -> notebooks -> parameters -> plan -> execute (process, child, page) ->
records; `display` has all that is printed, `cli` the way through.
Nothing here imports torch; papermill is imported only when something is run or a parameter is given.
"""

from __future__ import annotations

from ..common.door import front_door

__getattr__, __dir__, __all__ = front_door(__name__, {"cli": ("main",), "notebooks": ("notebook_map",)})
