"""Fixtures that several test files share: a tiny random Llama with a random LoRA adapter, and its tokenizer."""

from __future__ import annotations

import pytest

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
