"""benepar 0.2 on today's transformers, and without pickles: what its loader needs to read a checkpoint.

benepar was written for transformers 4. Three things stand between it and version 5:

1. it asks the tokenizer for `build_inputs_with_special_tokens`, which the common base class no longer has;
2. released state dicts hold entries that today's models do not (`position_ids`; T5's
   `EncDecAttention.relative_attention_bias`), and it loads them strictly;
3. it calls `torch.load` with torch's default. Here `weights_only=True` is asked for by name, so that a checkpoint is
   read as tensors and plain values; one that holds any other object is refused, never unpickled.

A checkpoint is a folder (the released form: config.json with a `benepar` entry, tokenizer files, benepar_model.bin) or
one file (`{"config", "state_dict"}`, as benepar's training writes it).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from ...common.errors import FedkitError

WEIGHTS = "benepar_model.bin"
# Buffers and weights of older transformers that newer models compute or do without.
_GONE = re.compile(r"(^|\.)position_ids$|\.EncDecAttention\.relative_attention_bias\.weight$")


@contextlib.contextmanager
def benepar_shims() -> Iterator[None]:
    """Inside the block benepar's own `Parser` and spaCy component load through `load_chart_parser`."""
    from benepar.parse_chart import ChartParser

    with mock.patch.object(ChartParser, "from_trained", staticmethod(load_chart_parser)), tokenizer_shim():
        yield


def tokenizer_shim() -> contextlib.AbstractContextManager[Any]:
    """Inside the block every tokenizer has `build_inputs_with_special_tokens`; its own, if it has one."""
    from transformers import PreTrainedTokenizerBase

    name = "build_inputs_with_special_tokens"
    own = getattr(PreTrainedTokenizerBase, name, with_special_tokens)
    return mock.patch.object(PreTrainedTokenizerBase, name, own, create=True)


def with_special_tokens(tokenizer: Any, token_ids_0: list[int], token_ids_1: list[int] | None = None) -> list[int]:
    """One sequence of ids with the tokenizer's special tokens around it.

    Where they go is read off an encoded text: the ids before and after those of the same text encoded bare.
    """
    if token_ids_1 is not None:
        raise FedkitError("benepar's tokenizer was given a pair of sequences; it parses one sentence at a time")
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a", add_special_tokens=True)["input_ids"]
    for start in range(len(full) - len(bare) + 1):
        if bare and full[start : start + len(bare)] == bare:
            return [*full[:start], *token_ids_0, *full[start + len(bare) :]]
    raise FedkitError(
        f"{type(tokenizer).__name__} changes a word when it adds special tokens; benepar cannot use this tokenizer"
    )


def load_chart_parser(path: str | Path) -> Any:
    """A benepar `ChartParser` from a checkpoint on disk, in evaluation mode; nothing is fetched.

    `FedkitError` where there is no checkpoint, where it holds more than tensors and plain values, where its weights do
    not fit, and where a single file names a pretrained model that is no local folder (benepar would fetch it).
    """
    from benepar import nkutil
    from benepar.parse_chart import ChartParser

    source = Path(path)
    if source.is_dir():
        config, state = _released(source)
    else:
        config, state = _single(source)
    try:
        hparams = {"force_root_constituent": True, **config["hparams"]}
        with tokenizer_shim():
            parser = ChartParser(**{**config, "hparams": nkutil.HParams(**hparams)})
    except (AttributeError, AssertionError, KeyError, TypeError, ValueError, OSError) as error:
        what = str(error).split("\n")[0] or type(error).__name__
        raise FedkitError(f"{source}: not a benepar checkpoint that can be built ({what}); get it anew") from error
    kept = {name: tensor for name, tensor in state.items() if not _GONE.search(name)}
    missing, surplus = _load(parser, kept, source)
    if missing or surplus:
        name = (missing + surplus)[0]
        side = "lacks" if missing else "holds a surplus"
        raise FedkitError(f"{source}: the checkpoint {side} weight {name!r}; it belongs to another model")
    return parser.eval()


def _load(parser: Any, state: dict[str, Any], source: Path) -> tuple[list[str], list[str]]:
    try:
        result = parser.load_state_dict(state, strict=False)
    except RuntimeError as error:  # a shape that differs
        raise FedkitError(f"{source}: {str(error).splitlines()[-1].strip()}; it belongs to another model") from error
    # A weight that is shared under two names is stored once.
    own = dict(parser.named_parameters(remove_duplicate=False)) | dict(parser.named_buffers(remove_duplicate=False))
    loaded = {own[name].data_ptr() for name in state if name in own}
    missing = [name for name in result.missing_keys if own[name].data_ptr() not in loaded]
    return missing, list(result.unexpected_keys)


def _read(path: Path) -> Any:
    import pickle

    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise FedkitError(
            f"{path}: holds objects other than tensors and plain values, which fedkit does not unpickle; "
            "get the checkpoint from its publisher"
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise FedkitError(f"{path}: cannot be read as a torch file ({str(error).splitlines()[0]})") from error


def _released(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from transformers import AutoConfig

    try:
        config = dict(AutoConfig.from_pretrained(folder, local_files_only=True).benepar)
    except (AttributeError, OSError, ValueError) as error:
        raise FedkitError(
            f"{folder}/config.json: no model configuration with a field 'benepar'; name the folder of a benepar model"
        ) from error
    return {**config, "pretrained_model_path": str(folder)}, _read(folder / WEIGHTS)


def _single(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    data = _read(path)
    try:
        config, state = dict(data["config"]), dict(data["state_dict"])
        base = config["hparams"]["pretrained_model"] if config["hparams"]["use_pretrained"] else None
    except (KeyError, TypeError, ValueError) as error:
        raise FedkitError(f"{path}: no 'config' and 'state_dict' of a benepar parser ({error!r})") from error
    if base is not None and not Path(str(base)).is_dir():
        raise FedkitError(
            f"{path}: builds on the pretrained model {base!r}, which is no local folder and is not fetched; "
            "use the released folder of the parser, which needs no other file"
        )
    return config, state
