"""Conversations to train on: the loss covers every answer and nothing else, and the client loop trains on them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import torch
from core_tools import SHORT, random_state

from fedkit.algorithms import Broadcast, make_algorithm
from fedkit.common.errors import FedkitError
from fedkit.data.federated import FederatedDataset
from fedkit.training.encoding import IGNORED, encode, encode_conversations
from fedkit.training.models import set_adapter_state
from fedkit.training.prompts import TEMPLATES, conversation_prompt, get_template
from fedkit.training.sft import SFTClient


def chat(*texts):
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


THREE = chat("Capital of France?", "Paris.", "And of Spain?", " Madrid. ", "Thank you!", "You are welcome.")


@pytest.fixture
def tokenizer(tiny_folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_folder)


def spelled(tokenizer, ids):
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize("template", TEMPLATES)
def test_labels_cover_the_answers_and_their_ends(tokenizer, template):
    """The tokens spell the prompt for the last answer and that answer; the labels every answer with its end token."""
    row = encode_conversations(tokenizer, get_template(template), [{"conversation": THREE}], 2000)[0]
    begin, end = tokenizer.bos_token or "", tokenizer.eos_token
    whole = begin + conversation_prompt(template, THREE[:-1], end=end) + THREE[-1]["content"] + end
    assert spelled(tokenizer, row["input_ids"]) == whole
    labels = [i for i, label in zip(row["input_ids"], row["labels"], strict=True) if label != IGNORED]
    assert spelled(tokenizer, labels) == f"Paris.{end}Madrid.{end}You are welcome.{end}"
    assert all(label in (IGNORED, i) for i, label in zip(row["input_ids"], row["labels"], strict=True))


def test_one_exchange_is_an_instruction_with_its_response(tokenizer):
    """Token for token what `encode` makes of the same two texts."""
    form = get_template("vicuna_v1.1")
    one = encode_conversations(tokenizer, form, [{"conversation": THREE[:2], "language": "en"}], 300)
    other = encode(
        tokenizer, form, [{"instruction": "Capital of France?", "response": "Paris.", "language": "en"}], 300
    )
    assert one[0] == other[0] and one.prompt_lengths.tolist() == other.prompt_lengths.tolist()


def test_every_cut_is_a_prefix_and_a_full_prompt_is_skipped(tokenizer):
    form = get_template("alpaca")
    whole = encode_conversations(tokenizer, form, [{"conversation": THREE}], 2000)
    row, first = whole[0], int(whole.prompt_lengths[0])
    for length in (first + 1, first + 9, len(row["input_ids"]) - 1):
        cut = encode_conversations(tokenizer, form, [{"conversation": THREE}], length)[0]
        assert cut["input_ids"] == row["input_ids"][:length] and cut["labels"] == row["labels"][:length]
        assert cut["labels"][-1] != IGNORED or length > first + 1
    long = {"conversation": chat("Why? " * 400, "Because.")}
    both = encode_conversations(tokenizer, form, [long, {"conversation": THREE}], len(row["input_ids"]))
    assert both.skipped == 1 and len(both) == 1 and both[0] == row
    with pytest.raises(FedkitError, match="client x: max_length 5 leaves no answer token"):
        encode_conversations(tokenizer, form, [{"conversation": THREE}], 5, where="client x")


def test_an_unanswered_turn_is_left_out_and_disorder_is_named(tokenizer):
    form = get_template("alpaca")
    open_end = encode_conversations(tokenizer, form, [{"conversation": THREE[:3]}], 2000)
    assert open_end[0] == encode_conversations(tokenizer, form, [{"conversation": THREE[:2]}], 2000)[0]
    with pytest.raises(FedkitError, match="has no answer"):
        encode_conversations(tokenizer, form, [{"conversation": THREE[:1]}], 2000)
    with pytest.raises(FedkitError, match="turns alternate"):
        encode_conversations(tokenizer, form, [{"conversation": [THREE[1], THREE[0]]}], 2000)


def test_the_client_loop_trains_on_conversations(tiny_loaded, frozen):
    """The loss of one step is the mean over all answer tokens, each answer given all that was said before it."""
    table = pa.table({"conversation": [THREE, THREE[:4]], "language": ["en", "en"]})
    data = FederatedDataset.from_partition(table, {"a": np.arange(2)}, name="chats")
    spec = dataclasses.replace(SHORT, local_steps=1, batch_size=2, max_length=2000)
    state = random_state(tiny_loaded.model, 3)
    client = SFTClient(tiny_loaded, data, spec, seed=0)
    try:
        result = client.train("a", Broadcast(state, {}, 1e-3, 0), make_algorithm("fedavg"), {})
    finally:
        client.close()
    set_adapter_state(tiny_loaded.model, state)
    model, tok, total, count = tiny_loaded.model.eval(), tiny_loaded.tokenizer, 0.0, 0
    for turns in (THREE, THREE[:4]):
        for last in range(2, len(turns) + 1, 2):  # each answer by itself, after the whole of what came before
            row = encode_conversations(tok, get_template(spec.template), [{"conversation": turns[:last]}], 2000)[0]
            answer = len(tok(turns[last - 1]["content"].strip(), add_special_tokens=False)["input_ids"]) + 1
            with torch.no_grad():
                logp = torch.log_softmax(model(input_ids=torch.tensor([row["input_ids"]])).logits[0], dim=-1)
            ids = row["input_ids"]
            total -= sum(float(logp[i - 1, ids[i]]) for i in range(len(ids) - answer, len(ids)))
            count += answer
    assert result.loss == pytest.approx(total / count, rel=1e-4)
