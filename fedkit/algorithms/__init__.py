"""Federated algorithms, one file each: `base` is the contract, `registry` has all of them by name.

`aggregators` holds the streaming mean and the arithmetic of adapters, `adaptive` what adaptive servers share.
"""

from ..common.door import front_door

__getattr__, __dir__, __all__ = front_door(
    __name__,
    {
        "registry": ("ALGORITHMS", "make_algorithm"),
        "base": ("Aggregate", "Algorithm", "Broadcast", "Finished", "LocalRule"),
        "aggregators": ("RunningMean", "add", "norm", "subtract"),
    },
)
