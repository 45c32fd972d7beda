"""Federated DPO: its loss is the equation's, its reference the initial policy, its client TRL's own trainer."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from core_tools import largest, random_state, same
from datasets import Dataset
from pair_tools import PAIRED, make_pairs
from trl import DPOConfig, DPOTrainer

from fedkit.algorithms import Broadcast, make_algorithm
from fedkit.common.errors import FedkitError
from fedkit.profiles import get_profile
from fedkit.training.dpo import DPOClient
from fedkit.training.encoding import encode_pairs
from fedkit.training.models import adapter_state, load_model, set_adapter_state, trainable
from fedkit.training.prompts import encode_prompt, get_template

pytestmark = pytest.mark.usefixtures("frozen")
FEDAVG = make_algorithm("fedavg")


@pytest.fixture(scope="module")
def pairs():
    return make_pairs()


@pytest.fixture
def new_client(tiny_loaded, pairs):
    made = []

    def make(loaded=tiny_loaded, dataset=pairs, seed=0, start=None, folder=None, **settings):
        start = random_state(loaded.model, 9) if start is None else start
        spec = replace(PAIRED, **settings)
        made.append(DPOClient(loaded, dataset, spec, seed=seed, start=start, folder=folder))
        return made[-1]

    yield make
    for client in reversed(made):
        client.close()


def message(client, lr=1e-2, round=0, state=None, extra=None):
    return Broadcast(client.start if state is None else state, extra or {}, lr, round)


def slow_logp(model, prompt, answer):
    """log p(answer | prompt) token by token, from whole logits of one unpadded sequence."""
    ids = torch.tensor([prompt + answer])
    with torch.no_grad():
        table = torch.log_softmax(model.eval()(input_ids=ids, use_cache=False).logits[0].double(), dim=-1)
    return sum(float(table[len(prompt) + i - 1, token]) for i, token in enumerate(answer))


def slow_pairs(client, state, rows):
    """(pairs, 2) of that, under an adapter."""
    set_adapter_state(client.loaded.model, state)
    sides = ("chosen_ids", "rejected_ids")
    return np.array([[slow_logp(client.loaded.model, r["prompt_ids"], r[side]) for side in sides] for r in rows])


# The equation


@pytest.mark.parametrize("beta", [0.1, 0.7])
def test_the_loss_of_a_batch_is_the_closed_form(new_client, beta):
    """-log sigmoid(beta ((log p(c) - log p_ref(c)) - (log p(r) - log p_ref(r)))) from whole logits, in float64."""
    client = new_client(local_steps=1, batch_size=6, beta=beta)
    policy = random_state(client.loaded.model, 3, scale=0.2)
    result = client.train("d", message(client, 1e-12, state=policy), FEDAVG, {})
    rows = client.batches("d", 0)
    moved = slow_pairs(client, policy, rows) - slow_pairs(client, client.start, rows)
    margins = beta * (moved[:, 0] - moved[:, 1])
    assert np.abs(margins).max() > 0.05
    assert result.loss == pytest.approx(np.log1p(np.exp(-margins)).mean(), rel=1e-4)
    assert result.metrics["margin"] == pytest.approx(margins.mean(), abs=1e-4)
    assert result.metrics["accuracy"] == pytest.approx((margins > 0).mean(), abs=1e-6)


def test_kept_reference_is_the_slow_loop_and_the_initial_adapter(new_client):
    """Not the model without its adapter, which is far away."""
    client = new_client()
    rows = client.batches("e", 0)
    kept = np.array([[r["ref_chosen_logps"], r["ref_rejected_logps"]] for r in rows])
    np.testing.assert_allclose(kept, slow_pairs(client, client.start, rows), rtol=1e-4, atol=1e-4)
    with client.loaded.model.disable_adapter():
        bare = [slow_logp(client.loaded.model, r["prompt_ids"], r["chosen_ids"]) for r in rows]
    assert np.abs(kept[:, 0] - bare).min() > 0.01


def test_a_pair_is_computed_once_and_equals_a_recomputation(new_client, monkeypatch):
    computed, real = [], DPOClient.reference_logps
    monkeypatch.setattr(
        DPOClient, "reference_logps", lambda self, rows: (computed.extend(map(str, rows)), real(self, rows))[1]
    )
    client = new_client()
    seen = {}
    for round in range(8):
        client.train("e", message(client, round=round), FEDAVG, {})
        for row in client.batches("e", round):
            both = row.pop("ref_chosen_logps"), row.pop("ref_rejected_logps")
            assert seen.setdefault(str(row), both) == both
    assert len(computed) == len(set(computed)) == len(seen) == 20
    set_adapter_state(client.loaded.model, client.start)
    encoded = client.encoded("e")
    again = real(client, [encoded[i] for i in range(20)])
    np.testing.assert_allclose(again, [seen[str(encoded[i])] for i in range(20)], atol=1e-4)


def test_without_keeping_the_result_is_the_same(new_client):
    """Three rounds of one client; a pair's batch decides the last digits of its reference."""
    ends = []
    for keep in (True, False):
        client = new_client()
        client.keep = keep
        state = client.start
        for round in range(3):
            state = client.train("e", message(client, round=round, state=state), FEDAVG, {}).local
        ends.append(state)
    assert largest(*ends) < 1e-3 and largest(ends[0], client.start) > 1e-2


