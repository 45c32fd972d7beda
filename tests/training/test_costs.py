"""The estimate against counts that can be made by hand, and against a real model's parameters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fedkit.common.errors import FedkitError
from fedkit.profiles import get_profile
from fedkit.training.costs import ARCHITECTURES, adapter_parameters, architecture, estimate
from fedkit.training.specs import LoraSpec, ModelSpec

LLAMA = ARCHITECTURES["meta-llama/Llama-2-7b-hf"]


def test_llama_2_7b_has_the_published_number_of_weights():
    assert LLAMA.weights == 6_738_415_616  # the model card's 7B, as transformers counts it


def test_adapter_of_llama_on_q_and_v_by_hand():
    # 32 layers, two 4096 x 4096 targets, rank 16: 32 * 2 * 16 * (4096 + 4096)
    assert adapter_parameters(LLAMA, LoraSpec(r=16, target_modules=("q_proj", "v_proj"))) == 8_388_608


def test_counts_equal_those_of_the_embedded_model():
    from fedkit.training.models import load_model, trainable

    spec = get_profile("mini").model
    loaded = load_model(spec)
    arch = architecture("mini")
    lora = sum(p.numel() for p in trainable(loaded.model).values())
    assert adapter_parameters(arch, spec.lora) == lora
    assert arch.weights == sum(p.numel() for p in loaded.model.parameters()) - lora


def test_memory_falls_with_fewer_bits_and_time_grows_with_rounds():
    paper = get_profile("paper")
    train = paper.dataset("fed_aya").train
    full = estimate(replace(paper.model, quantization=None), train)
    eight = estimate(paper.model, train)
    four = estimate(replace(paper.model, quantization="4bit"), train)
    assert full.weights_gb > eight.weights_gb > four.weights_gb
    assert full.weights_gb == pytest.approx(2 * LLAMA.weights / 1e9)
    twice = estimate(paper.model, replace(train, rounds=2 * train.rounds))
    assert twice.hours == pytest.approx(2 * eight.hours)
    assert eight.bytes_per_round == 2 * 4 * 8_388_608 * 4  # down and up, float32, four clients


def test_unknown_model_and_target_are_said():
    train = get_profile("paper").dataset("fed_aya").train
    with pytest.raises(FedkitError, match="no sizes known for model"):
        estimate(ModelSpec(name="nobody/nothing"), train)
    with pytest.raises(FedkitError, match="target module 'w9'"):
        adapter_parameters(LLAMA, LoraSpec(target_modules=("w9",)))


def test_time_is_that_of_the_tokens_read_and_memory_that_of_the_longest():
    paper = get_profile("paper")
    spec = paper.dataset("fed_aya")
    longest, typical = estimate(paper.model, spec.train), estimate(paper.model, spec.train, mean_tokens=256)
    assert typical.total_gb == longest.total_gb
    assert typical.hours == pytest.approx(longest.hours * 256 / spec.train.max_length)
