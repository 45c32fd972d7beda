"""The client loop: one trainer for all clients is as good as a fresh one, its steps are those of the formulas."""

from __future__ import annotations

import dataclasses
import gc
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from core_tools import SHORT, largest, make_config, make_federation, random_state, same
from transformers import TrainerCallback

from fedkit.algorithms import Broadcast, make_algorithm
from fedkit.algorithms.aggregators import norm, subtract
from fedkit.common.seeds import torch_seed
from fedkit.privacy.primitives import sample_clients
from fedkit.training import client_base
from fedkit.training import sft as client_module
from fedkit.training.client_base import frozen_gc
from fedkit.training.encoding import IGNORED
from fedkit.training.models import adapter_state, initial_state, load_model, set_adapter_state, trainable
from fedkit.training.sft import SFTClient
from fedkit.training.simulation import run

pytestmark = pytest.mark.usefixtures("frozen")
replace = dataclasses.replace
FEDAVG = make_algorithm("fedavg")


@pytest.fixture
def new_client(tiny_loaded, federation):
    made = []

    def make(loaded=tiny_loaded, dataset=federation, seed=0, **settings):
        made.append(SFTClient(loaded, dataset, replace(SHORT, **settings), seed=seed))
        return made[-1]

    yield make
    for client in reversed(made):  # each puts back what it found
        client.close()


@pytest.fixture(scope="module")
def dropout_loaded(tiny_spec):
    """The tiny model with dropout, so that the state of torch's generator matters."""
    return load_model(replace(tiny_spec, lora=replace(tiny_spec.lora, dropout=0.2)))


def message(client, lr=1e-2, round=0, state=None, extra=None):
    start = random_state(client.loaded.model, 9) if state is None else state
    return Broadcast(start, extra or {}, lr, round)


def test_a_reused_trainer_is_a_fresh_one_to_the_bit(dropout_loaded, federation):
    """Clients of one record and of twenty, forth and back, with another round and rate between."""
    turns = [("e", 0, 1e-2), ("a", 0, 1e-2), ("c", 1, 3e-3), ("e", 0, 1e-2)]
    settings = replace(SHORT, local_steps=3)

    def train(client, name, round, lr):
        return client.train(name, message(client, lr, round), FEDAVG, {})

    reused = SFTClient(dropout_loaded, federation, settings, seed=0)
    together = [train(reused, *turn) for turn in turns]
    reused.close()
    for turn, one in zip(turns, together, strict=True):
        fresh = SFTClient(dropout_loaded, federation, settings, seed=0)
        alone = train(fresh, *turn)
        fresh.close()
        assert same(alone.local, one.local) and alone == replace(one, local=alone.local)
    assert same(together[0].local, together[3].local) and largest(together[0].local, together[1].local) > 1e-3


def test_dropout_differs_by_client_round_and_seed(dropout_loaded):
    """Two clients with the same record, from the same adapter: only their dropout differs."""
    two = make_federation([1, 1])
    dataset = replace(two, table=two.table.take([0, 0]))
    ends = []
    for seed, name, round in [(0, "a", 0), (0, "b", 0), (0, "a", 1), (1, "a", 0)]:
        client = SFTClient(dropout_loaded, dataset, replace(SHORT, local_steps=1, batch_size=1), seed=seed)
        ends.append(client.train(name, message(client, round=round), FEDAVG, {}).local)
        client.close()
    assert min(largest(x, y) for i, x in enumerate(ends) for y in ends[:i]) > 1e-4


def test_seeds_change_the_clients_and_the_batches(new_client):
    assert [sample_clients(100, 4, 0, t) for t in range(5)] != [sample_clients(100, 4, 1, t) for t in range(5)]
    zero, one = new_client(seed=0), new_client(seed=1)
    assert zero.batches("e", 0) == new_client(seed=0).batches("e", 0) != one.batches("e", 0)
    assert zero.batches("e", 0) != zero.batches("e", 1)


