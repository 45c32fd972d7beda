"""Federated training of LoRA adapters: from a run's configuration to a finished run on disk.

`specs` and `runs` say what a run is, `models` loads it, `prompts` and `encoding` turn records into token ids, `losses`
scores answers. `client_base` trains one client (`sft`, `dpo` with `reference`; `registry` by task), `simulation` is the
round loop with its `checkpoint`, `costs` tells memory and hours before anything is loaded.
"""

from ..common.door import front_door

__getattr__, __dir__, __all__ = front_door(
    __name__,
    {
        "specs": ("LoraSpec", "ModelSpec", "TrainSpec"),
        "runs": ("Run", "RunConfig"),
        "models": ("adapter_state", "initial_state", "load_model", "nbytes", "set_adapter_state", "trainable"),
        "prompts": ("conversation_prompt", "encode_prompt", "get_template"),
        "encoding": ("IGNORED", "encode", "encode_conversations"),
        "client_base": ("frozen_gc",),
        "sft": ("SFTClient",),
        "dpo": ("DPOClient",),
        "simulation": ("cosine_rate",),
        "costs": ("adapter_parameters", "architecture", "estimate"),
    },
)
