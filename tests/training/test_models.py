"""Loading in every precision, adapters in and out, and one sentence for every mistake."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
import torch
from core_tools import largest, random_state, same

from fedkit.common.errors import FedkitError
from fedkit.training.models import (
    adapter_state,
    base_fingerprint,
    initial_state,
    load_model,
    load_state,
    nbytes,
    resolve_device,
    save_state,
    set_adapter_state,
    trainable,
)
from fedkit.training.specs import LoraSpec, ModelSpec

replace = dataclasses.replace
# Each layer has 4 projections 64 -> 64, two 64 -> 128 and one 128 -> 64; LoRA of rank 4 has (in + out) * 4 weights.
WEIGHTS = 2 * 4 * (4 * (64 + 64) + 3 * (64 + 128))


def test_the_adapter_is_float32_on_the_cpu_and_a_copy(tiny_loaded):
    state = adapter_state(tiny_loaded.model)
    assert sum(t.numel() for t in state.values()) == WEIGHTS
    assert nbytes(state) == 4 * WEIGHTS and nbytes(state, state) == 8 * WEIGHTS and nbytes({}) == 0
    assert all(t.dtype == torch.float32 and t.device.type == "cpu" and "lora_" in name for name, t in state.items())
    kept = {name: t.clone() for name, t in state.items()}
    set_adapter_state(tiny_loaded.model, random_state(tiny_loaded.model, 3))
    assert same(state, kept)


def test_what_is_written_in_is_read_out(tiny_loaded):
    wanted = random_state(tiny_loaded.model, 5)
    set_adapter_state(tiny_loaded.model, wanted)
    assert same(adapter_state(tiny_loaded.model), wanted)


def test_an_adapter_of_another_model_is_refused_whole(tiny_loaded):
    before = adapter_state(tiny_loaded.model)
    missing = {name: t + 1 for name, t in list(before.items())[:-1]}
    with pytest.raises(FedkitError, match="layers.1.mlp.down_proj.lora_B.* is in only one of them"):
        set_adapter_state(tiny_loaded.model, missing)
    last = list(before)[-1]
    other_rank = {name: t + 1 for name, t in before.items()} | {last: torch.zeros(64, 8)}
    with pytest.raises(FedkitError, match=r"shape \(64, 8\), the model \(64, 4\); use the run's own LoRA rank"):
        set_adapter_state(tiny_loaded.model, other_rank)
    assert same(adapter_state(tiny_loaded.model), before)


def test_a_fresh_adapter_leaves_the_base_as_it_is(tiny_loaded):
    """B = 0, so the adapter adds nothing; A is uniform within 1 / sqrt(inputs), as Kaiming with a = sqrt(5) has it."""
    model = tiny_loaded.model.eval()
    own = random_state(model, 1)
    set_adapter_state(model, own)
    fresh = initial_state(model, 0)
    assert same(adapter_state(model), own)  # the model keeps its own
    for name, t in fresh.items():
        if ".lora_A." in name:
            bound = t.shape[1] ** -0.5
            assert 0.9 * bound < t.abs().max() <= bound
            assert t.std().item() == pytest.approx(bound / 3**0.5, rel=0.15)
        else:
            assert not t.any()
    ids = torch.arange(3, 23)[None]
    with torch.no_grad():
        with model.disable_adapter():
            base = model(input_ids=ids).logits
        assert (model(input_ids=ids).logits - base).abs().max() > 1e-3
        set_adapter_state(model, fresh)
        torch.testing.assert_close(model(input_ids=ids).logits, base)
    assert same(fresh, initial_state(model, 0)) and not same(fresh, initial_state(model, 1))


def test_loading_is_a_function_of_the_seed_and_touches_no_global_state(tiny_spec):
    before = torch.get_rng_state()
    zero, again, one = (adapter_state(load_model(tiny_spec, seed=s).model) for s in (0, 0, 1))
    assert same(zero, again) and not same(zero, one)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_saved_adapter_comes_back_and_nothing_else_is_left(tmp_path, tiny_loaded):
    state = random_state(tiny_loaded.model, 2)
    state["turned"] = torch.arange(6.0).reshape(2, 3).T  # not contiguous
    save_state(state, tmp_path / "adapter.safetensors")
    assert same(load_state(tmp_path / "adapter.safetensors"), state)
    assert [p.name for p in tmp_path.iterdir()] == ["adapter.safetensors"]


@pytest.mark.parametrize("content", [None, b"", b"not an adapter", "cut"])
def test_an_unreadable_adapter(tmp_path, content):
    path = tmp_path / "adapter.safetensors"
    if content == "cut":
        save_state({"a": torch.zeros(100)}, path)
        content = path.read_bytes()[:-8]
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        FedkitError, match="adapter.safetensors: no readable adapter .*delete the run's folder and train"
    ):
        load_state(path)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_base_has_the_dtype_asked_for_and_the_adapter_float32(tiny_spec, dtype):
    loaded = load_model(replace(tiny_spec, dtype=dtype))
    base = {p.dtype for p in loaded.model.parameters() if not p.requires_grad}
    assert base == {getattr(torch, dtype)}
    assert {p.dtype for p in trainable(loaded.model).values()} == {torch.float32}


@pytest.mark.parametrize("quantization, bits", [("8bit", 8), ("4bit", 4)])
def test_a_quantized_base_answers_nearly_as_the_full_one(tiny_spec, tiny_loaded, quantization, bits):
    pytest.importorskip("bitsandbytes")
    loaded = load_model(replace(tiny_spec, quantization=quantization))
    assert {p.dtype for p in trainable(loaded.model).values()} == {torch.float32}
    weight = loaded.model.get_base_model().model.layers[0].mlp.up_proj.base_layer.weight
    assert weight.dtype in (torch.int8, torch.uint8) and weight.numel() == 64 * 128 * bits // 8
    ids = torch.arange(3, 43)[None]
    with torch.no_grad():
        full, low = (
            torch.log_softmax(m.get_base_model()(input_ids=ids).logits.float(), -1)
            for m in (_bare(tiny_loaded.model), _bare(loaded.model))
        )
    divergence = (full.exp() * (full - low)).sum(-1).mean()
    assert 0 < divergence < (1e-3 if bits == 8 else 0.05)


def _bare(model):
    set_adapter_state(model, initial_state(model, 0))
    return model.eval()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"dtype": "float8"}, "unknown dtype 'float8'; known: bfloat16, float16, float32"),
        ({"quantization": "2bit"}, "unknown quantization '2bit'; known: 4bit, 8bit"),
        ({"device": "gpu"}, "unknown device 'gpu'; use auto, cpu, cuda or cuda:N"),
        ({"lora": LoraSpec(target_modules=("no_proj",))}, "target_modules .*no_proj.* do not fit model"),
        ({"name": "nobody/no-such-model"}, "model 'nobody/no-such-model' cannot be loaded"),
        ({"name": "/no/such/folder"}, "model '/no/such/folder' cannot be loaded"),
    ],
)
def test_a_mistake_in_the_spec_is_one_sentence(tiny_spec, change, message):
    with pytest.raises(FedkitError, match=message) as caught:
        load_model(replace(tiny_spec, **change))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_no_gpu(device):
    with pytest.raises(FedkitError, match=f"device '{device}' asked for, but torch sees no GPU; use device='cpu'"):
        resolve_device(device)
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("part", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("fault", ["missing", "cut"])
def test_a_broken_model_folder_is_one_sentence(tiny_spec, tiny_folder, tmp_path, part, fault):
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    if fault == "missing":
        (folder / part).unlink()
    else:
        (folder / part).write_bytes((folder / part).read_bytes()[:-100])
    with pytest.raises(FedkitError, match=f"folder '{folder}' cannot be loaded as a causal language model") as caught:
        load_model(ModelSpec(name=str(folder), device="cpu", threads=1))
    assert "\n" not in str(caught.value)


def test_an_empty_folder(tmp_path):
    with pytest.raises(FedkitError, match="give a folder with config.json, weights and tokenizer, or a Hub id"):
        load_model(ModelSpec(name=str(tmp_path), device="cpu"))


def test_a_tokenizer_without_padding_gets_a_token_for_it(tiny_spec, tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = load_model(replace(tiny_spec, name=str(folder))).tokenizer
    assert tokenizer.pad_token == tokenizer.eos_token == "</s>"


def test_the_embedded_model_loads_by_its_name():
    from fedkit import mini

    try:
        mini.model_path()
    except FedkitError as error:
        pytest.skip(f"the embedded model is not built: {error}")
    loaded = load_model(ModelSpec(device="cpu", threads=1, lora=LoraSpec(r=2)))
    assert loaded.device.type == "cpu" and loaded.tokenizer.eos_token_id == loaded.model.config.eos_token_id
    with torch.no_grad():
        assert loaded.model(input_ids=torch.tensor([[0, 5, 9]])).logits.shape == (1, 3, len(loaded.tokenizer))
    assert largest(adapter_state(loaded.model), initial_state(loaded.model, 0)) > 0


def test_a_base_is_named_by_its_content(tiny_folder, tmp_path):
    """Another folder with the same files is the same base; another weight or token is another. A Hub id is itself."""
    name = base_fingerprint(str(tiny_folder))
    assert len(name) == 16 and int(name, 16) >= 0
    assert base_fingerprint(str(shutil.copytree(tiny_folder, tmp_path / "same"))) == name
    for part in ("model.safetensors", "tokenizer.json", "config.json"):
        other = shutil.copytree(tiny_folder, tmp_path / part)
        content = (other / part).read_bytes()
        (other / part).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert base_fingerprint(str(other)) != name
    assert base_fingerprint("nobody/a-model") == "nobody/a-model"


# --- a base model must be whole


def damaged(tiny_folder, folder, change, shards=None):
    """A copy of the tiny model whose tensors `change` has altered; `shards`: a size at which they are split."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_folder, folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    if shards is None:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    (folder / "model.safetensors").unlink()
    places = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(sorted(tensors))}
    for file in sorted(set(places.values())):
        save_file({n: tensors[n] for n, own in places.items() if own == file}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 0}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize(
    "change, said",
    [
        (
            lambda t: t.pop("model.layers.1.mlp.up_proj.weight"),
            "lack model.layers.1.mlp.up_proj.weight, which would be",
        ),
        (lambda t: [t.pop(n) for n in list(t) if n != "model.norm.weight"], "lack lm_head.weight and 19 more, which"),
        (
            lambda t: t.update({"model.norm.weight": torch.ones(63)}),
            "whole: model.norm.weight has another shape than config.json says",
        ),
        (lambda t: t.update({"model.norm.wait": t.pop("model.norm.weight")}), "lack model.norm.weight, which would"),
    ],
)
def test_a_base_that_lacks_tensors_is_refused_by_name(tiny_folder, tiny_spec, tmp_path, change, said):
    """Transformers draws them by chance, others each time, and only warns."""
    folder = damaged(tiny_folder, tmp_path / "base", change)
    with pytest.raises(FedkitError, match=said) as caught:
        load_model(replace(tiny_spec, name=str(folder)))
    assert str(folder) in str(caught.value)


