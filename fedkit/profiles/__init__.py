"""Every number of a run, in one place, as frozen data: smoke, mini, course, paper.

A profile is data: no notebook and no function branches on its name. `specs` has the shapes, `datasets` the models,
trainings and datasets of the two papers in each profile, `registry` the profiles by name.
"""

from __future__ import annotations

from ..common.door import front_door

__getattr__, __dir__, __all__ = front_door(
    __name__, {"registry": ("PROFILES", "get_profile"), "specs": ("DatasetSpec", "Profile")}
)
