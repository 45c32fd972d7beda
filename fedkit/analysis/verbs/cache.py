"""Pairs kept on disk by extractor and text, so that parsing a long dataset can stop and go on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from ...common.files import new_file
from .pair import Pair


def text_key(text: str) -> str:
    """The name under which a text's pair is kept."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class PairCache:
    """One folder an extractor, one small file a block of texts, each written whole or not at all.

    A file that cannot be read is written anew when its texts come up again.
    """

    def __init__(self, folder: str | Path, extractor: str) -> None:
        self.folder = Path(folder) / "".join(c if c.isalnum() or c in "-_." else "_" for c in extractor)
        self._pairs: dict[str, Pair] = {}
        for path in sorted(self.folder.glob("*.json")):
            try:
                kept = json.loads(path.read_text(encoding="utf-8"))
                self._pairs.update({key: Pair(*pair) for key, pair in kept.items()})
            except (OSError, ValueError, TypeError, AttributeError):
                continue

    def __len__(self) -> int:
        return len(self._pairs)

    def get(self, text: str) -> Pair | None:
        """The pair of a text, None where it was not extracted yet."""
        return self._pairs.get(text_key(text))

    def put(self, texts: Sequence[str], pairs: Sequence[Pair]) -> None:
        """Keep the pairs of a block of texts."""
        block = {text_key(text): pair for text, pair in zip(texts, pairs, strict=True)}
        with new_file(self.folder / f"{min(block)}-{len(block)}.json") as made:
            made.write_text(json.dumps(block), encoding="utf-8")
        self._pairs.update(block)
