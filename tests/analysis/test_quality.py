"""IFD against a loop over single records, its edge cases, its cache, and the spread of clients' means."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from core_tools import random_state

from fedkit.analysis import quality
from fedkit.analysis.chance import beyond_chance, binomial_spread, dealt_means, spread
from fedkit.analysis.client_texts import Texts
from fedkit.analysis.quality import answer_losses, ifd
from fedkit.analysis.summaries import by_client
from fedkit.common.errors import FedkitError
from fedkit.evaluation import likelihood
from fedkit.evaluation.likelihood import continuation_nll, scorer_id
from fedkit.training.models import Loaded, initial_state, load_model, set_adapter_state
from fedkit.training.prompts import get_template

PAIRS = [
    ("Name the capital of Italy.", "The capital of Italy is Rome.", "en"),
    ("Quelle est la capitale de la France ?", "Paris", "fr"),
    ("Name three animals.", "Cats, dogs and horses live with people in many lands.", "en"),
    ("写一句话。", "北京是中国的首都。", "zh"),
    ("Name three animals.", "Rome", "en"),
    ("Столица?", "Москва", "ru"),
    ("Name the capital of Italy.", "The capital of Italy is Rome.", "en"),
]


def make_texts(pairs=PAIRS, rejected=None, owner=None):
    questions, answers, languages = (list(column) for column in zip(*pairs, strict=True))
    owner = np.zeros(len(pairs), dtype=np.int64) if owner is None else np.asarray(owner)
    clients = tuple(chr(ord("a") + k) for k in range(owner.max() + 1))
    return Texts("toy", clients, owner, np.arange(len(pairs)), questions, answers, languages, rejected)


@pytest.fixture
def loaded(tiny_loaded):
    set_adapter_state(tiny_loaded.model, initial_state(tiny_loaded.model, 0))
    yield tiny_loaded
    set_adapter_state(tiny_loaded.model, initial_state(tiny_loaded.model, 0))


def mean_loss(loaded, context, answer):
    """Cross entropy of the answer's tokens after the context, one record, whole logits."""
    ids = torch.tensor([context + answer])
    with torch.no_grad():
        logits = loaded.model.eval()(input_ids=ids).logits[0, len(context) - 1 : -1]
    return float(torch.nn.functional.cross_entropy(logits, ids[0, len(context) :]))


def naive(loaded, question, answer, language, max_length=512, template="alpaca"):
    """s(A|Q) and s(A) of one record, by their definition."""
    encode = lambda text: loaded.tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731
    begin = [] if loaded.tokenizer.bos_token_id is None else [loaded.tokenizer.bos_token_id]
    head = begin + encode(get_template(template).prompt(question, language))
    tokens = encode(answer)[: max_length - len(head)]
    if begin:
        return mean_loss(loaded, head, tokens), mean_loss(loaded, begin, tokens)
    return mean_loss(loaded, head + tokens[:1], tokens[1:]), mean_loss(loaded, tokens[:1], tokens[1:])


@pytest.mark.parametrize("template", ["alpaca", "vicuna_v1.1"])
@pytest.mark.parametrize("adapter", [False, True])
def test_it_is_the_ratio_of_two_cross_entropies(loaded, template, adapter):
    if adapter:
        set_adapter_state(loaded.model, random_state(loaded.model, scale=0.3))
    losses = answer_losses(loaded, make_texts(), template=template)
    expected = np.array([naive(loaded, *pair, template=template) for pair in PAIRS])
    np.testing.assert_allclose(np.stack([losses.given, losses.alone], 1), expected, rtol=2e-5)
    np.testing.assert_array_equal(losses.ifd, losses.given / losses.alone)
    np.testing.assert_array_equal(losses.ifd, ifd(loaded, make_texts(), template=template))
    assert losses.undefined() == {} and losses.tokens[0] == len(
        loaded.tokenizer(PAIRS[0][1], add_special_tokens=False)["input_ids"]
    )


def test_a_batch_changes_nothing(loaded):
    """One row a batch, some, all at once; records in another order."""
    whole = ifd(loaded, make_texts(), batch_tokens=100_000)
    for batch_tokens in (1, 200):
        np.testing.assert_allclose(ifd(loaded, make_texts(), batch_tokens=batch_tokens), whole, rtol=1e-5)
    np.testing.assert_array_equal(ifd(loaded, make_texts(PAIRS[::-1]))[::-1], ifd(loaded, make_texts()))


