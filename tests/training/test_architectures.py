"""Other architectures than Llama, tiny and from their configurations: mixtures of experts, learned positions.

A mixture is trained, asked, scored and put through lm-eval; a model with too few positions is refused by name.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch
import transformers
from core_tools import SHORT, make_federation

from fedkit.algorithms import Broadcast, make_algorithm
from fedkit.common.errors import FedkitError
from fedkit.evaluation.benchmarks.base import Subject
from fedkit.evaluation.benchmarks.harness import run_tasks, written
from fedkit.evaluation.generation import generate
from fedkit.evaluation.likelihood import continuation_nll
from fedkit.evaluation.specs import EvalSpec
from fedkit.training.model_checks import learned_positions
from fedkit.training.models import initial_state, load_model, set_adapter_state
from fedkit.training.registry import client_class

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
LONG = {"max_position_embeddings": 512, "vocab_size": 400, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "intermediate_size": 32}
LOCAL = {"num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 32}
MIXTURES = {
    "Mixtral": LOCAL,
    "Qwen3Moe": EXPERTS | {"head_dim": 8, "decoder_sparse_step": 1},
    "GptOss": LOCAL | {"head_dim": 8, "layer_types": ["sliding_attention", "full_attention"]},
    "Lfm2Moe": EXPERTS | {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "Qwen3Next": EXPERTS
    | {"head_dim": 8, "layer_types": ["linear_attention", "full_attention"], "shared_expert_intermediate_size": 16}
    | {"linear_num_value_heads": 2, "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8},
}


def loaded(name, options, folder, tokenizer, spec):
    config = getattr(transformers, f"{name}Config")(**LONG, **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        getattr(transformers, f"{name}ForCausalLM")(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load_model(dataclasses.replace(spec, name=str(folder)))


@pytest.mark.parametrize("name", MIXTURES)
def test_a_mixture_of_experts_is_trained_and_then_measured(name, tmp_path, tiny_tokenizer, tiny_spec, frozen):
    """TRL switches the router's outputs on, with which a model that has a cache fails; here they stay off.

    The loss that is trained is the answers' likelihood and nothing else; an answer, and a likelihood, is the same alone
    and in a batch that shares its beginning.
    """
    model = loaded(name, SIZES | MIXTURES[name], tmp_path, tiny_tokenizer, tiny_spec)
    spec = dataclasses.replace(SHORT, local_steps=1, batch_size=2, max_length=300)
    client = client_class("sft")(model, make_federation([4]), spec, seed=0)
    start = initial_state(model.model, 0)
    result = client.train("a", Broadcast(start, {}, 1e-2, 0), make_algorithm("fedavg"), {})
    scored = [(row["input_ids"], sum(i < 0 for i in row["labels"])) for row in client.batches("a", 0)]
    client.close()
    assert any(not torch.equal(result.local[n], t) for n, t in start.items())
    assert not model.model.config.get_text_config().output_router_logits
    set_adapter_state(model.model, start)
    together, apart = continuation_nll(model, scored), [continuation_nll(model, [row])[0] for row in scored]
    assert together == pytest.approx(apart, rel=1e-4)
    assert result.loss == pytest.approx(sum(apart) / sum(len(ids) - at for ids, at in scored), rel=1e-3)
    set_adapter_state(model.model, result.local)
    texts = ["one", "two three four"]
    alone = [generate(model.model, model.tokenizer, [text], max_new_tokens=6)[0] for text in texts]
    assert generate(model.model, model.tokenizer, texts, max_new_tokens=6) == alone
    task = written(until=["\n"], most=4, doc_to_text="{{ask}}", doc_to_target="{{target}}") | {"task": "t"}
    items = [{"ask": "What?", "target": "that"}, {"ask": "Who is it?", "target": "me"}]
    subject = Subject(model, "alpaca", EvalSpec(max_new_tokens=4), 0, False)
    assert len(run_tasks(subject, [(task, {"test": items})])["t"]) == 2


WITHOUT_CACHE = {
    "RecurrentGemma": SIZES | {"lru_width": 32, "head_dim": 8, "block_types": ["recurrent", "attention"]},
    "Mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
}


@pytest.mark.parametrize("name", WITHOUT_CACHE)
def test_a_model_without_a_cache_is_refused_by_name(name, tmp_path, tiny_tokenizer, tiny_spec):
    """It could be trained, and then neither asked nor scored."""
    with pytest.raises(FedkitError, match=rf"\({name}ForCausalLM\) keeps no key-value cache"):
        loaded(name, WITHOUT_CACHE[name], tmp_path, tiny_tokenizer, tiny_spec)


LEARNED = {
    "GPT2": {"n_positions": 64, "n_embd": 32, "n_layer": 1, "n_head": 2, "vocab_size": 400},
    "OPT": {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "ffn_dim": 32,
        "word_embed_proj_dim": 32,
    },
}


@pytest.mark.parametrize("name, options", LEARNED.items())
@pytest.mark.parametrize("task", ["sft", "dpo"])
def test_too_few_learned_positions_are_told_before_training(name, options, task, tmp_path, tiny_tokenizer, tiny_spec):
    size = {"n_positions": 64} if name == "GPT2" else {"max_position_embeddings": 64}
    known = {k: v for k, v in LONG.items() if k not in ("max_position_embeddings", "vocab_size")}
    config = getattr(transformers, f"{name}Config")(**{**known, "vocab_size": 400, **options, **size})
    kinds = {"GPT2": transformers.GPT2LMHeadModel, "OPT": transformers.OPTForCausalLM}
    kinds[name](config).save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    model = load_model(dataclasses.replace(tiny_spec, name=str(tmp_path)))
    assert learned_positions(model.model) == 64
    long = dataclasses.replace(SHORT, max_length=65, task=task)
    start = initial_state(model.model, 0)
    with pytest.raises(FedkitError, match="max_length is 65, but the base model has 64 positions; lower it to 64"):
        client_class(task)(model, make_federation([4, 3]), long, seed=0, start=start)
    assert continuation_nll(model, [(list(range(3, 67)), 1)]).shape == (1,)
    with pytest.raises(FedkitError, match="the longest text is 65, but the base model has 64 positions"):
        continuation_nll(model, [(list(range(3, 68)), 1)])


def test_rotary_positions_have_no_such_end(tiny_loaded):
    assert learned_positions(tiny_loaded.model) is None