def test_at_the_start_the_margin_is_0_and_the_loss_ln_2(new_client):
    client = new_client(local_steps=1, batch_size=6)
    result = client.train("d", message(client), FEDAVG, {})
    assert result.metrics == {"margin": 0.0, "accuracy": 0.0}  # to the bit; a tie counts as wrong, as in TRL
    assert result.loss == pytest.approx(math.log(2), abs=1e-7)


def test_the_gradient_points_along_the_equations(new_client):
    """One SGD step from the reference: w - lr g with g = -(beta / 2) mean grad(log p(c) - log p(r))."""
    beta = 0.3
    client = new_client(local_steps=1, batch_size=6, max_grad_norm=1e9, beta=beta)
    client._trainer.args.optim = "sgd"
    local = client.train("d", message(client, 0.1), FEDAVG, {}).local
    model = client.loaded.model.eval()
    set_adapter_state(model, client.start)
    total = 0.0
    rows = client.batches("d", 0)
    set_adapter_state(model, client.start)
    for row in rows:
        for sign, side in ((1, "chosen_ids"), (-1, "rejected_ids")):
            ids, n = torch.tensor([row["prompt_ids"] + row[side]]), len(row["prompt_ids"])
            table = torch.log_softmax(model(input_ids=ids, use_cache=False).logits[0], dim=-1)
            total = total + sign * table[n - 1 : -1].gather(1, ids[0, n:, None]).sum()
    model.zero_grad()
    (-beta / 2 * total / len(rows)).backward()
    for name, p in trainable(model).items():
        torch.testing.assert_close(local[name], client.start[name] - 0.1 * p.grad, rtol=1e-4, atol=1e-6)
    model.zero_grad()


def test_trls_loss_and_ours_are_the_same_steps(new_client):
    """`answer_only` off is what a GPU runs: TRL's own loss and metrics over its fused head."""
    ends = []
    for mine in (True, False):
        client = new_client()
        client._trainer.answer_only = mine
        policy = random_state(client.loaded.model, 3)
        ends.append(client.train("e", message(client, state=policy), FEDAVG, {}))
    one, two = ends
    assert largest(one.local, two.local) < 1e-5 and one.loss == pytest.approx(two.loss, rel=1e-5)
    assert one.metrics == pytest.approx(two.metrics, abs=1e-5) and set(one.metrics) == {"margin", "accuracy"}


# The client loop


