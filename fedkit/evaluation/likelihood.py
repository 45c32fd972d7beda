"""The likelihood of texts: of many continuations, each different one once, batched by length, kept on disk.

Whatever needs it asks here: the loss of known answers (`completion_loss`), implicit rewards (`pairs`), the exposure of
a secret (`attacks`), instruction-following difficulty (`fedkit.analysis.quality`).

A continuation is a row of token ids and the place where it starts; what stands before is context. Rows that begin
alike, as a template makes them, share a batch, and their common beginning is read once. Rows are worked off in chunks,
each written when it is done, so a stop loses one chunk at most. Chunks and batches depend on the set of rows alone: a
resumed run gives the very numbers of an unbroken one.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.errors import FedkitError
from ..common.files import visible

if TYPE_CHECKING:
    from ..training.models import Loaded

Row = tuple[Sequence[int], int]  # token ids, and the index of the first one that is scored (at least 1)

_ALIKE = 8  # first tokens in which rows must agree to be put together; a shorter beginning is not worth sharing
CHUNK_TOKENS = 200_000  # tokens between two writes: some seconds of the embedded model, a minute of a 7B one


def continuation_nll(
    loaded: Loaded,
    rows: Sequence[Row],
    *,
    cache: str | Path | None = None,
    batch_tokens: int = 2048,
    chunk_tokens: int = CHUNK_TOKENS,
    progress: bool = False,
) -> np.ndarray:
    """Summed negative log-likelihood (nats) of `ids[start:]` given `ids[:start]`, float64 (rows,).

    The model is taken with the adapter that it carries. `batch_tokens` bounds a batch, padding included; it changes
    values only in the last digits (2,048 was fastest on a CPU; more fills a GPU). With `cache` (a folder) values are
    kept by model, adapter and row, and read again by any later call. `FedkitError` for a row with no context or
    nothing to score, or a cache that cannot be read.
    """
    from ..training.model_checks import check_length

    for at, (ids, start) in enumerate(rows):
        if not 1 <= start < len(ids):
            raise FedkitError(
                f"row {at}: {len(ids)} tokens scored from {start}; leave a token before and one token to score"
            )
    check_length(loaded.model, max((len(ids) for ids, _ in rows), default=0), "the longest text")
    keys = [_key(ids, start) for ids, start in rows]
    different = dict(zip(keys, rows, strict=True))
    order = sorted(different, key=lambda key: (_beginning(different[key]), -len(different[key][0]), key))
    store = _Store(Path(cache), scorer_id(loaded)) if cache is not None else None
    known = store.read() if store else {}
    with _scoring(loaded.model), _bar(progress, order, different, known) as bar:
        for chunk in _chunks(order, different, chunk_tokens):
            new: dict[bytes, float] = {}
            for batch in _batches(chunk, different, batch_tokens):
                missing = [key for key in batch if key not in known]
                if missing:
                    values = _batch(loaded, [different[key] for key in missing])
                    new |= dict(zip(missing, values.tolist(), strict=True))
                    bar.update(sum(len(different[key][0]) for key in missing))
            if new and store:
                store.write(new)
            known |= new
    return np.array([known[key] for key in keys], dtype=np.float64)


def completion_loss(
    loaded: Loaded, records: Sequence[Mapping[str, Any]], *, max_length: int, template: str | None = None
) -> dict[str, float]:
    """Mean negative log-likelihood (nats) of an answer token, end token included, over all answers of `records`.

    `loss` and `tokens` (answer tokens counted), `records` (used) and `skipped` (their prompt fills `max_length`). Each
    token weighs the same. `template`: None is that of a session's handle. `FedkitError` where no answer is left.
    """
    from ..training.encoding import encode
    from ..training.prompts import get_template

    form = get_template(template or loaded.template)  # type: ignore[attr-defined]
    encoded = encode(loaded.tokenizer, form, records, max_length)
    starts = encoded.prompt_lengths.tolist()
    rows = [(encoded[i]["input_ids"], start) for i, start in enumerate(starts)]
    tokens = sum(len(ids) - start for ids, start in rows)
    loss = float(continuation_nll(loaded, rows).sum()) / tokens
    return {"loss": loss, "tokens": tokens, "records": len(encoded), "skipped": encoded.skipped}


def scorer_id(loaded: Loaded) -> str:
    """A name for what gives the numbers: base model, precision, and adapter where it changes anything."""
    from ..training.models import base_fingerprint, trainable

    spec = loaded.spec
    digest = hashlib.sha256(f"{base_fingerprint(spec.name)} {spec.dtype} {spec.quantization}".encode())
    adapter = trainable(loaded.model)
    if any(bool(p.any()) for name, p in adapter.items() if "lora_A" not in name):  # else A is multiplied by nothing
        digest.update(f"{spec.lora.alpha} {spec.lora.r}".encode())
        for name, p in adapter.items():
            digest.update(name.encode())
            digest.update(p.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _key(ids: Sequence[int], start: int) -> bytes:
    return hashlib.blake2b(np.array([start, *ids], dtype="<i4").tobytes(), digest_size=16).digest()


def _beginning(row: Row) -> tuple[int, ...]:
    ids, start = row
    return tuple(ids[:_ALIKE]) if start > _ALIKE else ()


def _chunks(keys: Sequence[bytes], rows: dict[bytes, Row], most: int) -> Iterator[Sequence[bytes]]:
    """Cut keys into runs of at most `most` tokens, one row at least."""
    first, total = 0, 0
    for at, key in enumerate(keys):
        if at > first and total + len(rows[key][0]) > most:
            yield keys[first:at]
            first, total = at, 0
        total += len(rows[key][0])
    if keys:
        yield keys[first:]


def _batches(keys: Sequence[bytes], rows: dict[bytes, Row], most: int) -> Iterator[Sequence[bytes]]:
    """Cut keys into rows that begin alike, then into at most `most` tokens with padding, one row at least."""
    for _, group in itertools.groupby(keys, key=lambda key: _beginning(rows[key])):
        alike = list(group)  # longest first
        while alike:
            size = max(1, most // len(rows[alike[0]][0]))
            yield alike[:size]
            del alike[:size]


def _shared(rows: Sequence[Row]) -> int:
    """How many first tokens all rows have in common; the token before a continuation stays with its row."""
    first, last = min(ids for ids, _ in rows), max(ids for ids, _ in rows)  # the two that differ first
    most = min(start for _, start in rows) - 1
    alike = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), most)
    shared = min(alike, most)
    return shared if len(rows) > 1 and shared >= _ALIKE else 0


def _batch(loaded: Loaded, rows: Sequence[Row]) -> np.ndarray:
    """The values of one batch, padded at the right: float64 (B,)."""
    import torch

    from ..training.encoding import IGNORED
    from ..training.losses import logits_at

    width, shared = max(len(ids) for ids, _ in rows), _shared(rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)  # (B, T); what stands in the padding is never seen
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for i, (tokens, start) in enumerate(rows):
        n = len(tokens)
        ids[i, :n], mask[i, :n] = torch.tensor(tokens), 1
        labels[i, start:n] = ids[i, start:n]
    targets = labels[:, shared + 1 :]
    keep = targets != IGNORED  # (B, T - shared - 1): positions whose next token is scored
    ids, mask, keep, targets = (x.to(loaded.device) for x in (ids, mask, keep, targets))
    past = None
    if shared:
        past = loaded.model(input_ids=ids[:1, :shared], use_cache=True, logits_to_keep=1).past_key_values
        past.reorder_cache(torch.zeros(len(rows), dtype=torch.long))  # one row, repeated; all kinds of layers have it
    inputs = {"input_ids": ids[:, shared:], "attention_mask": mask, "past_key_values": past, "use_cache": bool(shared)}
    logits = logits_at(loaded.model, keep, **inputs)
    loss = torch.nn.functional.cross_entropy(logits, targets[keep], reduction="none")
    sums = torch.zeros(len(rows), dtype=torch.float64)
    return sums.index_add_(0, keep.nonzero()[:, 0].cpu(), loss.double().cpu()).numpy()


@contextlib.contextmanager
def _scoring(model: Any) -> Iterator[None]:
    import torch

    from .generation import answering, merged_adapters

    with answering(model), merged_adapters(model), torch.inference_mode():
        yield


def _bar(progress: bool, order: Sequence[bytes], rows: dict[bytes, Row], known: dict[bytes, float]) -> Any:
    from ..common.console import progress as new_bar

    left = sum(len(rows[key][0]) for key in order if key not in known)
    return new_bar(total=left, unit="token", unit_scale=True, desc="log-likelihoods", disable=not progress or not left)


class _Store:
    """Values by key, a file a chunk, in a folder of one scorer's; processes may write to it together."""

    def __init__(self, folder: Path, scorer: str) -> None:
        self.folder = folder / scorer

    def read(self) -> dict[bytes, float]:
        """All that is there."""
        known: dict[bytes, float] = {}
        for path in visible(self.folder, "*.npz"):
            try:
                with np.load(path, allow_pickle=False) as file:
                    keys, values = file["keys"], file["nll"]
                if keys.shape != (len(values), 16) or keys.dtype != np.uint8 or values.dtype != np.float64:
                    raise ValueError("its arrays do not fit")
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
                raise FedkitError(f"{path}: no readable scores ({error}); delete it, it is computed again") from error
            known |= dict(zip(map(bytes, keys), values.tolist(), strict=True))
        return known

    def write(self, values: dict[bytes, float]) -> None:
        """One chunk, whole or not at all, under a name of its own content."""
        from ..common.files import new_file

        name = hashlib.blake2b(b"".join(sorted(values)), digest_size=8).hexdigest()
        keys = np.frombuffer(b"".join(values), dtype=np.uint8).reshape(-1, 16)
        with new_file(self.folder / f"{name}.npz") as part, open(part, "wb") as file:
            np.savez(file, keys=keys, nll=np.array(list(values.values()), dtype=np.float64))
