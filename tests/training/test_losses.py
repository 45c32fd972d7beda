"""The loss on answer positions against the model's own and TRL's, and where it may not be used."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import transformers
from core_tools import SHORT, random_state
from peft import LoraConfig, get_peft_model
from trl import SFTTrainer

from fedkit.training.encoding import IGNORED
from fedkit.training.losses import answer_nll, has_plain_head
from fedkit.training.models import set_adapter_state, trainable
from fedkit.training.sft import SFTClient

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
OLD = {k: v for k, v in SMALL.items() if k not in ("num_key_value_heads", "head_dim")}
GPT2 = {"vocab_size": 50, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64, "bos_token_id": 1}
PLAIN = {
    "Llama": SMALL,
    "Mistral": SMALL,
    "Qwen2": SMALL,
    "Qwen3": SMALL,
    "Gemma": SMALL,
    "Phi": OLD,  # its head has a bias
    "GPTNeoX": OLD,
    "OPT": OLD | {"ffn_dim": 32, "word_embed_proj_dim": 8},  # projects before its head
    "GPT2": GPT2,
}
SCALED = {
    "Gemma2": SMALL | {"final_logit_softcapping": 5.0},
    "Cohere": {k: v for k, v in SMALL.items() if k != "head_dim"} | {"logit_scale": 0.25},
    "Granite": SMALL | {"logits_scaling": 8.0},
    "RecurrentGemma": OLD | {"logits_soft_cap": 5.0, "lru_width": 16, "block_types": ["attention"]},
    "FalconH1": SMALL | {"lm_head_multiplier": 0.5, "mamba_d_ssm": 16, "mamba_n_heads": 2, "mamba_d_head": 8},
    "Mixtral": SMALL | {"num_local_experts": 2},
}


def tiny(name, fields):
    """A PEFT model of that architecture with weights large enough for a transformed head to show."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, f"{name}Config")(**fields))
        for p in model.parameters():
            if p.dim() > 1:
                torch.nn.init.normal_(p, std=0.4)
        targets = ["q_proj"] if name in ("FalconH1", "Mixtral") else "all-linear"  # PEFT refuses or warns of others
        return get_peft_model(model, LoraConfig(r=2, target_modules=targets, task_type="CAUSAL_LM")).eval()


def batch(vocabulary=50):
    """Three rows, left part prompt, right part padding; answers of 1, 4 and 6 tokens."""
    made = torch.Generator().manual_seed(1)
    ids = torch.randint(3, vocabulary, (3, 12), generator=made)
    labels, attention = ids.clone(), torch.ones_like(ids)
    for row, (start, end) in enumerate([(5, 6), (3, 7), (6, 12)]):
        labels[row, :start] = labels[row, end:] = IGNORED
        attention[row, end:] = 0
    return ids, attention, labels


@pytest.mark.parametrize("name", PLAIN)
def test_it_is_the_models_own_loss_where_the_head_is_plain(name):
    model, (ids, attention, labels) = tiny(name, PLAIN[name]), batch()
    assert has_plain_head(model)
    nll, tokens = answer_nll(model, ids, attention, labels)
    own = model(input_ids=ids, attention_mask=attention, labels=labels).loss
    assert tokens == 1 + 4 + 6
    torch.testing.assert_close(nll / tokens, own, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SCALED)
def test_a_transformed_head_is_left_to_trl(name):
    assert not has_plain_head(tiny(name, SCALED[name]))


@pytest.mark.parametrize("name", ["Gemma2", "Cohere", "Granite", "RecurrentGemma", "FalconH1"])
def test_because_the_short_way_would_be_wrong_there(name, monkeypatch):
    model, (ids, attention, labels) = tiny(name, SCALED[name]), batch()
    own = model(input_ids=ids, attention_mask=attention, labels=labels).loss
    nll, tokens = answer_nll(model, ids, attention, labels)
    torch.testing.assert_close(nll / tokens, own, rtol=1e-5, atol=1e-6)  # by whole logits
    monkeypatch.setattr("fedkit.training.losses.has_plain_head", lambda model: True)
    nll, tokens = answer_nll(model, ids, attention, labels)
    assert abs(nll / tokens - own).item() > 0.05 * own.item()


def inputs(client, number):
    """A batch of a client as its trainer collates it."""
    return client._trainer.data_collator(client.batches("e", 0)[:number])


@pytest.fixture
def client(tiny_loaded, federation):
    made = SFTClient(tiny_loaded, federation, dataclasses.replace(SHORT, batch_size=8), seed=0)
    set_adapter_state(tiny_loaded.model, random_state(tiny_loaded.model))
    yield made
    made.close()


@pytest.mark.parametrize("items", [None, 100])
def test_it_is_trls_loss_and_gradient(client, items):
    """`items` is the number of answer tokens of a whole accumulation, which the Trainer divides by."""
    trainer, model = client._trainer, client.loaded.model
    trainer.model.train()
    assert trainer.answer_only
    losses, gradients = [], []
    for compute in (trainer.compute_loss, super(type(trainer), trainer).compute_loss):
        model.zero_grad()
        loss = compute(model, inputs(client, 8), num_items_in_batch=None if items is None else torch.tensor(items))
        loss.backward()
        losses.append(loss.detach())
        gradients.append({name: p.grad.clone() for name, p in trainable(model).items()})
    assert SFTTrainer.compute_loss is not type(trainer).compute_loss
    torch.testing.assert_close(*losses, rtol=1e-6, atol=0)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)
    data = inputs(client, 8)
    own = model(input_ids=data["input_ids"], attention_mask=data["attention_mask"], labels=data["labels"]).loss
    count = (data["labels"] != IGNORED).sum()
    torch.testing.assert_close(losses[0] * (1 if items is None else items / count), own, rtol=1e-5, atol=0)
    model.zero_grad()


def test_other_positions_change_nothing(client):
    """What stands in the padding cannot enter the loss; what stands in the answer does."""
    data = inputs(client, 4)
    args = [data["input_ids"], data["attention_mask"], data["labels"]]
    model = client.loaded.model.eval()
    with torch.no_grad():
        nll, _ = answer_nll(model, *args)
        padded = [torch.nn.functional.pad(x, (0, 3), value=v) for x, v in zip(args, (7, 0, IGNORED), strict=True)]
        torch.testing.assert_close(answer_nll(model, *padded)[0], nll, rtol=1e-6, atol=0)
        changed = args[2].clone()
        row, column = (changed != IGNORED).nonzero()[0]
        changed[row, column] = (changed[row, column] + 1) % 300
        assert abs(answer_nll(model, args[0], args[1], changed)[0] - nll) > 1e-3