def test_one_client_is_trls_own_trainer(tiny_spec, tiny_loaded, new_client):
    """A DPOTrainer built directly on the same pairs, with its own copy of the adapter as reference."""
    client = new_client(grad_accum=2, lr_first=1e-2)
    result = client.train("e", message(client), FEDAVG, {})
    rows = client.batches("e", 0)
    columns = ("prompt_ids", "chosen_ids", "rejected_ids")
    loaded = load_model(tiny_spec)
    set_adapter_state(loaded.model, client.start)
    args = DPOConfig(
        output_dir=client._scratch.name,
        max_steps=3,
        per_device_train_batch_size=3,
        gradient_accumulation_steps=2,
        learning_rate=1e-2,
        lr_scheduler_type="constant",
        optim="adamw_torch",
        weight_decay=0.0,
        max_grad_norm=1.0,
        max_length=None,
        beta=0.1,
        train_sampling_strategy="sequential",
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )

    class Direct(DPOTrainer):
        def _prepare_dataset(self, dataset, *_):
            return dataset

    data = Dataset.from_dict({c: [r[c] for r in rows] for c in columns})
    trainer = Direct(model=loaded.model, args=args, train_dataset=data, processing_class=loaded.tokenizer)
    output = trainer.train()
    local = {name: t for name, t in adapter_state(loaded.model).items() if ".ref." not in name}
    assert largest(local, result.local) < 1e-4 < 1e-2 < largest(local, client.start)
    assert output.training_loss == pytest.approx(result.loss, rel=1e-4)


def test_a_reused_trainer_is_a_fresh_one_to_the_bit(new_client):
    turns = [("e", 0, 1e-2), ("a", 0, 1e-2), ("c", 1, 3e-3), ("e", 0, 1e-2)]
    reused = new_client()
    together = [reused.train(n, message(reused, lr, t), FEDAVG, {}) for n, t, lr in turns]
    for (n, t, lr), one in zip(turns, together, strict=True):
        fresh = new_client()
        alone = fresh.train(n, message(fresh, lr, t), FEDAVG, {})
        assert same(alone.local, one.local) and alone.loss == one.loss and alone.metrics == one.metrics


def test_closing_gives_the_model_back(tiny_spec, pairs):
    """No second adapter, no wrapped forward, dropout as before; and a next client can be built."""
    loaded = load_model(replace(tiny_spec, lora=replace(tiny_spec.lora, dropout=0.2)))
    names, base = list(trainable(loaded.model)), loaded.model.get_base_model()
    drop = [m for m in loaded.model.modules() if isinstance(m, torch.nn.Dropout)]
    assert {m.p for m in drop} == {0.2}
    for _ in range(2):
        client = DPOClient(loaded, pairs, PAIRED, seed=0, start=random_state(loaded.model, 1))
        assert list(trainable(loaded.model)) == names and list(loaded.model.peft_config) == ["default"]
        assert {m.p for m in drop} == {0.0}
        client.close()
        assert {m.p for m in drop} == {0.2} and "forward" not in vars(base)
        assert list(trainable(loaded.model)) == names


def test_dpo_needs_its_initial_policy(tiny_loaded, pairs):
    with pytest.raises(FedkitError, match="needs the adapter that the run starts from"):
        DPOClient(tiny_loaded, pairs, PAIRED, seed=0)


def test_the_reference_is_kept_on_disk_and_a_broken_file_is_made_again(new_client, tmp_path):
    client = new_client(folder=tmp_path)
    rows = client.batches("d", 0)
    (path,) = (tmp_path / "reference").iterdir()
    table = np.load(path, allow_pickle=False)
    assert path.name == "0000003.npy" and table.shape == (12, 2) and np.isfinite(table[:, 0]).sum() == 9
    for harm in (lambda: None, lambda: path.write_bytes(b"half"), path.unlink):
        harm()
        assert new_client(folder=tmp_path).batches("d", 0) == rows


# Dynamic steps


