"""Lengths, quantities and the knob from iid to natural, against values worked out by hand."""

import numpy as np
import pyarrow as pa
import pytest
from core_tools import make_federation

from fedkit.analysis.diversity import gini, label_divergence
from fedkit.analysis.knob import ALPHAS, inequality, owners, stops, turn
from fedkit.analysis.lengths import client_means, lengths, mean_and_sd, profile_tokenizer, token_counts
from fedkit.analysis.quantity import describe_sizes, lorenz
from fedkit.analysis.texts import texts
from fedkit.common.errors import FedkitError
from fedkit.data.federated import FederatedDataset
from fedkit.profiles import get_profile


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


def test_means_by_client_and_over_clients():
    # Client 0: 1, 3 -> 2; client 1: 8 -> 8; client 2 has none. Over clients: mean 5, sd 3; over records: mean 4.
    means = client_means([1, 3, 8], [0, 0, 1], 3)
    assert means[:2].tolist() == [2.0, 8.0] and np.isnan(means[2])
    assert mean_and_sd([1, 3, 8], [0, 0, 1], 2) == (5.0, 3.0)
    assert mean_and_sd([1, 3, 8, np.nan], [0, 0, 1, 1], 3) == (5.0, 3.0)
    with pytest.raises(FedkitError, match="no client has a value"):
        mean_and_sd([np.nan], [0], 1)
    with pytest.raises(FedkitError, match="2 values have 1 owners"):
        client_means([1, 2], [0], 1)


def test_the_embedded_tokenizer_is_the_profiles():
    tokenizer = profile_tokenizer(get_profile("mini"))
    assert tokenizer.decode(tokenizer("Rome", add_special_tokens=False)["input_ids"]) == "Rome"


def test_sizes_in_numbers():
    described = describe_sizes([1] * 18 + [31, 51])
    assert described["clients"] == 20 and described["records"] == 100 and described["mean"] == 5.0
    assert described["smallest"] == 1 and described["median"] == 1.0 and described["largest"] == 51
    assert described["held by the largest tenth"] == pytest.approx(0.82)
    assert described["sd"] == pytest.approx(np.std([1] * 18 + [31, 51]))
    with pytest.raises(FedkitError, match="no clients"):
        describe_sizes([])


def test_gini_is_one_less_twice_the_area_under_the_lorenz_curve():
    sizes = [3, 1, 4, 1, 5, 9, 2, 6]
    clients, records = lorenz(sizes)
    assert clients[0] == records[0] == 0 and clients[-1] == records[-1] == 1
    assert gini(sizes) == pytest.approx(1 - 2 * np.trapezoid(records, clients))


def labelled(sizes, kinds):
    labels = np.repeat([f"l{i % kinds}" for i in range(len(sizes))], sizes)
    ends = np.cumsum([0, *sizes])
    parts = {f"c{i:03d}": np.arange(ends[i], ends[i + 1]) for i in range(len(sizes))}
    return FederatedDataset.from_partition(pa.table({"language": labels}), parts, name="t"), labels


def test_the_knobs_ends_are_the_iid_and_the_natural_split():
    data, labels = labelled([10, 20, 70, 100], 4)
    assert owners(data, "natural").tolist() == np.repeat(range(4), [10, 20, 70, 100]).tolist()
    assert np.bincount(owners(data, "iid")).tolist() == [50] * 4
    for split in ("iid", 10.0, 0.1):
        assert len(np.unique(owners(data, split))) == 4 and len(owners(data, split)) == 200
    curve = turn(data, {"labels": label_divergence(labels.tolist()), "sizes": inequality}, draws=3)
    assert curve["split"].unique().tolist() == ["iid", "100", "10", "1", "0.3", "0.1", "natural"]
    assert len(curve) == (3 * (1 + len(ALPHAS)) + 1) * 2
    natural = curve[curve["split"] == "natural"].set_index("measure")["value"]
    assert natural["sizes"] == pytest.approx(gini([10, 20, 70, 100]))
    shares = np.array([10, 20, 70, 100]) / 200  # one label a client: all of the labels' entropy is between clients
    assert natural["labels"] == pytest.approx(-(shares * np.log2(shares)).sum())
    means = curve.groupby(["measure", "split"])["value"].mean()
    assert means["labels", "iid"] < means["labels", "1"] < means["labels", "0.1"]
    assert means["sizes", "iid"] == pytest.approx(0.0)


def test_the_knob_splits_by_the_labels_that_it_is_given():
    data, _ = labelled([50, 50], 1)
    topic = ["a", "b"] * 50
    by_topic = label_divergence(topic)
    assert by_topic(owners(data, 0.01, labels=topic, seed=1)) > 0.5 > by_topic(owners(data, "iid"))
    assert owners(data, 0.5, seed=1).tolist() != owners(data, 0.5, seed=2).tolist()


def test_mistakes_of_the_knob_are_sentences():
    data, _ = labelled([5, 5], 1)
    with pytest.raises(FedkitError, match="unknown split 'dirichlet'"):
        owners(data, "dirichlet")
    with pytest.raises(FedkitError, match="3 labels for 10 records"):
        owners(data, 0.1, labels=["a"] * 3)
    without = FederatedDataset.from_partition(pa.table({"x": [1, 2]}), {"a": np.arange(2)}, name="t")
    with pytest.raises(FedkitError, match="no column language"):
        owners(without, 1.0)
    assert stops([0.1, 5]) == ["iid", 5.0, 0.1, "natural"]