def test_batches_are_whole_permutations(new_client):
    """20 records, 4 steps of 3 x 4: twice all, then eight different ones."""
    client = new_client(local_steps=4, batch_size=4, grad_accum=3)
    every = sorted(map(str, (client.encoded("e")[i] for i in range(20))))
    rows = list(map(str, client.batches("e", 0)))
    assert len(rows) == 48 and len(set(every)) == 20
    assert sorted(rows[:20]) == sorted(rows[20:40]) == every and len(set(rows[40:])) == 8
    assert rows[:20] != rows[20:40] != every


def test_a_client_with_enough_reads_each_record_at_most_once(new_client):
    rows = new_client(local_steps=4, batch_size=5).batches("e", 0)
    assert len({str(r) for r in rows}) == 20


def test_a_small_client_starts_over(new_client):
    client = new_client(local_steps=2, batch_size=4)
    rows = list(map(str, client.batches("a", 0)))  # 3 records, 8 wanted
    assert len(rows) == 8 and len(set(rows)) == 3
    assert len(set(rows[:3])) == len(set(rows[3:6])) == 3 and len(set(rows[6:])) == 2
    assert client.train("a", message(client), FEDAVG, {}).steps == 2


def test_the_batches_drawn_are_the_batches_trained_on(new_client, monkeypatch):
    seen, real = [], client_module.answer_nll

    def spy(model, input_ids, attention_mask, labels):
        seen.extend(ids[mask == 1].tolist() for ids, mask in zip(input_ids, attention_mask, strict=True))
        return real(model, input_ids, attention_mask, labels)

    monkeypatch.setattr(client_module, "answer_nll", spy)
    client = new_client(local_steps=3, batch_size=2, grad_accum=2)
    for name, round in [("e", 0), ("d", 0), ("e", 1)]:
        seen.clear()
        result = client.train(name, message(client, round=round), FEDAVG, {})
        wanted = [row["input_ids"] for row in client.batches(name, round)]
        assert seen == wanted and len(wanted) == 12
        assert result.tokens == sum(map(len, wanted))


class _Rates(TrainerCallback):
    def __init__(self, trainer):
        self.trainer, self.seen, self.optimizers = trainer, [], []

    def on_optimizer_step(self, args, state, control, **kwargs):
        optimizer = self.trainer.optimizer
        self.seen.append({group["lr"] for group in optimizer.param_groups})
        inner = getattr(optimizer, "optimizer", optimizer)
        self.optimizers.append((inner, [int(s["step"]) for s in inner.state.values()]))


def test_the_rate_is_the_rounds_in_every_step_and_the_optimizer_is_new(new_client):
    client = new_client(local_steps=3)
    watch = _Rates(client._trainer)
    client._trainer.add_callback(watch)
    for lr in (1e-2, 3e-4, 7e-3):
        client.train("e", message(client, lr), FEDAVG, {})
    assert watch.seen == [{1e-2}] * 3 + [{3e-4}] * 3 + [{7e-3}] * 3
    assert [set(steps) for _, steps in watch.optimizers] == [{1}, {2}, {3}] * 3  # AdamW's own count
    assert len({id(optimizer) for optimizer, _ in watch.optimizers}) == 3


def gradient(client, name, start):
    """The model's own gradient of the mean loss over the answers of the round's records, in one batch."""
    model = client.loaded.model.train()
    set_adapter_state(model, start)
    model.zero_grad()
    data = client._trainer.data_collator(client.batches(name, 0))
    model(input_ids=data["input_ids"], attention_mask=data["attention_mask"], labels=data["labels"]).loss.backward()
    found = {k: p.grad.clone() for k, p in trainable(model).items()}
    model.zero_grad()
    return found


