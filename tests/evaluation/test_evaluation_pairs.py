"""Rewards of held-out pairs against whole logits, and a split that leaks nothing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from core_tools import random_state
from pair_tools import make_pairs

from fedkit.common.errors import FedkitError
from fedkit.common.intervals import wilson
from fedkit.data.federated import FederatedDataset
from fedkit.evaluation.pairs import PairRewards, PairScorer, first_turn, hold_out, length_rules
from fedkit.training.models import adapter_state, set_adapter_state
from fedkit.training.prompts import encode_prompt, get_template


def by_hand(loaded, state, record, max_length, side):
    """log p of one answer from the logits of one sequence, in float64."""
    set_adapter_state(loaded.model, state)
    tokenizer, model = loaded.tokenizer, loaded.model.eval()
    head = encode_prompt(tokenizer, get_template("alpaca").prompt(record["instruction"], record["language"]))
    answer = [*tokenizer(record[side], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    ids = torch.tensor([(head + answer)[:max_length]])
    with torch.no_grad():
        table = torch.log_softmax(model(input_ids=ids, use_cache=False).logits[0].double(), dim=-1)
    return float(table[len(head) - 1 : -1].gather(1, ids[0, len(head) :, None]).sum())


@pytest.mark.parametrize("plain", [True, False])
def test_rewards_are_beta_times_the_log_ratios(plain, tiny_loaded, monkeypatch):
    """Also where a model transforms its logits."""
    monkeypatch.setattr("fedkit.training.losses.has_plain_head", lambda model: plain)
    records = make_pairs([4, 5]).table.to_pylist()
    policy, reference = random_state(tiny_loaded.model, 1), random_state(tiny_loaded.model, 2)
    scorer = PairScorer(tiny_loaded, reference, records, template="alpaca", max_length=500)
    found = scorer.rewards(policy, beta=0.3)
    assert all(torch.equal(t, policy[name]) for name, t in adapter_state(tiny_loaded.model).items())
    for side, rewards in (("chosen", found.chosen), ("rejected", found.rejected)):
        wanted = [
            0.3 * (by_hand(tiny_loaded, policy, r, 500, side) - by_hand(tiny_loaded, reference, r, 500, side))
            for r in records
        ]
        np.testing.assert_allclose(rewards, wanted, rtol=1e-3, atol=1e-4)
    assert np.abs(found.margins).min() > 1e-3 and found.skipped == 0


def test_a_policy_that_is_the_reference_ties_on_every_pair(tiny_loaded):
    state = random_state(tiny_loaded.model, 1)
    records = make_pairs([6]).table.to_pylist()
    found = PairScorer(tiny_loaded, state, records, template="alpaca", max_length=500).rewards(state)
    assert (found.margins == 0).all()
    assert found.summary() | {"low": 0, "high": 0} == {
        "accuracy": 0.5, "low": 0, "high": 0, "margin": 0.0, "ties": 6, "pairs": 6, "skipped": 0,
    }  # fmt: skip


def test_a_tie_is_half_a_pair():
    """3 right, 1 tie, 1 wrong: 3.5 of 5, within the intervals of 3 and of 4; with 2 ties 4 of 6 and their interval."""
    one = PairRewards(np.array([1.0, 1, 1, 0, 0]), np.array([0.0, 0, 0, 0, 1]), 0).summary()
    assert one["accuracy"] == 0.7 and (one["low"], one["high"]) == (wilson(3, 5)[0], wilson(4, 5)[1])
    two = PairRewards(np.array([1.0, 1, 1, 0, 0, 0]), np.array([0.0, 0, 0, 0, 0, 1]), 0).summary()
    assert two["accuracy"] == pytest.approx(4 / 6) and (two["low"], two["high"]) == wilson(4, 6)
    assert (one["ties"], two["ties"]) == (1, 2)


def test_scored_pairs_are_those_that_fit(tiny_loaded):
    """A pair whose prompt fills max_length is counted, and is not among `pairs`."""
    records = make_pairs([4]).table.to_pylist()
    long = records[1] | {"instruction": "Count on. " * 200}
    state = random_state(tiny_loaded.model, 1)
    scorer = PairScorer(tiny_loaded, state, [records[0], long, *records[2:]], template="alpaca", max_length=500)
    assert scorer.pairs == [records[0], *records[2:]] and len(scorer.reference) == 3 and scorer.skipped == 1


def test_length_rules_are_shares_of_the_pairs():
    pairs = [{"chosen": "a" * c, "rejected": "b" * r} for c, r in ((5, 1), (1, 5), (2, 3), (4, 4))]
    assert length_rules(pairs) == {"shorter": 2.5 / 4, "longer": 1.5 / 4}


def test_the_interval_is_wilsons():
    """8 of 10: (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4 n^2)) / (1 + z^2 / n), z = 1.959964."""
    made = PairRewards(np.array([1.0] * 8 + [0.0] * 2), np.full(10, 0.5), 3).summary()
    z, n, p = 1.959964, 10, 0.8
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = ((p + z**2 / (2 * n) + sign * half) / (1 + z**2 / n) for sign in (-1, 1))
    assert made["accuracy"] == 0.8 and made["skipped"] == 3 and made["margin"] == pytest.approx(0.3)
    assert (made["low"], made["high"]) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


def test_hold_out_splits_by_instruction_and_loses_nothing():
    whole = make_pairs([50, 60, 1, 70])
    rows = whole.table.to_pylist()
    twice = [r | {"chosen": r["chosen"] + "!"} for r in rows]  # every instruction a second time, at other clients
    sizes = [50, 60, 1, 70, 181]
    bounds = np.cumsum([0, *sizes])
    parts = {f"c{k}": np.arange(a, b) for k, (a, b) in enumerate(zip(bounds[:-1], bounds[1:], strict=True))}
    dataset = FederatedDataset.from_partition(pa.Table.from_pylist(rows + twice), parts, name="doubled")
    train, test = hold_out(dataset, 5)
    asked = {r["instruction"] for r in train.table.to_pylist()}
    assert not asked & {r["instruction"] for r in test}
    assert train.n_records + len(test) == 362 and 40 < len(test) < 110
    for client in train.clients:
        kept = [r for r in dataset.records(client) if r["instruction"] in asked]
        assert train.records(client) == kept
        gone = [r | {"client": client} for r in dataset.records(client) if r["instruction"] not in asked]
        assert [r for r in test if r["client"] == client] == gone
    assert (train.fingerprint, test) == ((again := hold_out(dataset, 5))[0].fingerprint, again[1])


def test_hold_out_keeps_dialogues_that_begin_alike_together():
    """Each question alone and as the first of two dialogues, each at another client: never on both sides."""
    rows = make_pairs([60]).table.to_pylist()
    more = ["\n\nAssistant: Yes.\n\nHuman: Sure?", "\n\nAssistant: No.\n\nHuman: And then?"]
    dialogues = [r | {"instruction": r["instruction"] + tail} for tail in more for r in rows]
    parts = {"alone": np.arange(60), "one": np.arange(60, 120), "two": np.arange(120, 180)}
    dataset = FederatedDataset.from_partition(pa.Table.from_pylist(rows + dialogues), parts, name="dialogues")
    train, test = hold_out(dataset, 5)
    begins = {first_turn(r["instruction"]) for r in test}
    assert begins <= {r["instruction"] for r in rows} and len(test) == 3 * len(begins) > 0
    assert not begins & {first_turn(r["instruction"]) for r in train.table.to_pylist()}


def test_hold_out_refuses_an_empty_side():
    with pytest.raises(FedkitError, match="one_in is 1"):
        hold_out(make_pairs([5]), 1)
    with pytest.raises(FedkitError, match="one side is empty"):
        hold_out(make_pairs([1]), 5)
