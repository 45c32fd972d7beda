"""Base models with a LoRA adapter: loading, quantization, adapter state in and out.

An adapter is a `dict[str, Tensor]` on the CPU in float32, by parameter name: what clients and server exchange.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..algorithms.aggregators import State
from ..common.console import quiet
from ..common.errors import FedkitError, unknown
from ..common.files import ELSEWHERE, new_file, visible
from ..common.seeds import torch_seed
from .model_checks import check_whole
from .specs import ModelSpec

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
GOES_ON = (  # the remedy where a file of a run in progress cannot be written
    "free space or mend its rights, and start again: the run goes on from its last finished client, with the very same"
    " result"
)
BASE_FILES = (".json", ".safetensors", ".bin", ".model", ".txt")  # what a base model's folder is named by
QUANTIZATION = {"8bit": {"load_in_8bit": True}, "4bit": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}}


@dataclass
class Loaded:
    """A PEFT model with one LoRA adapter (initialised: B = 0), its tokenizer, and where it is."""

    model: Any
    tokenizer: Any
    device: torch.device
    spec: ModelSpec


def resolve_device(name: str) -> torch.device:
    """`auto` is the first GPU where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise FedkitError(f"unknown device {name!r}; use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise FedkitError(f"device {name!r} asked for, but torch sees no GPU; use device='cpu' or 'auto'")
    return device


def model_location(name: str) -> str:
    """The folder of the embedded model for `mini`; any other name (folder or Hub id) as it is."""
    if name != "mini":
        return name
    from .. import mini

    path = mini.model_path()
    if not (path / "config.json").is_file():
        raise FedkitError(f"the embedded model is missing at {path}; build it with: python -m tools.world model")
    return str(path)


@functools.lru_cache
def base_fingerprint(name: str) -> str:
    """What names a base model's content: a hash of the files of a folder, or the Hub id itself.

    Weights above 64 MB count by size and date, so that naming a run never reads gigabytes.
    """
    folder = Path(model_location(name))
    if not folder.is_dir():
        return name
    digest = hashlib.sha256()
    for path in (p for p in visible(folder, "*") if p.suffix in BASE_FILES):
        stat = path.stat()
        small = stat.st_size <= 64e6
        digest.update(path.name.encode())
        digest.update(path.read_bytes() if small else f"{stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def load_model(spec: ModelSpec, *, seed: int = 0) -> Loaded:
    """Load base model and tokenizer and put a LoRA adapter on all that `spec.lora` names.

    Base weights in `spec.dtype`, or 8- or 4-bit by bitsandbytes; adapter weights stay float32. `FedkitError` for an
    unknown dtype or quantization, or a model that cannot be had.
    """
    from .lora import LoraConfig, get_peft_model, prepare_model_for_kbit_training, with_bitsandbytes

    if spec.quantization:
        with_bitsandbytes()
    device = resolve_device(spec.device)
    if spec.threads:
        torch.set_num_threads(spec.threads)
    model = _load_base(spec, device)
    tokenizer = load_tokenizer(spec.name)
    if spec.quantization:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=spec.gradient_checkpointing)
    lora = spec.lora
    targets = lora.target_modules
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )
    with torch_seed(seed, "lora"), quiet():
        try:
            model = get_peft_model(model, config)
        except ValueError as error:
            raise FedkitError(f"LoRA target_modules {targets!r} do not fit model {spec.name}: {error}") from error
    if not spec.quantization:
        model.to(device)
    return Loaded(model, tokenizer, device, spec)


def _load_base(spec: ModelSpec, device: torch.device) -> Any:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    if spec.dtype not in DTYPES:
        raise unknown("dtype", spec.dtype, DTYPES)
    options: dict[str, Any] = {"dtype": DTYPES[spec.dtype]}
    if spec.quantization is not None:
        if spec.quantization not in QUANTIZATION:
            raise unknown("quantization", spec.quantization, QUANTIZATION)
        extra = {"bnb_4bit_compute_dtype": DTYPES[spec.dtype]} if spec.quantization == "4bit" else {}
        options |= {
            "quantization_config": BitsAndBytesConfig(**QUANTIZATION[spec.quantization], **extra),
            "device_map": {"": device},
        }
    location = model_location(spec.name)
    try:
        with quiet():
            model, read = AutoModelForCausalLM.from_pretrained(
                location, **options, output_loading_info=True, ignore_mismatched_sizes=True
            )
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        raise FedkitError(_no_model(spec.name, error)) from error
    check_whole(spec.name, read)
    config = model.config.get_text_config()
    if getattr(config, "output_router_logits", False):  # of no use to answers, and in the way of their cache
        config.output_router_logits = False
    _check_cache(spec.name, model)
    return model


