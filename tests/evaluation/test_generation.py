"""Generation: one answer a prompt whatever shares its batch, and nothing of the model changed by it."""

from __future__ import annotations

from math import sqrt

import pytest
import torch

from fedkit.common.errors import FedkitError
from fedkit.evaluation import generation
from fedkit.evaluation.generation import generate, merged_adapters
from fedkit.training.prompts import encode_prompt

PROMPTS = [
    "Name three animals. " * 12,
    "a",
    "Столица России?",
    "北京" * 30,
    "ما هي عاصمة مصر؟",
    "భారతదేశం రాజధాని",
    "¿Cuál es la capital de España? " * 4,
    "The capital of Italy is",
    "x y",
    "a",
]


def weights(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def logits(model, ids):
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits[0]


def naive(model, tokenizer, prompt, limit):
    """The definition: read everything again for each token, no cache, no padding, no merging."""
    model.eval()
    ids, answer = encode_prompt(tokenizer, prompt), []
    for _ in range(limit):
        token = int(logits(model, ids + answer)[-1].argmax())
        if token == tokenizer.eos_token_id:
            break
        answer.append(token)
    return tokenizer.decode(answer, skip_special_tokens=True).strip()


def test_batched_equals_one_at_a_time_equals_the_definition(tiny_model, tiny_tokenizer):
    expected = [naive(tiny_model, tiny_tokenizer, p, 16) for p in PROMPTS]
    for size in (1, 3, 64):
        assert generate(tiny_model, tiny_tokenizer, PROMPTS, max_new_tokens=16, batch_size=size) == expected
    unmerged = generate(tiny_model, tiny_tokenizer, PROMPTS, max_new_tokens=16, merge=False)
    assert unmerged == expected
    assert len(set(expected)) >= 7, "answers that are all alike would test nothing"


def test_agrees_with_transformers(tiny_model, tiny_tokenizer):
    tiny_model.eval()
    ids = torch.tensor([encode_prompt(tiny_tokenizer, PROMPTS[2])])
    out = tiny_model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, pad_token_id=2
    )
    theirs = tiny_tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True).strip()
    assert generate(tiny_model, tiny_tokenizer, [PROMPTS[2]], max_new_tokens=12) == [theirs]


def test_stops_at_any_end_token(tiny_model, tiny_tokenizer):
    """With token e named an end token, each answer is the former one up to its first e."""
    rows = [generation._Row(i, encode_prompt(tiny_tokenizer, p)) for i, p in enumerate(PROMPTS)]
    with generation.answering(tiny_model), torch.inference_mode():
        generation._answer(tiny_model, tiny_tokenizer, rows, 16, 0.0)
        free = [list(row.answer) for row in rows]
        end = max({t for a in free for t in a}, key=lambda t: sum(t in a for a in free))
        tiny_model.generation_config.eos_token_id = [1, end]
        for row in rows:
            row.answer.clear()
        generation._answer(tiny_model, tiny_tokenizer, rows, 16, 0.0)
    assert [row.answer for row in rows] == [a[: a.index(end)] if end in a else a for a in free]
    assert any(end in a for a in free) and len({len(row.answer) for row in rows}) > 1


def test_sampling_depends_on_seed_and_prompt_alone(tiny_model, tiny_tokenizer):
    def draw(prompts, **options):
        return generate(tiny_model, tiny_tokenizer, prompts, max_new_tokens=8, temperature=1.0, **options)

    together = draw(PROMPTS, seed=3)
    assert together == draw(PROMPTS, seed=3, batch_size=1)
    assert draw(PROMPTS[2:5][::-1], seed=3) == together[2:5][::-1]
    assert together != draw(PROMPTS, seed=4)
    assert together[1] != together[9], "the same question twice gets two draws"


def test_sampling_follows_the_softmax():
    """Frequencies of 4,000 draws lie within 4 standard deviations of softmax(logits / T)."""
    raw = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    row, n = generation._Row(0, [0], torch.Generator().manual_seed(0)), 4000
    counts = torch.zeros(4)
    for _ in range(n):
        counts[generation._choose(raw, [row], 0.7)] += 1
    for share, p in zip((counts / n).tolist(), torch.softmax(raw[0] / 0.7, 0).tolist(), strict=True):
        assert abs(share - p) < 4 * sqrt(p * (1 - p) / n)


