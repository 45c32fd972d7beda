"""Randomness from (seed, round, client, purpose), never from a global state.

Every draw of a run has its own generator, so that another seed really changes the clients and batches drawn, and a
resumed run draws what an unbroken one would have drawn. These generators are made for simulations; what privacy rests
on comes from a key of the run (`fedkit.privacy.keys`).
"""

from __future__ import annotations

import contextlib
import hashlib
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from .errors import FedkitError


def checked_seeds(seeds: Any, name: str = "seeds") -> tuple[int, ...]:
    """Seeds as given, if they are different whole numbers from 0 up; else a `FedkitError` that calls them `name`."""
    try:
        if isinstance(seeds, str | bytes):
            raise TypeError
        numbers = tuple(_whole(seed) for seed in seeds)
    except TypeError:
        numbers = ()
    if not numbers or min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise FedkitError(f"{name} {seeds!r}: give different whole numbers from 0 up, such as 0 1 2")
    return numbers


def _whole(seed: Any) -> int:
    if isinstance(seed, bool | np.bool_):
        raise TypeError
    return operator.index(seed)


def derive(seed: int, purpose: str, *, round: int = 0, client: str = "") -> int:
    """A 63-bit seed for one draw; equal arguments give equal seeds on every machine and version."""
    text = f"{seed}|{purpose}|{round}|{client}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def generator(seed: int, purpose: str, *, round: int = 0, client: str = "") -> np.random.Generator:
    """A NumPy generator for one draw."""
    return np.random.default_rng(derive(seed, purpose, round=round, client=client))


@contextlib.contextmanager
def torch_seed(seed: int, purpose: str, *, round: int = 0, client: str = "") -> Iterator[None]:
    """Seed torch inside the block (dropout, LoRA initialisation) and put its state back afterwards."""
    import torch

    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive(seed, purpose, round=round, client=client))
        yield
