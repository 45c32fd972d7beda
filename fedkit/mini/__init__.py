"""The embedded world: raw records in the upstream schemas (`records`), and a tiny Llama that has read its plain text.

Both are written by this project and were generated from a seed by `tools/world`; nothing is downloaded.
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
            f"the embedded model lacks {', '.join(missing)} in {folder}; reinstall fedkit, or run"
            " `python -m tools.world model` in a checkout"
        )
    return folder