def _check_cache(name: str, model: Any) -> None:
    """Refuse a model without a key-value cache (Mamba, RWKV, RecurrentGemma): no answer could be written with it."""
    with torch.inference_mode():
        said = model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=model.device), use_cache=True)
    if said.get("past_key_values") is None:
        what = f"base model {name!r} ({type(model).__name__}) keeps no key-value cache, with which answers are written"
        raise FedkitError(f"{what}; give a transformer, or a hybrid that has one (LFM2, Qwen3-Next)")


def load_tokenizer(name: str) -> Any:
    """The tokenizer of a model by name, with a padding token; `FedkitError` where it cannot be had."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model_location(name))
    except (OSError, ValueError) as error:
        raise FedkitError(_no_model(name, error)) from error
    if tokenizer.pad_token_id is None:  # Llama 2 ships none; the end token never enters a loss as padding
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    return tokenizer


def _no_model(name: str, error: Exception) -> str:
    kind = "folder" if Path(name).exists() else "model"
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return (
        f"{kind} {name!r} cannot be loaded as a causal language model ({reason}); give a folder with config.json, "
        "weights and tokenizer, or a Hub id that this machine can reach (licensed models need HF_TOKEN)"
    )


def trainable(model: Any) -> dict[str, torch.nn.Parameter]:
    """The adapter's parameters by name, in a fixed order."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def adapter_state(model: Any) -> State:
    """A copy of the adapter: name -> float32 tensor on the CPU."""
    return {name: p.detach().to("cpu", torch.float32, copy=True) for name, p in trainable(model).items()}


def set_adapter_state(model: Any, state: State) -> None:
    """Write an adapter into the model; `FedkitError` where names or shapes are another model's."""
    parameters = trainable(model)
    if parameters.keys() != state.keys():
        odd = sorted(parameters.keys() ^ state.keys())[0]
        raise FedkitError(f"the adapter does not fit this model: {odd} is in only one of them; use the run's own model")
    for name, parameter in parameters.items():
        if parameter.shape != state[name].shape:
            raise FedkitError(
                f"the adapter does not fit this model: {name} has shape {tuple(state[name].shape)}, "
                f"the model {tuple(parameter.shape)}; use the run's own LoRA rank"
            )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state[name])


def initial_state(model: Any, seed: int) -> State:
    """A fresh adapter for a seed (A Kaiming-uniform as PEFT does, B zero), without touching the model's own."""
    state = adapter_state(model)
    with torch_seed(seed, "lora"):
        for name, tensor in state.items():
            if ".lora_A." in name:
                torch.nn.init.kaiming_uniform_(tensor, a=5**0.5)
            else:
                tensor.zero_()
    return state


def nbytes(*states: State) -> int:
    """Bytes that states take on the wire."""
    return sum(t.numel() * t.element_size() for state in states for t in state.values())


def save_state(state: State, path: str | Path, *, remedy: str = ELSEWHERE) -> None:
    """Write an adapter as safetensors, whole or not at all; `FedkitError` with the remedy where there is no room."""
    with new_file(path, remedy=remedy) as part:
        write_tensors(state, part)


def write_tensors(state: State, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors as safetensors; `OSError` where there is no room, which safetensors calls otherwise."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: t.contiguous() for name, t in state.items()}, path, metadata=metadata)
    except SafetensorError as error:
        raise OSError(str(error)) from error


def load_state(path: str | Path) -> State:
    """Read an adapter; `FedkitError` where the file is missing or no safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        open(path, "rb").close()  # safetensors calls every file that it cannot open a missing one
        return load_file(path)
    except PermissionError as error:
        raise FedkitError(f"{path} cannot be read ({error.strerror}); mend its rights, or ask its owner to") from error
    except (OSError, SafetensorError) as error:
        raise FedkitError(
            f"{path}: no readable adapter ({error}); give that of a finished run, or delete the run's folder and train"
            " it anew"
        ) from error
