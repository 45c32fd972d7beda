"""Fixtures that several test files share: a tiny random Llama with a random LoRA adapter, and its tokenizer."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before any import of a library that looks names up

TEXTS = (
    "The capital of Italy is Rome. Name three animals that live in water.",
    "La capitale de la France est Paris. ¿Cuál es la capital de España? São Paulo é grande.",
    "Столица России — Москва. Назови три города.",
    "北京是中国的首都。请写一句话。",
    "ما هي عاصمة مصر؟ القاهرة.",
    "భారతదేశం రాజధాని ఢిల్లీ.",
)


@pytest.fixture(scope="session")
def tiny_tokenizer():
    """A byte-level BPE of 400 entries, trained on six scripts: bos 0, eos 1, pad 2."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


@pytest.fixture
def tiny_model(tiny_tokenizer):
    """A float32 Llama (hidden 32, 2 layers, 256 positions) under LoRA of rank 4, all weights random and not small."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = get_peft_model(
            LlamaForCausalLM(config),
            LoraConfig(r=4, lora_alpha=8, lora_dropout=0.1, target_modules="all-linear", task_type="CAUSAL_LM"),
        )
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
    return model


@pytest.fixture(scope="session")
def tiny_folder(tiny_tokenizer, tmp_path_factory):
    """A folder that `ModelSpec(name=folder)` loads: a random Llama (hidden 64, 2 layers) and `tiny_tokenizer`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny_llama")
    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        initializer_range=0.1,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_spec(tiny_folder):
    """The spec of that model on the CPU, one thread, LoRA of rank 4 on all linear layers without dropout."""
    from fedkit.training.specs import LoraSpec, ModelSpec

    lora = LoraSpec(r=4, alpha=8, dropout=0.0)
    return ModelSpec(name=str(tiny_folder), device="cpu", threads=1, lora=lora)


@pytest.fixture(scope="session")
def tiny_loaded(tiny_spec):
    """That model, loaded once. Every user of it writes the adapter that it wants first."""
    from fedkit.training.models import load_model

    return load_model(tiny_spec)


@pytest.fixture(scope="session")
def federation():
    """Five clients a to e of 3, 6, 9, 12 and 20 records, each in one language or two."""
    from core_tools import make_federation

    return make_federation([3, 6, 9, 12, 20])


@pytest.fixture
def frozen(monkeypatch):
    """What exists is out of the collector's sight for the whole test, as a run has it for its own length.

    `Trainer.train` ends in a full collection, which would take longer than a tiny client.
    """
    import contextlib
    import gc

    monkeypatch.setattr("fedkit.training.simulation.frozen_gc", contextlib.nullcontext)
    gc.freeze()
    yield
    gc.unfreeze()
