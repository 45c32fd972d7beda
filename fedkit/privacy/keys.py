"""The randomness that privacy rests on: a key of 256 bits for one run, and streams of bits from it.

No two runs may share a noise. Two runs of one seed with noise multipliers 1 and 8 once added 1 n and 8 n to the same
sum of updates, so that 8 times the first less the second gave 7 times the bare sum. So a key belongs to one run:

- `derived_key`: a hash of the seed and the whole configuration (the records' fingerprint included), so that a run is
  repeated to the bit, and runs that differ in anything have nothing in common. It protects from whoever does not know
  the seed. The configuration is no secret, and a small seed is found by trial: the first adapter is drawn from it, and
  so is the name of the run's folder. Train a configuration once for publication: where its updates differ in a last
  digit (another GPU, another torch), the difference of two trainings is free of noise.
- `kept_key`: the operating system's randomness, in a file of the run's folder that only its owner reads, until the run
  ends. A stopped run goes on with it; afterwards nobody can draw the noise again, whatever else is known.

A stream is SHAKE-256 (FIPS 202) of the key and a JSON list of purpose, round, client and tensor. Streams of one key or
of two tell nothing about one another as far as is known of SHAKE-256, where a generator made for simulations is told
from chance (torch's on a CPU has 2^32 streams in all, whatever the seed).
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..common.errors import FedkitError
from ..common.files import PRIVATE, new_file

SIZE = 32  # bytes of a key
KEY_FILE = "privacy.key"
SECRET_BITS = 80  # a seed of fewer can be found by trial
BY_SEED = (
    "a key of the seed and the whole configuration: it holds against who does not know the seed, which config.json and"
    " the manifest state, and as long as no second training of this configuration is published"
)
BY_SMALL_SEED = (
    f"a key of the seed and the whole configuration, and a seed below 2^{SECRET_BITS} is found by trial: the epsilon is"
    " what the same run would spend under a secret seed (secrets.randbits(128)) or with randomness='system'"
)
BY_SYSTEM = "the operating system's randomness, which nobody can draw again: the key was deleted when the run ended"


@dataclass(frozen=True)
class Key:
    """The secret bits of one run, and what a promise that is made by them rests on, in words."""

    material: bytes = field(repr=False)
    rests_on: str = ""

    def words(self, n: int, purpose: str, *, round: int = 0, client: str = "", tensor: str = "") -> np.ndarray:
        """`n` uniform words of 64 bits, uint64 (n,); other words for every other purpose, round, client or tensor.

        `FedkitError` where there is no key.
        """
        if len(self.material) != SIZE:
            raise FedkitError(
                "a privacy mechanism draws from the key of its run, and none was given; hand in a key, such as"
                " fedkit.privacy.derived_key(config)"
            )
        place = json.dumps([purpose, round, client, tensor]).encode()
        drawn = hashlib.shake_256(self.material + place).digest(8 * n)
        return np.frombuffer(drawn, dtype="<u8")


NO_KEY = Key(b"")


def derived_key(config: Mapping[str, Any]) -> Key:
    """The key of a configuration as plain data, its `seed` among it; another for a change of anything in it."""
    text = json.dumps(["fedkit privacy key", dict(config)], sort_keys=True)
    seed = config.get("seed")
    strong = isinstance(seed, int) and seed >= 2**SECRET_BITS
    return Key(hashlib.sha256(text.encode()).digest(), BY_SEED if strong else BY_SMALL_SEED)


def kept_key(folder: Path, *, begun: bool) -> Key:
    """The system's key of the run in `folder`: the one that it keeps, or a new one, written for its owner alone.

    `begun`: whether the run has a checkpoint, which is of use only with the very key that it was made with:
    `FedkitError` where that is gone.
    """
    path = folder / KEY_FILE
    try:
        material = path.read_bytes() if path.exists() else b""
        if len(material) != SIZE and not begun:
            material = secrets.token_bytes(SIZE)
            with new_file(path, PRIVATE) as part:
                part.write_bytes(material)
    except OSError as error:
        raise FedkitError(f"{path}: the run's key cannot be read ({error.strerror}); mend its rights") from error
    if len(material) != SIZE:
        raise FedkitError(
            f"{path}: the run's key is {'damaged' if path.exists() else 'missing'}, and without it the run cannot go on"
            f" with the draws and the noise that it began with; delete {folder} and train it again"
        )
    return Key(material, BY_SYSTEM)


def forget_key(folder: Path) -> None:
    """Delete the key of a run that has ended."""
    path = folder / KEY_FILE
    if path.exists():  # not `missing_ok`: a finished run may lie where nothing can be written
        path.unlink(missing_ok=True)
