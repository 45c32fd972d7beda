"""Records as texts by client: each kind of dataset, draws of records and of clients, lengths in tokens."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from core_tools import make_federation

from fedkit.analysis.client_texts import drawn_clients, lengths, of_clients, texts, token_counts
from fedkit.common.errors import FedkitError
from fedkit.data.federated import FederatedDataset


def federation(columns, sizes):
    ends = np.cumsum([0, *sizes])
    parts = {f"c{i}": np.arange(ends[i], ends[i + 1]) for i in range(len(sizes))}
    return FederatedDataset.from_partition(pa.table(columns), parts, name="toy")


def pairs(sizes):
    n = sum(sizes)
    return federation({"instruction": [f"q{i}" for i in range(n)], "response": [f"a{i}" for i in range(n)]}, sizes)


def test_instruction_and_response_by_owner():
    records = texts(pairs([2, 3]))
    assert records.instruction == ["q0", "q1", "q2", "q3", "q4"] and records.response[-1] == "a4"
    assert records.owner.tolist() == [0, 0, 1, 1, 1] and records.sizes.tolist() == [2, 3]
    assert records.language == ["und"] * 5 and records.rejected is None and len(records) == 5


def test_the_chosen_answer_is_the_response_of_a_preference_pair():
    columns = {"instruction": ["q"], "chosen": ["good"], "rejected": ["bad"], "language": ["en"]}
    records = texts(federation(columns, [1]))
    assert (records.response, records.rejected, records.language) == (["good"], ["bad"], ["en"])


def test_a_conversation_is_all_that_each_role_said():
    turns = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    talk = [{"role": role, "content": content} for role, content in turns]
    records = texts(federation({"conversation": [talk]}, [1]))
    assert (records.instruction, records.response) == (["a\nc"], ["b\nd"])


def test_other_columns_are_named():
    with pytest.raises(FedkitError, match="toy has the columns prompt; texts need instruction and response"):
        texts(federation({"prompt": ["x"]}, [1]))


def test_a_draw_of_records_takes_some_of_each_client_in_order():
    dataset = pairs([5, 2, 40])
    records = texts(dataset, per_client=4, seed=3)
    assert records.sizes.tolist() == [4, 2, 4]
    assert (np.diff(records.rows) > 0).all()
    assert records.instruction == [f"q{row}" for row in records.rows]
    assert records.rows.tolist() == texts(dataset, per_client=4, seed=3).rows.tolist()
    assert records.rows.tolist() != texts(dataset, per_client=4, seed=4).rows.tolist()


def test_a_draw_of_clients_and_their_records():
    whole = texts(pairs([5, 1, 3, 4]))
    places = drawn_clients(whole, 2, seed=1, at_least=3)
    assert len(places) == 2 and set(places.tolist()) <= {0, 2, 3}
    part = of_clients(whole, places)
    assert part.clients == tuple(whole.clients[i] for i in places)
    assert part.sizes.tolist() == whole.sizes[places].tolist()
    assert part.instruction == [f"q{row}" for row in part.rows]
    assert drawn_clients(whole, 9).tolist() == [0, 1, 2, 3]
    with pytest.raises(FedkitError, match="no client of toy has 6 records"):
        drawn_clients(whole, 1, at_least=6)


def test_counts_are_the_tokenizers_without_special_tokens(tiny_tokenizer):
    some = ["The capital of Italy is Rome.", "", "Москва", "భారతదేశం", "a\nb", "Paris " * 50]
    alone = [len(tiny_tokenizer.encode(text, add_special_tokens=False)) for text in some]
    assert token_counts(some, tiny_tokenizer).tolist() == alone and alone[1] == 0
    for batch in (1, 2, 5):
        assert token_counts(some, tiny_tokenizer, batch=batch).tolist() == alone
    assert token_counts([], tiny_tokenizer).tolist() == []


def test_no_begin_token_is_counted_where_the_tokenizer_would_add_one():
    """Llama tokenizers put a begin token before every text; a length is of the text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({"<s>": 0, "one": 1, "two": 2, "?": 3}, unk_token="?"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", unk_token="?")
    assert len(tokenizer("one two")["input_ids"]) == 3
    assert token_counts(["one two", "two"], tokenizer).tolist() == [2, 1]


def test_a_table_of_lengths_by_record(tiny_tokenizer):
    data = make_federation([3, 6])
    frame = lengths(texts(data), tiny_tokenizer)
    assert frame["owner"].tolist() == [0] * 3 + [1] * 6 and "rejected" not in frame
    for column in ("instruction", "response"):
        assert frame[column].tolist() == token_counts(data.table[column].to_pylist(), tiny_tokenizer).tolist()


def test_pairs_and_conversations_have_lengths_too(tiny_tokenizer):
    pair = pa.table({"instruction": ["Why?"], "chosen": ["So."], "rejected": ["That is not so, since it is not."]})
    frame = lengths(texts(FederatedDataset.from_partition(pair, {"a": np.array([0])}, name="p")), tiny_tokenizer)
    assert frame["rejected"][0] > frame["response"][0] > 0
    turns = [{"role": "user", "content": "A b"}, {"role": "assistant", "content": "c"}] * 2
    talk = FederatedDataset.from_partition(pa.table({"conversation": [turns]}), {"a": np.array([0])}, name="c")
    assert lengths(texts(talk), tiny_tokenizer)["response"][0] == token_counts(["c\nc"], tiny_tokenizer)[0]