@pytest.mark.parametrize("clip", [1e9, 0.01])
def test_one_step_of_sgd_is_w_minus_lr_g(new_client, clip):
    """Clipping divides the gradient by its norm / 0.01, up to the 1e-6 that torch adds to the norm."""
    client = new_client(local_steps=1, batch_size=8, max_grad_norm=clip)
    start = random_state(client.loaded.model, 4)
    g = gradient(client, "e", start)
    client._trainer.args.optim = "sgd"
    local = client.train("e", message(client, 0.1, state=start), FEDAVG, {}).local
    shrink = min(1.0, clip / norm(g))
    assert (shrink < 1) == (clip < 1)
    for name, t in local.items():
        torch.testing.assert_close(t, start[name] - 0.1 * shrink * g[name], rtol=1e-5, atol=1e-6)


def test_one_step_of_adamw_is_lr_times_the_sign(new_client):
    """From zero moments bias correction gives m = g, v = g^2: w - lr g / (|g| + 1e-8), without weight decay."""
    client = new_client(local_steps=1, batch_size=8, max_grad_norm=1e9)
    start = random_state(client.loaded.model, 4)
    g = gradient(client, "e", start)
    local = client.train("e", message(client, 0.01, state=start), FEDAVG, {}).local
    for name, t in local.items():
        sure = g[name].abs() > 1e-4  # where rounding cannot turn the sign
        assert sure.float().mean() > 0.5
        wanted = start[name] - 0.01 * g[name] / (g[name].abs() + 1e-8)
        torch.testing.assert_close(t[sure], wanted[sure], rtol=0, atol=1e-5)


