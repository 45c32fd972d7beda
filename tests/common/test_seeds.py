"""Draws depend on seed, round, client and purpose, on nothing else, and leave the global states alone."""

from __future__ import annotations

import hashlib
import itertools
import random

import numpy as np
import torch

from fedkit.common.seeds import derive, generator, torch_seed


def test_equal_arguments_give_the_published_number():
    """The first 8 bytes of BLAKE2b of the text, less the lowest bit: the same on every machine."""
    text = b"7|batches|3|ann"
    expected = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") // 2
    assert derive(7, "batches", round=3, client="ann") == expected < 2**63


def test_every_argument_counts():
    grid = list(itertools.product((0, 1, 2), ("clients", "batches", "train"), (0, 1, 10), ("", "a", "b", "1")))
    seeds = {derive(s, p, round=r, client=c) for s, p, r, c in grid}
    assert len(seeds) == len(grid) == 108
    draws = {generator(s, p, round=r, client=c).random() for s, p, r, c in grid}
    assert len(draws) == 108


def test_a_generator_repeats_and_is_its_own():
    a, b = generator(1, "x"), generator(1, "x")
    first = a.random(3)
    generator(1, "x", round=1).random(100)
    np.testing.assert_array_equal(first, b.random(3))
    assert a.random() == b.random()


def test_torch_seed_repeats_inside_and_restores_outside():
    torch_before, numpy_before, python_before = (
        torch.get_rng_state(),
        np.random.get_state()[1].copy(),
        random.getstate(),
    )
    with torch_seed(0, "train", round=1, client="a"):
        one = torch.rand(4)
    with torch_seed(0, "train", round=1, client="a"):
        two = torch.rand(4)
    with torch_seed(0, "train", round=2, client="a"):
        other = torch.rand(4)
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert (np.random.get_state()[1] == numpy_before).all() and random.getstate() == python_before


def test_torch_seed_restores_after_an_error():
    before = torch.get_rng_state()
    try:
        with torch_seed(0, "train"):
            torch.rand(1)
            raise RuntimeError
    except RuntimeError:
        pass
    assert torch.equal(torch.get_rng_state(), before)
