"""What evaluations keep on disk: answers by chunk, so that a stop loses one, and the hashes that name them."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..common.code import code_hash

if TYPE_CHECKING:
    from .judges.judge import Judge

Item = TypeVar("Item")

CHUNK = 64  # items between two writes
REPLIES = "judge.jsonl"  # of judges behind an API, under evaluations/


def hash_of(basis: Any) -> str:
    """Sixteen hexadecimal digits of plain data."""
    return hashlib.sha256(json.dumps(basis, sort_keys=True, ensure_ascii=True).encode()).hexdigest()[:16]


def read(path: Path) -> Any | None:
    """What was kept, or None; a file that is no JSON is made anew."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write(path: Path, found: Any) -> Any:
    """Keep plain data and give it as it will be read."""
    from ..common.files import write_text

    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, ensure_ascii=False)
    write_text(path, text)
    return json.loads(text)


def answers(
    path: Path, items: Sequence[Item], answer: Callable[[Sequence[Item]], Sequence[Any]], chunk: int = CHUNK
) -> list[Any]:
    """One answer an item, read from `path`, or made `chunk` items at a time and kept there.

    `path` must name all that the answers depend on. Each chunk is written when it is done, so a run that is killed
    and begun again asks for none of them twice.
    """
    known = read(path)
    if known is not None:
        return known
    folder = path.with_name(f"{path.stem}-by{chunk}")
    found: list[Any] = []
    for first in range(0, len(items), chunk):
        asked = items[first : first + chunk]
        part = folder / f"{first:06d}.json"
        own = read(part)
        if own is None:
            own = list(answer(asked))
            if len(items) > chunk:
                write(part, own)
        found += own
    found = write(path, found)
    shutil.rmtree(folder, ignore_errors=True)
    return found


def judge_identity(judge: Judge) -> list[Any]:
    """What a judge's ratings depend on: its name, its server, its model's sampling and prompts where it has them.

    A judge of one's own that is more than its class and name says so in an attribute `identity` (plain data).
    """
    spec, prompts = getattr(judge, "spec", None), getattr(judge, "prompts", None)
    found: list[Any] = [type(judge).__name__, judge.name, getattr(judge, "identity", "")]
    if spec is not None:
        found += [spec.model, spec.origin, dict(spec.sampling)]
    if prompts:
        found.append({name: asdict(prompt) for name, prompt in prompts.items()})
    return found


@functools.cache
def answer_code() -> str:
    """A hash of the source that a generated answer depends on."""
    return code_hash("fedkit.evaluation.ref")


@functools.cache
def evaluation_code() -> str:
    """A hash of the source that a benchmark's answers depend on, and of lm-eval's version."""
    return code_hash("fedkit.evaluation.benchmarks.suites", packages=("lm_eval",))


@functools.cache
def judge_code() -> str:
    """A hash of the source that makes ratings of answers and scores of ratings, and of sacrebleu's version."""
    return code_hash("fedkit.evaluation.judges", "fedkit.common.intervals", packages=("sacrebleu",))