def test_shards_are_read_whole_or_not_at_all(tiny_folder, tiny_spec, tmp_path):
    folder = damaged(tiny_folder, tmp_path / "base", lambda t: None, shards=2)
    ids = torch.arange(3, 23)[None]
    with torch.no_grad():
        whole, split = (load_model(replace(tiny_spec, name=str(f))).model.eval()(ids) for f in (tiny_folder, folder))
    assert torch.equal(whole.logits, split.logits)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(FedkitError, match="model-00002-of-00002.safetensors"):
        load_model(replace(tiny_spec, name=str(folder)))


def test_tied_weights_are_no_fault_and_strange_tensors_are_said(tmp_path, tiny_tokenizer, tiny_spec):
    """A tied head is in no file; a tensor that the architecture has no place for is left out, by name."""
    from safetensors.torch import load_file, save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=400, tie_word_embeddings=True, **sizes)).save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    assert "lm_head.weight" not in tensors
    base = load_model(replace(tiny_spec, name=str(tmp_path))).model.get_base_model()
    assert base.lm_head.weight.data_ptr() == base.model.embed_tokens.weight.data_ptr()
    save_file({**tensors, "extra.weight": torch.ones(2)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.warns(UserWarning, match="extra.weight of its files is no part of its architecture and left out"):
        load_model(replace(tiny_spec, name=str(tmp_path)))


def test_bitsandbytes_is_imported_where_a_base_is_quantized_and_not_before(tiny_folder):
    """A process that trains on a CPU needs neither it nor torch's compiler; the same may then load in 8 and 4 bits."""
    import subprocess
    import sys

    code = f"""
import sys
from fedkit.training import sft, dpo
from fedkit.training.models import load_model
from fedkit.training.specs import LoraSpec, ModelSpec
spec = dict(name={str(tiny_folder)!r}, device="cpu", lora=LoraSpec(r=4))
load_model(ModelSpec(**spec))
before = [name for name in ("bitsandbytes", "torch._inductor.compile_fx") if name in sys.modules]
kinds = [sorted({{type(m).__name__ for m in load_model(ModelSpec(quantization=q, **spec)).model.modules()
         if "Linear" in type(m).__name__}}) for q in ("8bit", "4bit", None)]
print(before, kinds)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    kinds = [["Linear", "Linear8bitLt"], ["Linear", "Linear4bit"], ["Linear"]]
    assert done.stdout.splitlines()[-1] == f"[] {kinds}", done.stdout
