"""Simple facts about the body as flashcards, in Medical Meadow's schema: input (question), output, instruction.

School knowledge, no advice. Each fact has four questions and two answers; one fact in six is held out for the test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache

from fedkit.common.seeds import generator

from .tasks import HELD_OUT_SHARE
from .users import pick

INSTRUCTION = "Answer this question truthfully"  # upstream's, the same on every card
# part of the body, what it does, where it is
_PARTS = (
    ("heart", "pumps blood through the body", "chest"),
    ("lungs", "take oxygen out of the air", "chest"),
    ("stomach", "breaks food down with acid", "belly"),
    ("liver", "makes bile and stores sugar", "belly"),
    ("kidneys", "filter the blood and make urine", "lower back"),
    ("brain", "controls the body and thinks", "head"),
    ("eyes", "turn light into signals", "head"),
    ("ears", "turn sound into signals", "head"),
    ("nose", "smells and warms the air", "head"),
    ("tongue", "tastes and moves food", "mouth"),
    ("teeth", "chew food into small pieces", "mouth"),
    ("skin", "protects the body from outside", "whole body"),
    ("bones", "hold the body up", "whole body"),
    ("muscles", "move the bones", "whole body"),
    ("nerves", "carry signals to and from the brain", "whole body"),
    ("veins", "carry blood back to the heart", "whole body"),
    ("arteries", "carry blood away from the heart", "whole body"),
    ("pancreas", "makes insulin", "belly"),
    ("bladder", "stores urine", "pelvis"),
    ("small intestine", "takes nutrients out of food", "belly"),
    ("large intestine", "takes water out of what is left of food", "belly"),
    ("spleen", "cleans the blood of old cells", "belly"),
    ("gallbladder", "stores bile", "belly"),
    ("thyroid", "makes hormones that set the pace of the body", "neck"),
    ("windpipe", "carries air to the lungs", "neck"),
    ("gullet", "carries food to the stomach", "neck and chest"),
    ("diaphragm", "moves so that we breathe", "chest"),
    ("spinal cord", "joins the brain with the nerves", "back"),
    ("ribs", "protect the heart and the lungs", "chest"),
    ("skull", "protects the brain", "head"),
    ("bone marrow", "makes blood cells", "bones"),
    ("red blood cells", "carry oxygen", "blood"),
    ("white blood cells", "fight germs", "blood"),
    ("platelets", "help the blood to clot", "blood"),
    ("tendons", "tie muscles to bones", "joints"),
    ("ligaments", "tie bones to bones", "joints"),
)
# {p} the part, {d} what it does, {l} where; {s} is "do" or "does", {b} "is" or "are"
_CARDS = (
    ("What {s} the {p} do in the human body?", "The {p} {d}."),
    ("What is the function of the {p}?", "The {p} {d}."),
    ("Which part of the body {d}?", "The {p} {d}."),
    ("Where in the body {b} the {p}?", "The place of the {p} is the {l}."),
)


@cache
def held_out_parts() -> frozenset[str]:
    """Parts of the body that no training card is about: the first 17 % in the order of a hash of their names."""
    names = sorted((p for p, _, _ in _PARTS), key=lambda p: hashlib.sha256(f"medical/{p}".encode()).digest())
    return frozenset(names[: round(HELD_OUT_SHARE * len(names))])


def medical_records(n: int = 1000, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` cards for training."""
    return _cards(n, seed, test=False)


def medical_test(n: int = 50, seed: int = 0) -> Iterator[dict[str, str]]:
    """`n` cards about parts of the body that no card of `medical_records` is about."""
    return _cards(n, seed, test=True)


def _cards(n: int, seed: int, *, test: bool) -> Iterator[dict[str, str]]:
    rng = generator(seed, f"mini/medical/{'test' if test else 'train'}")
    parts = [part for part in _PARTS if (part[0] in held_out_parts()) == test]
    for _ in range(n):
        name, does, place = pick(parts, rng)
        many = not does.split()[0].endswith("s")
        asked, answer = pick(_CARDS, rng)
        filled = {"p": name, "d": does, "l": place, "s": "do" if many else "does", "b": "are" if many else "is"}
        if "{d}" in asked and many:
            asked = "Which parts of the body {d}?"
        yield {"input": asked.format_map(filled), "output": answer.format_map(filled), "instruction": INSTRUCTION}
