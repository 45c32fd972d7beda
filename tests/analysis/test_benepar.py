"""benepar with the shims, on home-made checkpoints of both released forms; pairs from trees written by hand."""

from __future__ import annotations

import os
import pickle

import pytest
import torch
from benepar_tools import KINDS, released_folder, save_single, sentences, trained_parser

from fedkit.analysis.verbs.benepar_parser import MODEL, BeneparExtractor, find_model
from fedkit.analysis.verbs.extractors import extractor, pairs
from fedkit.analysis.verbs.shims import WEIGHTS, benepar_shims, load_chart_parser, with_special_tokens
from fedkit.analysis.verbs.tokens import UNREAD, Unread
from fedkit.analysis.verbs.trees import pair_of_tree
from fedkit.common.errors import FedkitError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """A trained char-LSTM parser as one file."""
    return save_single(trained_parser(), tmp_path_factory.mktemp("benepar") / "home_made.pt")


@pytest.fixture(scope="module", params=sorted(KINDS))
def released(request, tmp_path_factory):
    """(folder, parser that it was saved from) of the released form."""
    folder = tmp_path_factory.mktemp(f"benepar_{request.param}")
    return folder, released_folder(folder, request.param)


def spelled(sentence):
    """A sentence as people type it."""
    text = " ".join(sentence.words)
    return text.replace(" ,", ",").replace(" .", ".").replace(" ?", "?")


def test_the_trained_parser_finds_verb_and_noun_of_unseen_sentences(single):
    """A parser of a small grammar must read sentences of that grammar which it has not seen."""
    tool = extractor("benepar", model=single)
    unseen = sentences(100, seed=7)
    guesses = tool([spelled(s) for s in unseen])
    assert sum(pair == (s.verb, s.noun) for pair, s in zip(guesses, unseen, strict=True)) >= 95
    assert tool.name == "benepar (home_made)"


def test_spacy_pipeline_and_batches_give_the_same_trees(single):
    texts = [spelled(s) for s in sentences(12, seed=8)]
    batched, spacy = (BeneparExtractor(single, pipeline=p, batch_size=5) for p in ("batched", "spacy"))
    assert batched.trees(texts) == spacy.trees(texts)
    assert batched(texts) == spacy(texts)


def test_only_the_first_sentence_is_parsed_and_empty_texts_give_nothing(single):
    tool = extractor("benepar", model=single)
    assert tool(["", "Write a poem. Can you fix the table?", "\n ... \n", "- Write a poem."]) == [
        (None, None),
        ("write", "poem"),
        (None, None),
        ("write", "poem"),
    ]
    long = tool(["Write a poem about " + "the table of " * 400])
    assert len(long) == 1


def test_released_checkpoints_load_and_score_as_before(released):
    """Saved and loaded, a parser gives the very same span scores, although its file holds entries of old versions."""
    folder, before = released
    after = load_chart_parser(folder)
    examples = sentences(5, seed=2)
    scores = [parser.parse(examples, return_scores=True) for parser in (before, after)]
    for one, other in zip(*scores, strict=True):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))
    assert len(extractor("benepar", model=folder)([spelled(s) for s in examples])) == 5


@pytest.mark.parametrize("pipeline", ["batched", "spacy"])
def test_one_sentence_that_is_too_long_is_left_out_alone(released, tmp_path, pipeline):
    """Its subwords are more than the model reads: it is counted, and its batch is parsed as without it."""
    folder, _ = released
    tool = BeneparExtractor(folder, pipeline=pipeline)
    short = [spelled(s) for s in sentences(3, seed=4)]
    long = "Write a poem about " + "unbelievable stories of recipes " * 40
    assert tool([short[0], long, *short[1:]]) == [tool(short)[0], UNREAD, *tool(short)[1:]]
    for _ in range(2):  # as computed, and as kept
        kept = pairs([long, short[0]], tool, cache=tmp_path)
        assert [isinstance(pair, Unread) for pair in kept] == [True, False]