def test_accumulating_two_of_four_is_a_batch_of_eight(new_client):
    """Also under FedProx and SCAFFOLD, whose rules act once a step: after the last micro-batch."""
    whole, parts = (new_client(local_steps=2, batch_size=b, grad_accum=8 // b, max_grad_norm=0.1) for b in (8, 4))
    start = random_state(whole.loaded.model, 4)
    extra = {name: 0.5 * torch.ones_like(t) for name, t in start.items()}
    for client in (whole, parts):
        client._trainer.args.optim = "sgd"
    for algorithm in (FEDAVG, make_algorithm("fedprox", mu=0.5), make_algorithm("scaffold")):
        send = message(whole, 0.5, state=start, extra=extra)
        one, two = (c.train("e", send, algorithm, {}) for c in (whole, parts))
        assert norm(subtract(one.local, start)) > 1e-2
        assert largest(one.local, two.local) < 1e-5
        assert one.loss == pytest.approx(two.loss, rel=1e-5) and one.tokens == two.tokens


def test_fedprox_reaches_the_real_steps(new_client):
    """Two SGD steps without clipping: w_2 = w_1 - lr (g(w_1) + mu (w_1 - w_0))."""
    client = new_client(local_steps=2, batch_size=4, max_grad_norm=1e9)
    client._trainer.args.optim = "sgd"
    start = random_state(client.loaded.model, 4)
    lr, mu = 0.5, 0.5
    plain = client.train("e", message(client, lr, state=start), FEDAVG, {}).local
    first = _one_sgd_step(client, start, lr)
    prox = client.train("e", message(client, lr, state=start), make_algorithm("fedprox", mu=mu), {}).local
    for name, t in prox.items():
        torch.testing.assert_close(t, plain[name] - lr * mu * (first[name] - start[name]), rtol=1e-4, atol=1e-5)
    assert largest(prox, plain) > 1e-3


def _one_sgd_step(client, start, lr):
    model = client.loaded.model.train()
    set_adapter_state(model, start)
    model.zero_grad()
    data = client._trainer.data_collator(client.batches("e", 0)[:4])
    model(**{k: data[k] for k in ("input_ids", "attention_mask", "labels")}).loss.backward()
    moved = {k: (p.detach() - lr * p.grad).clone() for k, p in trainable(model).items()}
    model.zero_grad()
    return moved


def test_a_scaffold_step_is_shifted(new_client):
    """One step: the plain one less lr (c - c_k), after clipping and AdamW, and c_k' says how far the client came."""
    client = new_client(local_steps=1)
    start = random_state(client.loaded.model, 4)
    c, own = ({name: value * torch.ones_like(t) for name, t in start.items()} for value in (0.5, -0.25))
    scaffold = make_algorithm("scaffold")
    plain = client.train("e", message(client, state=start), FEDAVG, {}).local
    send = message(client, state=start, extra=c)
    shifted = client.train("e", send, scaffold, own).local
    finished = scaffold.finish_client(send, shifted, own, 1)
    for name, t in shifted.items():
        torch.testing.assert_close(t, plain[name] - 1e-2 * 0.75, rtol=1e-5, atol=1e-6)
        wanted = -0.25 - 0.5 + (start[name] - t) / 1e-2
        torch.testing.assert_close(finished.client_state[name], wanted, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(finished.upload[name], wanted + 0.25, rtol=1e-4, atol=1e-4)


def test_the_reported_loss_is_the_mean_over_the_steps(new_client):
    client = new_client(local_steps=3, batch_size=2)
    start = random_state(client.loaded.model, 4)
    reported = client.train("e", message(client, 1e-9, state=start), FEDAVG, {}).loss  # the weights stand still
    model, rows = client.loaded.model.eval(), client.batches("e", 0)
    set_adapter_state(model, start)
    losses = []
    for i in range(0, 6, 2):
        data = client._trainer.data_collator(rows[i : i + 2])
        with torch.no_grad():
            losses.append(model(**{k: data[k] for k in ("input_ids", "attention_mask", "labels")}).loss.item())
    assert np.std(losses) > 1e-3
    assert reported == pytest.approx(np.mean(losses), rel=1e-4)


def test_a_run_leaves_the_global_random_states_alone(tiny_spec, federation, tmp_path):
    """Loading, building the trainer, training: everything draws from its own generator."""
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    before = random.getstate(), [str(x) for x in np.random.get_state()], torch.get_rng_state()
    run(make_config(tiny_spec, federation, "scaffold"), federation, tmp_path, progress=False)
    after = random.getstate(), [str(x) for x in np.random.get_state()], torch.get_rng_state()
    assert before[:2] == after[:2] and torch.equal(before[2], after[2])


def test_a_run_does_not_depend_on_the_global_random_states(tiny_loaded, tiny_spec, federation, tmp_path):
    ends = []
    for seed in (1, 2):
        random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
        config = make_config(tiny_spec, federation)
        ends.append(run(config, federation, tmp_path / str(seed), loaded=tiny_loaded, progress=False).adapter)
    assert same(*ends)


def test_the_collector_is_thawed_after_a_run_and_after_an_error(
    tiny_loaded, tiny_spec, federation, tmp_path, monkeypatch
):
    during = []
    config = make_config(tiny_spec, federation)
    monkeypatch.setattr("fedkit.training.simulation.frozen_gc", frozen_gc)  # the real one
    gc.unfreeze()
    assert gc.get_freeze_count() == 0
    run(config, federation, tmp_path, loaded=tiny_loaded, on_client=lambda *_: during.append(gc.get_freeze_count()))
    assert len(during) == 4 and min(during) > 1000
    assert gc.get_freeze_count() == 0
    with pytest.raises(KeyError), frozen_gc():
        raise KeyError
    assert gc.get_freeze_count() == 0


def test_the_token_cache_is_bounded_and_drops_the_least_recent(new_client, monkeypatch):
    client = new_client()
    sizes = {name: len(client.encoded(name).tokens) for name in "abcde"}
    client._encoded.clear()
    monkeypatch.setattr(client_base, "CACHED_TOKENS", sizes["a"] + sizes["b"] + sizes["c"])
    for name in "abc":
        client.encoded(name)
    assert list(client._encoded) == ["a", "b", "c"]
    kept = client.encoded("a")  # now b is the oldest
    client.encoded("b"), client.encoded("a"), client.encoded("d")
    assert client.encoded("a") is kept
    assert sum(sizes[name] for name in client._encoded) <= client_base.CACHED_TOKENS
    client.encoded("e")  # alone it is more than the bound, and is kept all the same
    assert sizes["e"] > 0 and "e" in client._encoded
    monkeypatch.setattr(client_base, "CACHED_TOKENS", 1)
    client.encoded("b")
    assert list(client._encoded) == ["b"]


def test_closing_gives_the_model_back(tiny_loaded, federation):
    """TRL wraps `forward`; ten trainers on one model must not wrap it ten times."""
    base = tiny_loaded.model.get_base_model()
    own = base.forward
    assert "forward" not in vars(base)
    client = SFTClient(tiny_loaded, federation, SHORT, seed=0)
    scratch = Path(client._scratch.name)
    assert "forward" in vars(base) and scratch.is_dir()
    client.close()
    assert base.forward == own and "forward" not in vars(base) and not scratch.exists()
    base.forward = wrapped = lambda *args, **kwargs: own(*args, **kwargs)  # another library's wrap is put back
    try:
        SFTClient(tiny_loaded, federation, SHORT, seed=0).close()
        assert base.forward is wrapped
    finally:
        del base.forward


@pytest.mark.parametrize(
    "change",
    [{"dtype": "bfloat16"}, {"dtype": "float16"}, {"quantization": "8bit"}, {"quantization": "4bit"}],
    ids=lambda c: next(iter(c.values())),
)
def test_low_precision_bases_train_with_a_float32_adapter(tiny_spec, federation, change):
    """A rate as small as the paper's must move the adapter, and no more than AdamW can: steps x lr.

    In bfloat16 an entry of 0.1 has neighbours 5e-4 away, so such a step would be lost, or be one of rounding.
    """
    if "quantization" in change:
        pytest.importorskip("bitsandbytes")
    loaded = load_model(replace(tiny_spec, **change))
    client = SFTClient(loaded, federation, replace(SHORT, local_steps=2, batch_size=4), seed=0)
    assert {p.dtype for p in trainable(loaded.model).values()} == {torch.float32}
    start = random_state(loaded.model, 4)
    small = client.train("e", message(client, 1e-5, state=start), FEDAVG, {})
    assert np.isfinite(small.loss)
    assert 0.9e-5 < largest(small.local, start) < 2.1e-5
    losses, state = [], initial_state(loaded.model, 0)
    for round in range(6):
        result = client.train("e", message(client, 1e-2, round, state), FEDAVG, {})
        losses, state = [*losses, result.loss], result.local
    client.close()
    assert np.mean(losses[3:]) < 0.9 * np.mean(losses[:1])
    assert same(adapter_state(loaded.model), state)


def test_gradient_checkpointing_gives_the_same_step(tiny_spec, tiny_loaded, federation):
    ends = []
    for loaded in (tiny_loaded, load_model(replace(tiny_spec, gradient_checkpointing=True))):
        client = SFTClient(loaded, federation, SHORT, seed=0)
        ends.append(client.train("e", message(client), FEDAVG, {}).local)
        client.close()
    assert largest(*ends) < 1e-5


def test_labels_of_the_cache_are_answers(new_client, federation):
    client = new_client()
    for i, record in enumerate(federation.records("e")):
        row = client.encoded("e")[i]
        answer = [t for t in row["labels"] if t != IGNORED]
        assert client.loaded.tokenizer.decode(answer) == record["response"] + "</s>"


def test_torch_seed_is_what_makes_dropout(dropout_loaded):
    """Guards the tests above: this model's output does depend on torch's generator."""
    model = dropout_loaded.model.train()
    set_adapter_state(model, random_state(model, 1))
    outs = []
    for seed in (0, 0, 1):
        with torch_seed(seed, "x"), torch.no_grad():
            outs.append(model(input_ids=torch.arange(3, 13)[None]).logits)
    assert torch.equal(outs[0], outs[1]) and not torch.equal(outs[0], outs[2])
