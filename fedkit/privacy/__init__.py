"""Privacy for any algorithm: mechanisms that wrap it, and the accountant.

`base` is the contract of a mechanism, and a method: an algorithm under it. `user_level` is clipping and noise on the
sum with an accountant behind it (`accounting`: noise into epsilon and back, or a refusal); `published` the noise of
FedLLM-Bench's appendix D. `keys` is the randomness that it rests on, each run's own; `primitives` draws clients, clips
and noises; `registry` has the mechanisms by name.
"""

from ..common.door import front_door

__getattr__, __dir__, __all__ = front_door(
    __name__,
    {
        "accounting": ("Sampling", "epsilon", "noise_multiplier"),
        "base": ("Mechanism", "Method"),
        "keys": ("Key", "derived_key"),
        "primitives": ("adapted_bound", "clipped", "fixed_sample", "gaussian", "poisson_sample", "sample_clients"),
        "published": ("PublishedNoise", "claimed_epsilon", "paper_sigma"),
        "registry": ("MECHANISMS", "make_mechanism"),
        "user_level": ("UserLevelDP",),
    },
)