def test_both_shims_are_needed_and_leave_nothing_behind(released):
    """Without them benepar's own loader stops; with them it works; afterwards all is as it was."""
    import benepar
    from benepar.parse_chart import ChartParser
    from transformers import PreTrainedTokenizerBase

    folder, _ = released
    original = ChartParser.__dict__["from_trained"]
    with pytest.raises((AttributeError, RuntimeError, NotImplementedError)):
        benepar.Parser(str(folder))
    with benepar_shims():
        assert benepar.Parser(str(folder)) is not None
        assert hasattr(PreTrainedTokenizerBase, "build_inputs_with_special_tokens")
    assert ChartParser.__dict__["from_trained"] is original
    assert not hasattr(PreTrainedTokenizerBase, "build_inputs_with_special_tokens")


def test_special_tokens_stand_where_the_tokenizer_puts_them(released):
    from transformers import AutoTokenizer

    folder, _ = released
    tokenizer = AutoTokenizer.from_pretrained(folder)
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    expected = [-100, tokenizer.eos_token_id] if first is None else [first, -100, last]
    assert with_special_tokens(tokenizer, [-100]) == expected


def test_a_checkpoint_with_other_objects_is_not_unpickled(tmp_path):
    """A pickle that would make a folder when it is loaded: refused, and the folder is not there."""
    trap = tmp_path / "made_by_the_pickle"

    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(trap),)

    for name, save in (("torch.pt", torch.save), ("bare.pt", lambda x, p: p.write_bytes(pickle.dumps(x)))):
        save({"config": Payload(), "state_dict": {}}, tmp_path / name)
        with pytest.raises(FedkitError, match="does not unpickle|cannot be read"):
            extractor("benepar", model=tmp_path / name)(["Write a poem."])
        assert not trap.exists()