def test_a_shared_beginning_is_read_once_and_changes_nothing(loaded, monkeypatch):
    """Rows of one template in one batch against each row by itself; two templates in turn."""
    rng = np.random.default_rng(3)
    heads = [rng.integers(3, 300, size=size).tolist() for size in (30, 25)]
    rows = [(heads[i % 2] + rng.integers(3, 300, size=4 + i).tolist(), len(heads[i % 2]) + i % 3) for i in range(12)]
    rows.append(([0, 7, 8, 9], 1))  # an answer alone
    lengths = []
    monkeypatch.setattr(
        likelihood, "_shared", lambda rows, real=likelihood._shared: lengths.append(real(rows)) or lengths[-1]
    )
    together = continuation_nll(loaded, rows)
    assert sorted(lengths) == [0, 24, 29]  # the token before the first continuation stays with its row
    np.testing.assert_allclose(together, continuation_nll(loaded, rows, batch_tokens=1), rtol=1e-5)
    assert set(lengths[3:]) == {0}


HYBRIDS = {
    "Lfm2": {"layer_types": ["conv", "full_attention"], "intermediate_size": 64},
    "Qwen3Next": {"layer_types": ["linear_attention", "full_attention"], "num_experts": 4, "num_experts_per_tok": 2}
    | {"moe_intermediate_size": 16, "shared_expert_intermediate_size": 16, "intermediate_size": 32, "head_dim": 8}
    | {"linear_num_value_heads": 2, "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8},
}


@pytest.mark.parametrize("name", HYBRIDS)
def test_hybrids_have_an_ifd_too(name, tmp_path, tiny_tokenizer, tiny_spec):
    """Convolutions and linear attention among the layers: the shared beginning is read once there as well."""
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    size |= {"max_position_embeddings": 512, "vocab_size": len(tiny_tokenizer), "initializer_range": 0.5}
    size |= {f"{kind}_token_id": getattr(tiny_tokenizer, f"{kind}_token_id") for kind in ("bos", "eos", "pad")}
    config = getattr(transformers, f"{name}Config")(**size, **HYBRIDS[name])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        getattr(transformers, f"{name}ForCausalLM")(config).save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    model = load_model(replace(tiny_spec, name=str(tmp_path)))
    losses = answer_losses(model, make_texts())
    expected = np.array([naive(model, *pair) for pair in PAIRS])
    np.testing.assert_allclose(losses.given, expected[:, 0], rtol=1e-4)
    np.testing.assert_allclose(losses.alone, expected[:, 1], rtol=1e-4)
    assert losses.given.std() > 0.01  # not all alike


def test_truncation_cuts_the_answer_above_and_below(loaded):
    """At `max_length` only the answer tokens that fit are scored, alone as well as after the prompt."""
    question, answer, language = PAIRS[2]
    head = 1 + len(
        loaded.tokenizer(get_template("alpaca").prompt(question, language), add_special_tokens=False)["input_ids"]
    )
    full = answer_losses(loaded, make_texts([PAIRS[2]]))
    for left in (1, 4):
        cut = answer_losses(loaded, make_texts([PAIRS[2]]), max_length=head + left)
        assert cut.tokens[0] == left < full.tokens[0]
        expected = naive(loaded, question, answer, language, head + left)
        np.testing.assert_allclose([cut.given[0], cut.alone[0]], expected, rtol=2e-5)
        assert abs(cut.alone[0] - full.alone[0]) > 1e-3
    none = answer_losses(loaded, make_texts([PAIRS[2]]), max_length=head)
    assert np.isnan(none.ifd[0]) and none.tokens[0] == 0 and none.undefined() == {quality.NO_ROOM: 1}


def test_empty_answers_are_undefined_and_counted(loaded):
    texts = make_texts([PAIRS[0], ("Name it.", "", "en"), ("Name it.", " \n", "en"), PAIRS[1]])
    losses = answer_losses(loaded, texts)
    assert np.isnan(losses.ifd).tolist() == [False, True, True, False]
    assert losses.undefined() == {quality.EMPTY: 2} and losses.reason[1] == quality.EMPTY
    assert losses.ifd[0] == pytest.approx(ifd(loaded, make_texts())[0], rel=1e-5)


def test_without_a_begin_token_the_first_answer_token_is_left_out_of_both(loaded):
    tokenizer = copy.deepcopy(loaded.tokenizer)
    tokenizer.bos_token = None
    bare = Loaded(loaded.model, tokenizer, loaded.device, loaded.spec)
    one = ("Say A.", "A", "en")
    assert len(tokenizer("A")["input_ids"]) == 1
    losses = answer_losses(bare, make_texts([*PAIRS[:4], one]))
    expected = np.array([naive(bare, *pair) for pair in PAIRS[:4]])
    np.testing.assert_allclose(np.stack([losses.given, losses.alone], 1)[:4], expected, rtol=2e-5)
    assert losses.undefined() == {quality.ONE_TOKEN: 1} and np.isnan(losses.ifd[4])
    with_begin = answer_losses(loaded, make_texts([one]))
    assert with_begin.tokens[0] == 1 and np.isfinite(with_begin.ifd[0])
    assert losses.tokens[0] == answer_losses(loaded, make_texts([PAIRS[0]])).tokens[0] - 1


def test_a_loss_of_zero_below_is_undefined(loaded, monkeypatch):
    """A model that is certain of the answer alone leaves nothing to divide by."""
    monkeypatch.setattr(quality, "continuation_nll", lambda loaded, rows, **_: np.array([2.0, 3.0, 0.0, 6.0]))
    losses = answer_losses(loaded, make_texts([PAIRS[0], PAIRS[1]]))
    assert losses.undefined() == {quality.NO_LOSS: 1}
    assert np.isnan(losses.ifd[0]) and losses.ifd[1] == 0.5


def test_rejected_answers(loaded):
    rejected = ["Milan.", "Lyon", "None.", "上海", "x", "y", "z"]
    texts = make_texts(rejected=rejected)
    other = make_texts([(q, r, lang) for (q, _, lang), r in zip(PAIRS, rejected, strict=True)])
    np.testing.assert_array_equal(ifd(loaded, texts, which="rejected"), ifd(loaded, other))
    with pytest.raises(FedkitError, match="no rejected answers"):
        ifd(loaded, make_texts(), which="rejected")
    with pytest.raises(FedkitError, match="known: rejected, response"):
        ifd(loaded, texts, which="chosen")


@pytest.mark.parametrize("length", [1, 513])
def test_lengths_that_the_model_does_not_read_are_refused(loaded, length):
    with pytest.raises(FedkitError, match="between 2 and the 512"):
        ifd(loaded, make_texts(), max_length=length)


# -- the cache -------------------------------------------------------------------------------------------------------


def rows_of(count, width=20):
    rng = np.random.default_rng(0)
    return [(rng.integers(3, 300, size=width + i % 5).tolist(), 1 + i % 7) for i in range(count)]


@pytest.fixture
def counted(monkeypatch):
    """The rows that the model was really asked for, batch by batch; set `stop` to interrupt before a batch."""
    scored, real = [], likelihood._batch

    def batch(loaded, rows):
        if counter["stop"] == len(scored):
            raise KeyboardInterrupt
        scored.append(len(rows))
        return real(loaded, rows)

    counter = {"scored": scored, "stop": None}
    monkeypatch.setattr(likelihood, "_batch", batch)
    return counter


def test_a_stopped_run_goes_on_to_the_same_bits_and_recomputes_nothing(loaded, tmp_path, counted):
    rows, sizes = rows_of(30), {"batch_tokens": 60, "chunk_tokens": 150}
    unbroken = continuation_nll(loaded, rows, **sizes)
    assert sum(counted["scored"]) == 30
    counted["scored"].clear()
    counted["stop"] = 8
    with pytest.raises(KeyboardInterrupt):
        continuation_nll(loaded, rows, cache=tmp_path, **sizes)
    saved = sum(len(np.load(path)["nll"]) for path in tmp_path.rglob("*.npz"))
    assert 0 < sum(counted["scored"]) - saved <= 6  # at most one chunk is lost: 150 tokens of rows of 20 to 24
    counted["scored"].clear()
    counted["stop"] = None
    resumed = continuation_nll(loaded, rows, cache=tmp_path, **sizes)
    np.testing.assert_array_equal(resumed, unbroken)
    assert sum(counted["scored"]) == 30 - saved
    counted["scored"].clear()
    np.testing.assert_array_equal(continuation_nll(loaded, rows[::-1], cache=tmp_path, **sizes), unbroken[::-1])
    assert counted["scored"] == []


def test_equal_rows_are_scored_once(loaded, counted):
    rows = rows_of(6)
    twice = continuation_nll(loaded, rows + rows)
    assert sum(counted["scored"]) == 6
    np.testing.assert_array_equal(twice[:6], twice[6:])


def test_ifd_from_a_cache_is_equal_and_shared_between_datasets(loaded, tmp_path, counted):
    fresh = ifd(loaded, make_texts(), cache=tmp_path)
    counted["scored"].clear()
    np.testing.assert_array_equal(ifd(loaded, make_texts(PAIRS[2:]), cache=tmp_path), fresh[2:])
    assert counted["scored"] == []
    ifd(loaded, make_texts(), cache=tmp_path, template="vicuna_v1.1")  # other prompts, the same answers alone
    assert sum(counted["scored"]) == len(set(PAIRS))


def test_another_adapter_has_scores_of_its_own(loaded, tmp_path):
    base, name = ifd(loaded, make_texts(), cache=tmp_path), scorer_id(loaded)
    set_adapter_state(loaded.model, initial_state(loaded.model, 5))  # another A, but B is still zero: the base
    assert scorer_id(loaded) == name
    set_adapter_state(loaded.model, random_state(loaded.model, scale=0.3))
    assert scorer_id(loaded) != name
    assert (np.abs(ifd(loaded, make_texts(), cache=tmp_path) - base) > 1e-4).all()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut", b"not an archive at all"])
def test_a_damaged_cache_is_named(loaded, tmp_path, damage):
    continuation_nll(loaded, rows_of(3), cache=tmp_path)
    path = next(tmp_path.rglob("*.npz"))
    path.write_bytes(damage)
    with pytest.raises(FedkitError, match=path.name):
        continuation_nll(loaded, rows_of(3), cache=tmp_path)


def test_rows_without_context_or_target_are_refused(loaded):
    for start in (0, 3):
        with pytest.raises(FedkitError, match="row 0: 3 tokens scored"):
            continuation_nll(loaded, [([5, 6, 7], start)])
    assert continuation_nll(loaded, []).shape == (0,)


# -- clients -----------------------------------------------------------------------------------------------------------


def test_means_by_client_leave_out_and_count_the_undefined():
    texts = make_texts(PAIRS, owner=[0, 0, 0, 1, 1, 2, 3])
    frame = by_client(np.array([1.0, 2.0, np.nan, 0.5, 0.7, np.nan, 4.0]), texts)
    assert frame["client"].tolist() == ["a", "b", "c", "d"]
    assert frame["records"].tolist() == [3, 2, 1, 1] and frame["undefined"].tolist() == [1, 0, 1, 0]
    np.testing.assert_allclose(frame["mean"], [1.5, 0.6, np.nan, 4.0])
    np.testing.assert_allclose(frame["sd"], [np.sqrt(0.5), np.sqrt(0.02), np.nan, np.nan])
    with pytest.raises(FedkitError, match="2 values for 7 records"):
        by_client(np.zeros(2), texts)


def test_binomial_spread_is_the_expected_variance_of_shares():
    """Against simulation: clients of one rate; the mean variance over many worlds."""
    sizes, rate = np.array([5, 7, 20, 50, 9]), 0.7
    rng = np.random.default_rng(1)
    shares = rng.binomial(sizes, rate, size=(20_000, len(sizes))) / sizes
    assert binomial_spread(rate, sizes) ** 2 == pytest.approx(shares.var(axis=1).mean(), rel=0.03)


def test_records_dealt_at_random_spread_like_chance():
    rng = np.random.default_rng(2)
    owner = np.repeat(np.arange(40), 10)
    alike = spread(rng.normal(size=400), owner)
    assert alike.value == pytest.approx(alike.control_mean, rel=0.4) and alike.p > 0.01
    apart = spread(rng.normal(size=400) + owner, owner)
    assert apart.p == 1 / 201 and beyond_chance(apart) == pytest.approx(np.arange(40).std(), rel=0.1)
    assert beyond_chance(spread(np.tile([0.0, 1.0], 200), owner)) == 0.0  # every client has the same mean


def test_dealt_means_are_means_of_the_same_values():
    owner, values = np.array([3, 3, 7, 7, 7, 9]), np.array([1.0, 2, 4, 8, 16, np.nan])
    dealt = dealt_means(values, owner, draws=50)
    assert dealt.shape == (50, 2)
    np.testing.assert_allclose(dealt @ [2, 3], 31.0)
    assert len(np.unique(dealt[:, 0])) == 10  # all pairs out of five different powers of two
    with pytest.raises(FedkitError, match="two clients"):
        spread(values[:2], owner[:2])
