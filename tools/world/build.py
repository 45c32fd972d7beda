"""Build the embedded tokenizer and tiny Llama: `python -m tools.world model [--out DIR] [--check]`.

`--check` builds into a temporary folder and demands that the held-out loss is within 2 % of the shipped model's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedkit import mini
from fedkit.common.errors import FedkitError

FOLDER = Path(mini.__file__).parent / "model"
TOLERANCE = 0.02  # of the held-out loss, between two builds on different machines
_MINUTES = "about 18 minutes of one core"


def build(out: Path, *, steps: int | None = None, spec: Any = None, progress: bool = False) -> dict[str, Any]:
    """Train tokenizer and model and write them to `out`; the facts of the build, as in its `build.json`.

    Written: config.json, generation_config.json, model.safetensors (fp16), tokenizer files, build.json, MODEL_CARD.md.
    The folder appears whole or not at all: it is filled under another name first. `steps` and `spec` shrink the build
    for tests. `FedkitError` where `out` cannot be written.
    """
    import torch

    from . import pretrain
    from .card import model_card

    spec = spec or pretrain.BuildSpec()
    if steps is not None:
        spec = replace(spec, steps=steps)
    partial = _partial_folder(out)
    try:
        started = time.process_time()
        tokenizer = pretrain.train_tokenizer(spec)
        model = pretrain.new_model(tokenizer, spec)
        data = pretrain.windows(tokenizer, spec, spec.steps * spec.batch, spec.seed)
        losses = pretrain.pretrain(model, data, spec, progress=progress)
        model.half().save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        info = {
            "spec": pretrain.as_dict(spec),
            "parameters": sum(p.numel() for p in model.parameters()),
            "tokens_read": spec.steps * spec.batch * spec.window,
            "training_loss": round(sum(losses[-50:]) / len(losses[-50:]), 4),
            # of the fp16 weights as shipped, computed in float32
            "held_out_loss": round(pretrain.held_out_loss(model.float(), tokenizer, spec), 4),
            "cpu_minutes": round((time.process_time() - started) / 60, 1),  # over all threads
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
        for file in partial.iterdir():  # safetensors makes its file private
            file.chmod(0o644)
        (partial / "build.json").write_text(json.dumps(info, indent=1) + "\n", encoding="utf-8")
        (partial / "MODEL_CARD.md").write_text(model_card(info), encoding="utf-8")
        if out.exists():
            shutil.rmtree(out)
        os.replace(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return info


def check(*, progress: bool = False) -> str:
    """Rebuild and compare with the shipped model: a sentence; `FedkitError` where they differ by more than 2 %."""
    shipped = json.loads((mini.model_path() / "build.json").read_text(encoding="utf-8"))["held_out_loss"]
    with tempfile.TemporaryDirectory() as folder:
        rebuilt = build(Path(folder) / "model", progress=progress)["held_out_loss"]
    difference = abs(rebuilt - shipped) / shipped
    said = f"held-out loss: shipped {shipped:.4f}, rebuilt {rebuilt:.4f}, difference {difference:.2%}"
    if difference > TOLERANCE:
        raise FedkitError(
            f"{said}, more than {TOLERANCE:.0%}; run python -m tools.world model to ship this code's model"
        )
    return said


def run(argv: Sequence[str]) -> str:
    """`python -m tools.world model`: builds, or checks; a sentence about it."""
    parser = argparse.ArgumentParser(prog="python -m tools.world model", description="Build the embedded tiny Llama.")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write (default: the package's own)")
    parser.add_argument(
        "--check", action="store_true", help="rebuild to a temporary folder and compare held-out losses"
    )
    parser.add_argument("--seed", type=int, default=0, help="of its text and weights; another goes to --out")
    args = parser.parse_args(argv)
    if args.seed and (args.check or args.out == FOLDER):
        parser.error(f"the package ships the model of seed 0; give --out for that of seed {args.seed}")
    print(f"Building the embedded model takes {_MINUTES}.", flush=True)
    if args.check:
        return check(progress=True)
    from .pretrain import BuildSpec

    info = build(args.out, spec=BuildSpec(seed=args.seed), progress=True)
    return f"wrote {args.out}: {info['parameters']:,} parameters, held-out loss {info['held_out_loss']:.4f}"


def _partial_folder(out: Path) -> Path:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        folder.chmod(0o755)  # mkdtemp makes it private; the model is for every reader
        return folder
    except OSError as error:
        raise FedkitError(f"the model cannot be written to {out} ({error.strerror}); give a writable --out") from error
