"""The embedded world: records in the upstream schemas, plain text, and a tiny Llama that has read that text.

Everything here is written by this project and made from a seed; nothing is downloaded. `world` makes the records,
`plain` the plain text, `build` the tokenizer and the model, which lie in `model/`.
"""

from __future__ import annotations

from pathlib import Path

from ..common.errors import FedkitError


def model_path() -> Path:
    """The folder of the embedded tiny Llama, as `AutoModelForCausalLM.from_pretrained` reads it.

    `FedkitError` where the folder is incomplete (an installation without package data).
    """
    folder = Path(__file__).parent / "model"
    missing = [name for name in ("config.json", "model.safetensors", "tokenizer.json") if not (folder / name).is_file()]
    if missing:
        raise FedkitError(
            f"the embedded model lacks {', '.join(missing)} in {folder}; reinstall fedkit or run"
            " `python -m fedkit.mini.build`"
        )
    return folder