def test_dynamic_steps_are_the_formula():
    """settings: ceil(3 n / (T S / N) / (batch x accumulation)), with the paper's numbers: 2.68 draws a client."""
    paper = get_profile("paper").dataset("fed_chatbot_pa").train
    assert (paper.rounds, paper.clients_per_round, paper.batch_size, paper.grad_accum) == (200, 10, 8, 1)
    assert (paper.dynamic_epochs, paper.beta, paper.task) == (3.0, 0.1, "dpo")
    for n in (5, 13, 154, 500):
        assert paper.steps_of(n, 747) == math.ceil(3 * n / (200 * 10 / 747) / 8)
    assert [paper.steps_of(n, 747) for n in (5, 13, 154)] == [1, 2, 22]
    assert replace(paper, dynamic_epochs=None).steps_of(154, 747) == paper.local_steps


def test_a_client_makes_its_own_number_of_steps(new_client):
    """E n / (T S / N) / batch = n / (4 / 5) / 3: 2, 3, 4, 5 and 9 steps; each turn reads steps x batch pairs."""
    client = new_client(dynamic_epochs=1.0)
    results = {name: client.train(name, message(client), FEDAVG, {}) for name in "abcde"}
    assert {name: r.steps for name, r in results.items()} == {"a": 2, "b": 3, "c": 4, "d": 5, "e": 9}
    for name, r in results.items():
        rows = client.batches(name, 0)
        assert len(rows) == 3 * r.steps and r.tokens == sum(map(client._tokens, rows))


# Encoding


@pytest.mark.parametrize("template", ["alpaca", "vicuna_v1.1"])
@pytest.mark.parametrize("room", [1, 3, 1000])
def test_prompts_and_answers_are_apart_to_the_token(tiny_tokenizer, pairs, template, room):
    """Each part is what the tokenizer gives alone; truncation takes the answers' ends and leaves a token of both."""
    form, records = get_template(template), pairs.records("c")
    heads = [encode_prompt(tiny_tokenizer, form.prompt(r["instruction"], r["language"])) for r in records]
    longest = max(map(len, heads))
    encoded = encode_pairs(tiny_tokenizer, form, records, longest + room)
    assert len(encoded) + encoded.alike == len(records) and encoded.no_room == 0
    for i in range(len(encoded)):
        record, head, row = records[encoded.kept[i]], heads[encoded.kept[i]], encoded[i]
        assert row["prompt_ids"] == head
        for side in ("chosen", "rejected"):
            whole = [*tiny_tokenizer(record[side], add_special_tokens=False)["input_ids"], 1]
            assert row[f"{side}_ids"] == whole[: longest + room - len(head)] != []


def test_the_collator_masks_answers_alone(new_client):
    client = new_client()
    rows = client.batches("e", 0)[:4]
    batch = client._trainer.data_collator(rows)
    for side, at in (("chosen_ids", 0), ("rejected_ids", 4)):
        for i, row in enumerate(rows):
            ids, mask = batch["input_ids"][at + i], batch["completion_mask"][at + i].bool()
            assert ids[mask].tolist() == row[side] and ids[batch["attention_mask"][at + i].bool()].tolist() == (
                row["prompt_ids"] + row[side]
            )


def test_pairs_that_cannot_be_read_are_counted(tiny_tokenizer):
    form = get_template("alpaca_english")
    pair = {"instruction": "Hi", "chosen": "the same beginning, yes", "rejected": "the same beginning, no"}
    long = pair | {"instruction": "Hi " * 200}
    short = len(encode_prompt(tiny_tokenizer, form.prompt("Hi")))
    encoded = encode_pairs(tiny_tokenizer, form, [long, pair, pair], short + 100)
    assert (len(encoded), encoded.no_room, encoded.alike, encoded.skipped) == (2, 1, 0, 1)
    with pytest.raises(FedkitError, match="no pair has answers that differ within max_length"):
        encode_pairs(tiny_tokenizer, form, [long, pair], short + 2, where="client a")
    with pytest.raises(FedkitError, match="client a: max_length 8 leaves no answer token in any of 1 records"):
        encode_pairs(tiny_tokenizer, form, [pair], 8, where="client a")