def test_model_is_as_before(tiny_model, tiny_tokenizer):
    tiny_model.train()
    before = weights(tiny_model)
    pointers = {n: p.data_ptr() for n, p in tiny_model.named_parameters()}
    modes = {n: m.training for n, m in tiny_model.named_modules()}
    generate(tiny_model, tiny_tokenizer, PROMPTS[:3], max_new_tokens=4)
    assert all(torch.equal(v, before[k]) for k, v in tiny_model.state_dict().items())
    assert {n: p.data_ptr() for n, p in tiny_model.named_parameters()} == pointers
    assert {n: m.training for n, m in tiny_model.named_modules()} == modes


def test_merging_folds_every_layer_and_undoes_it_after_an_error(tiny_model, tiny_tokenizer):
    """2 layers x 7 linear maps; the same logits but for rounding; bit-equal afterwards, even after a failure."""
    tiny_model.eval()
    before, ids = weights(tiny_model), encode_prompt(tiny_tokenizer, PROMPTS[3])
    expected = logits(tiny_model, ids)
    with pytest.raises(KeyError), merged_adapters(tiny_model) as layers:
        assert layers == 14
        assert torch.allclose(logits(tiny_model, ids), expected, atol=1e-4)
        raise KeyError
    assert all(torch.equal(v, before[k]) for k, v in tiny_model.state_dict().items())
    assert torch.equal(logits(tiny_model, ids), expected)


def test_a_disabled_adapter_stays_out(tiny_model, tiny_tokenizer):
    with tiny_model.disable_adapter():
        base = generate(tiny_model, tiny_tokenizer, PROMPTS, max_new_tokens=8)
    plain = tiny_model.unload()
    assert base == generate(plain, tiny_tokenizer, PROMPTS, max_new_tokens=8)


def test_a_prompt_too_long_keeps_its_end_and_says_so(tiny_model, tiny_tokenizer):
    ids = encode_prompt(tiny_tokenizer, "b" + " qz" * 300)
    assert len(ids) > 256
    with pytest.warns(UserWarning, match="1 of 2 prompts are longer than the 252 tokens"):
        rows = generation._rows(tiny_model, tiny_tokenizer, ["b" + " qz" * 300, "b"], 4, None)
    assert rows[0].ids == ids[-252:]


def test_out_of_memory_halves_the_batch(tiny_model, tiny_tokenizer, monkeypatch):
    expected = generate(tiny_model, tiny_tokenizer, PROMPTS, max_new_tokens=6, temperature=0.8)
    real, sizes = generation._answer, []

    def small(model, tokenizer, rows, limit, temperature):
        sizes.append(len(rows))
        real(model, tokenizer, rows, limit, temperature)
        if len(rows) > 3:
            raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(generation, "_answer", small)
    assert generate(tiny_model, tiny_tokenizer, PROMPTS, max_new_tokens=6, temperature=0.8) == expected
    assert sizes == [10, 5, 2, 2, 2, 2, 2]


def test_blanks_of_an_answer_are_kept_on_demand(tiny_model, tiny_tokenizer):
    """Stripped, both are the same; unstripped, some answer of these begins or ends in a blank."""
    options = {"max_new_tokens": 8, "temperature": 3.0}
    prompts = PROMPTS * 4
    whole = generate(tiny_model, tiny_tokenizer, prompts, strip=False, **options)
    assert [text.strip() for text in whole] == generate(tiny_model, tiny_tokenizer, prompts, **options)
    assert any(text != text.strip() for text in whole)


def test_the_first_blank_of_an_answer_is_not_lost_in_decoding():
    """Tokenizers of the Llama 2 kind write blanks as a sign and drop the first: four become three, and code breaks."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    made.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    made.train_from_iterator(["def f(x): return 1    "], trainers.BpeTrainer(vocab_size=60, show_progress=False))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made)
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("f(x):", "    return 1")]
    assert tokenizer.decode(ids[1]) == "   return 1"
    assert generation._continuation(tokenizer, generation._Row(0, ids[0], answer=ids[1])) == "    return 1"


def test_nothing_to_answer(tiny_model, tiny_tokenizer):
    assert generate(tiny_model, tiny_tokenizer, [], max_new_tokens=4) == []


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        (["a"], {"max_new_tokens": 0}, "max_new_tokens is 0"),
        (["a"], {"max_new_tokens": 1, "batch_size": 0}, "batch_size is 0"),
        (["a"], {"max_new_tokens": 1, "temperature": -1.0}, "temperature is -1"),
        ("a", {"max_new_tokens": 1}, "give a list of texts"),
    ],
)
def test_mistakes_are_named(tiny_model, tiny_tokenizer, prompts, options, message):
    with pytest.raises(FedkitError, match=message):
        generate(tiny_model, tiny_tokenizer, prompts, **options)
