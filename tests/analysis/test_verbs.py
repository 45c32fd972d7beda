"""Root verbs and nouns: the offline rules against the hand-made test set, whole datasets, the cache, the counts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedkit.analysis.client_texts import texts
from fedkit.analysis.verbs.counts import OTHER, top_verbs, verb_counts, verb_nouns, verb_shares
from fedkit.analysis.verbs.extractors import accuracy, extractor, gold, pairs, root_verbs
from fedkit.analysis.verbs.offline import extract
from fedkit.analysis.verbs.tokens import Pair, first_sentence
from fedkit.common.errors import FedkitError
from fedkit.data.federated import FederatedDataset


@pytest.fixture(scope="module")
def offline():
    return extractor("offline")


def federation(by_client):
    """A dataset of {client: [(instruction, language), ...]}."""
    rows, partition = [], {}
    for client, instructions in by_client.items():
        partition[client] = np.arange(len(rows), len(rows) + len(instructions))
        rows += [{"instruction": text, "response": "x", "language": language} for text, language in instructions]
    return FederatedDataset.from_partition(pa.Table.from_pylist(rows), partition, name="toy")


@pytest.fixture(scope="module")
def frame(offline):
    dataset = federation(
        {
            "a": [("Write a poem.", "en"), ("Write a story.", "en"), ("Explain gravity.", "en"), ("Escribe.", "es")],
            "b": [("Write a poem.", "en"), ("What is the time?", "en")],
            "c": [("Where is the sea?", "en")],
            "d": [("Écris un poème.", "fr")],
        }
    )
    return root_verbs(texts(dataset), offline)


def test_the_gold_set_is_whole():
    """100 different instructions, 50 for either split, each of several kinds; a noun never without a verb."""
    examples = gold()
    assert len({e.text for e in examples}) == len(examples) == 100
    assert Counter(e.split for e in examples) == {"tune": 50, "held out": 50}
    assert len({e.kind for e in examples}) == 7
    assert all(e.verb or not e.noun for e in examples)
    assert 15 <= sum(e.verb is None for e in examples) <= 25
    verbs = Counter(e.verb for e in examples if e.verb)
    assert max(verbs.values()) <= 8  # no extractor does well by saying `write`


def test_offline_rules_get_nine_verbs_in_ten_in_both_splits(offline):
    table = accuracy([offline]).set_index("split")
    assert (table["verb"] >= 0.9).all() and (table["noun"] >= 0.9).all()
    assert (table["both"] <= table[["verb", "noun"]].min(axis=1)).all()
    assert table["examples"].to_dict() == {"tune": 50, "held out": 50, "all": 100}


def test_accuracy_of_known_extractors():
    """One that says nothing is right where there is nothing; one that knows the answers is always right."""

    class Silent:
        name = key = "silent"

        def __call__(self, batch):
            return [Pair(None, None)] * len(batch)

    class Knowing(Silent):
        def __call__(self, batch):
            known = {e.text: e.pair for e in gold()}
            return [known[text] for text in batch]

    table = accuracy([Silent(), Knowing()])
    silent = table[(table["extractor"] == "silent") & (table["split"] == "all")].iloc[0]
    assert silent["verb"] == sum(e.verb is None for e in gold()) / 100
    assert silent["noun"] == sum(e.noun is None for e in gold()) / 100
    assert (table.tail(3)[["verb", "noun", "both"]] == 1).all(axis=None)


# Sentences that are not in the gold set, one for each rule.
CASES = {
    "Compose a limerick.": ("compose", "limerick"),
    "please, draft an invoice": ("draft", "invoice"),
    "1. Sort the numbers": ("sort", "number"),
    "- Rank these films": ("rank", "film"),
    "Send my boss an email.": ("send", "email"),
    "Write my sister's wedding speech": ("write", "speech"),
    "Write a short and sweet poem": ("write", "poem"),
    "Draw a picture of Paris.": ("draw", "picture"),
    "Describe Paris.": ("describe", None),  # a name
    "Write it again.": ("write", None),  # a pronoun
    "Tell her a story": ("tell", "story"),
    "Quickly list the planets": ("list", "planet"),
    "Do not use adjectives": ("use", "adjective"),
    "Don't panic": ("panic", None),
    "Let's eat": ("let", None),
    "What is love?": (None, None),
    "What's new?": (None, None),
    "What are you doing?": ("do", None),
    "Why is my dog barking?": ("bark", None),
    "How is cheese made?": ("make", None),
    "Who painted this wall?": ("paint", "wall"),
    "What causes thunder?": ("cause", "thunder"),
    "How many legs does a spider have?": ("have", "leg"),
    "What time does the bank open?": ("open", None),  # a time is no object
    "How to bake a cake": ("bake", "cake"),
    "Can I freeze soup?": ("freeze", "soup"),
    "Could you kindly proofread my thesis?": ("proofread", "thesis"),
    "I am looking for a job": ("look", None),
    "I'd like a coffee.": ("like", "coffee"),
    "You are a chef.": (None, None),
    "The dog ate my homework.": ("eat", "homework"),
    "If it rains, take an umbrella.": ("take", "umbrella"),
    "As a poet, praise the sea.": ("praise", "sea"),
    "Q: name a colour": ("name", "colour"),
    "Email templates for teachers": (None, None),
    "cheap flights to Rome": (None, None),
    "12 * 7": (None, None),
    "WRITE A POEM ABOUT RAIN": ("write", "poem"),
    "Hello! Write a poem.": (None, None),  # the first sentence alone
    "": (None, None),
    "   \n\n": (None, None),
    "?!": (None, None),
}


@pytest.mark.parametrize("text", CASES)
def test_offline_rules_one_by_one(text):
    assert extract(text) == CASES[text]


def test_first_sentence():
    assert first_sentence("Use tools, e.g. a saw. Then rest.") == "Use tools, e.g. a saw."
    assert first_sentence("\n\n* Sum up:\nthe text") == "Sum up:"
    assert first_sentence("What is 3.5 + 1? Tell me.") == "What is 3.5 + 1?"
    assert first_sentence("... !") == ""


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(), st.lists(st.sampled_from("how to do not the a write 's be , \" ' ( : . is".split())).map(" ".join)
    )
)
def test_no_text_stops_the_rules(text):
    pair = extract(text)
    assert pair.verb is not None or pair.noun is None


def test_root_verbs_keeps_english_records_with_client_and_row(frame):
    assert list(frame.columns) == ["client", "row", "verb", "noun"]
    assert frame["client"].tolist() == ["a", "a", "a", "b", "b", "c"] and frame["row"].tolist() == [0, 1, 2, 4, 5, 6]
    assert frame["verb"].tolist()[:4] == ["write", "write", "explain", "write"] and frame["verb"].isna().sum() == 2
    assert frame.attrs == {"dataset": "toy", "extractor": extractor("offline").name, "left_out": 2, "unread": 0}


def test_other_languages_and_none_at_all(offline):
    dataset = federation({"a": [("Escribe un poema.", "es")]})
    assert len(root_verbs(texts(dataset), offline)) == 0
    assert len(root_verbs(texts(dataset), offline, language=None)) == 1
    empty = root_verbs(texts(dataset), offline)
    assert top_verbs(empty).empty and verb_nouns(empty).empty and verb_shares(empty, ["write"]).empty


def test_counts(frame):
    """By hand: 4 records with a verb, 3 of `write`; client a has 2 of `write` and 1 of `explain`, b 1 of `write`."""
    assert top_verbs(frame).values.tolist() == [["write", 3, 0.75], ["explain", 1, 0.25]]
    assert verb_nouns(frame).values.tolist() == [["write", "poem", 2], ["write", "story", 1], ["explain", "gravity", 1]]
    assert verb_nouns(frame, verbs=1, nouns=1).values.tolist() == [["write", "poem", 2]]
    shares = verb_shares(frame, ["write"])
    assert shares.index.tolist() == ["a", "b"]  # c asks without a verb
    assert shares["write"].tolist() == pytest.approx([2 / 3, 1]) and shares[OTHER].tolist() == pytest.approx([1 / 3, 0])
    assert np.allclose(verb_shares(frame, ["sing", "explain"]).sum(axis=1), 1)
    assert verb_counts(frame).loc["a"].to_dict() == {"explain": 1, "write": 2}


def test_ties_go_by_the_alphabet_whatever_the_order():
    rows = pd.DataFrame({"client": list("abcd"), "verb": ["tell", "ask", "tell", "ask"], "noun": ["b", "a", "a", "a"]})
    for some in (rows, rows[::-1]):
        assert top_verbs(some)["verb"].tolist() == ["ask", "tell"]
        assert verb_nouns(some)[["verb", "noun"]].values.tolist() == [["ask", "a"], ["tell", "a"], ["tell", "b"]]


class Counting:
    """An extractor that counts what it is asked, and can stop in the middle."""

    name = key = "counting"

    def __init__(self, stop_after=None):
        self.seen, self.stop_after = [], stop_after

    def __call__(self, batch):
        if self.stop_after is not None and len(self.seen) >= self.stop_after:
            raise KeyboardInterrupt
        self.seen += batch
        return [Pair(text, None) for text in batch]


def test_each_text_is_extracted_once_and_kept(tmp_path):
    tool = Counting()
    assert pairs(["x", "y", "x"], tool, cache=tmp_path) == [("x", None), ("y", None), ("x", None)]
    assert tool.seen == ["x", "y"]
    again = Counting()
    assert pairs(["y", "x", "z"], again, cache=tmp_path) == [("y", None), ("x", None), ("z", None)]
    assert again.seen == ["z"]
    other = Counting()
    other.key = "another extractor"
    pairs(["x"], other, cache=tmp_path)
    assert other.seen == ["x"]


def test_a_stopped_run_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("fedkit.analysis.verbs.extractors.BLOCK", 2)
    batch = list("abcdefg")
    with pytest.raises(KeyboardInterrupt):
        pairs(batch, Counting(stop_after=4), cache=tmp_path)
    rest = Counting()
    assert pairs(batch, rest, cache=tmp_path) == [Pair(text, None) for text in batch]
    assert rest.seen == list("efg")


def test_a_damaged_cache_is_named(tmp_path):
    pairs(["x"], Counting(), cache=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"not a database" * 100)
    with pytest.raises(FedkitError, match=f"{file.name}: no usable cache"):
        pairs(["x"], Counting(), cache=tmp_path)


def test_unknown_extractors_are_named():
    with pytest.raises(FedkitError, match="unknown verb extractor 'spacy'; known: auto, benepar, offline"):
        extractor("spacy")