def test_unsafe_loading_cannot_be_switched_on_from_outside(tmp_path, monkeypatch):
    """torch lets an environment variable undo its default; the loader's own word stands."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    trap = tmp_path / "made_by_the_pickle"

    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(trap),)

    torch.save({"config": Payload()}, tmp_path / "x.pt")
    with pytest.raises((FedkitError, RuntimeError)):
        load_chart_parser(tmp_path / "x.pt")
    assert not trap.exists()


@pytest.mark.parametrize("damage", ["missing", "surplus", "shape", "config", "fetch"])
def test_checkpoints_that_do_not_fit_are_named(single, tmp_path, damage):
    data = torch.load(single, weights_only=True)
    names = list(data["state_dict"])
    if damage == "missing":
        del data["state_dict"][names[0]]
    elif damage == "surplus":
        data["state_dict"]["nobody.weight"] = torch.zeros(1)
    elif damage == "shape":
        data["state_dict"][names[-1]] = torch.zeros(3)
    elif damage == "config":
        del data["config"]
    else:
        data["config"]["hparams"] |= {"use_chars_lstm": False, "use_pretrained": True, "pretrained_model": "t5-small"}
    torch.save(data, tmp_path / "damaged.pt")
    with pytest.raises(FedkitError, match="damaged.pt"):
        load_chart_parser(tmp_path / "damaged.pt")


def test_a_folder_without_a_parser_is_named(released, tmp_path):
    folder, _ = released
    (tmp_path / "config.json").write_text((folder / "config.json").read_text().replace('"benepar"', '"other"'))
    with pytest.raises(FedkitError, match="config.json"):
        load_chart_parser(tmp_path)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(FedkitError, match=WEIGHTS):
        load_chart_parser(tmp_path)


def test_a_model_that_is_not_installed_is_refused_in_a_sentence():
    assert find_model("benepar_of_nobody") is None and find_model("no/such/folder") is None
    with pytest.raises(FedkitError, match="not installed and is not fetched"):
        extractor("benepar", model="benepar_of_nobody")
    with pytest.raises(FedkitError, match="unknown benepar pipeline 'fast'"):
        extractor("benepar", model=__file__, pipeline="fast")


def test_auto_takes_benepar_where_a_model_is_installed(single, tmp_path, monkeypatch):
    """A released folder under nltk_data/models/<name> counts as installed; elsewhere the offline rules stand in."""
    import nltk

    assert extractor("auto", model="home_made").name.startswith("offline rules")
    assert extractor("auto", model=single).name == "benepar (home_made)"
    (tmp_path / "models" / MODEL).mkdir(parents=True)
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    assert find_model(MODEL) == tmp_path / "models" / MODEL
    assert extractor().name == f"benepar ({MODEL})"


TREES = {
    "(S (VP (VB Write) (NP (NP (DT a) (JJ short) (NN story)) (PP (IN about) (NP (NNS cats))))) (. .))": (
        "write",
        "story",
    ),
    "(SQ (MD Can) (NP (PRP you)) (VP (VB give) (NP (PRP me)) (NP (NP (DT a) (NN list)) (PP (IN of) (NP (NN tea))))))": (
        "give",
        "list",
    ),
    "(SBARQ (WHNP (WP What)) (SQ (VBZ is) (NP (NP (DT the) (NN capital)) (PP (IN of) (NP (NNP Peru))))))": (None, None),
    "(S (NP (PRP You)) (VP (VBP are) (NP (DT a) (NN pirate))))": (None, None),
    "(S (NP (PRP I)) (VP (MD would) (VP (VB like) (NP (DT a) (NN recipe)))))": ("like", "recipe"),
    "(S (NP (PRP I)) (VP (VBP want) (S (NP (PRP you)) (VP (TO to) (VP (VB act))))))": ("want", None),
    "(S (NP (PRP I)) (VP (VBP have) (VP (VBN been) (VP (VBG feeling) (ADJP (JJ tired))))))": ("feel", None),
    "(S (S (VP (VBG Using) (NP (NNP CSS)))) (, ,) (VP (VB build) (NP (DT a) (NN page))))": ("build", "page"),
    "(S (SBAR (IN If) (S (NP (PRP I)) (VP (VBP die)))) (, ,) (VP (VB call) (NP (DT the) (NNS police))))": (
        "call",
        "police",
    ),
    "(S (S (VP (VB Make) (NP (NNS tables)))) (CC and) (S (VP (VB add) (NP (NNS rows)))))": ("make", "table"),
    "(S (VP (VP (VB Read) (NP (DT the) (NN text))) (CC and) (VP (VB answer) (NP (NNS questions)))))": ("read", "text"),
    "(SBARQ (WHNP (WDT Which) (NN language)) (SQ (MD should) (NP (PRP I)) (VP (VB learn))))": ("learn", "language"),
    "(SBARQ (WHNP (WP Who)) (SQ (VP (VBD wrote) (NP (NNP Hamlet)))))": ("write", None),
    "(S (VP (VB Write) (PRT (RP down)) (NP (CD three) (NNS names))))": ("write", "name"),
    "(S (VP (VB Look) (PP (IN at) (NP (DT the) (NN sky)))))": ("look", None),
    "(S (VP (VB Improve) (NP (NP (PRP$ my) (NN boss) (POS 's)) (NN letter))))": ("improve", "letter"),
    "(FRAG (NP (NP (NN recipe)) (PP (IN for) (NP (NN bread)))))": (None, None),
    "(NP (NP (NNS cats)) (SBAR (WHNP (WDT that)) (S (VP (VBP sleep)))))": (None, None),
    "(S (VP (UNK Write) (NP (DT a) (NN poem))))": ("write", "poem"),  # of a parser without a tagger
}


@pytest.mark.parametrize("bracketed", TREES)
def test_pairs_of_trees(bracketed):
    from nltk import Tree

    assert pair_of_tree(Tree("TOP", [Tree.fromstring(bracketed)])) == TREES[bracketed]
