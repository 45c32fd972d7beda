"""Home-made benepar checkpoints: a grammar of instructions, a char-LSTM parser trained on it, a tiny T5 and BERT."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import torch

VERBS = "write explain list describe create summarize find name draft fix build compose".split()
NOUNS = "poem story letter report table function recipe song plan list essay joke".split()
ADJECTIVES = "short funny long simple new formal".split()
PREPOSITIONS = "about for of with".split()
HPARAMS = {
    "use_chars_lstm": True,
    "use_pretrained": False,
    "pretrained_model": "none",
    "use_encoder": True,
    "d_model": 64,
    "d_char_emb": 24,
    "char_lstm_input_dropout": 0.0,
    "morpho_emb_dropout": 0.0,
    "relu_dropout": 0.0,
    "residual_dropout": 0.0,
    "attention_dropout": 0.0,
    "num_layers": 1,
    "num_heads": 4,
    "d_kv": 16,
    "d_ff": 64,
    "d_label_hidden": 48,
    "d_tag_hidden": 48,
    "encoder_max_len": 200,
    "predict_tags": True,
    "tag_loss_scale": 1.0,
    "force_root_constituent": True,
}


@dataclass
class Sentence:
    """A bracketed sentence as benepar trains on it, with the pair that it was made from."""

    tree: object
    verb: str | None
    noun: str | None

    @property
    def words(self):
        return self.tree.leaves()

    @property
    def space_after(self):
        return [True] * len(self.words)

    def leaves(self):
        return self.words

    def pos(self):
        return self.tree.pos()


def sentences(count, seed):
    """Instructions of eight shapes with their trees."""
    from nltk import Tree

    rng = np.random.default_rng(seed)

    def one(options):
        return options[rng.integers(len(options))]

    def phrase(noun):
        adjective = f"(JJ {one(ADJECTIVES)}) " if rng.random() < 0.5 else ""
        return f"(NP (DT {one(['a', 'the'])}) {adjective}(NN {noun}))"

    def object_(noun):
        if rng.random() < 0.5:
            return phrase(noun)
        return f"(NP {phrase(noun)} (PP (IN {one(PREPOSITIONS)}) {phrase(one(NOUNS))}))"

    some = []
    for _ in range(count):
        verb, noun = one(VERBS), one(NOUNS)
        base = f"(VP (VB {verb}) {object_(noun)})"
        capital = f"(VP (VB {verb.capitalize()}) {object_(noun)})"
        shapes = [
            (f"(S {capital} (. .))", verb, noun),
            (f"(S (INTJ (UH Please)) {base} (. .))", verb, noun),
            (f"(SQ (MD Can) (NP (PRP you)) {base} (. ?))", verb, noun),
            (f"(SBARQ (WHADVP (WRB How)) (SQ (MD can) (NP (PRP I)) {base}) (. ?))", verb, noun),
            (f"(SBARQ (WHNP (WP What)) (SQ (VBZ is) {object_(noun)}) (. ?))", None, None),
            (f"(S (VP (VB Give) (NP (PRP me)) {object_(noun)}) (. .))", "give", noun),
            (f"(S (PP (IN As) {phrase(one(NOUNS))}) (, ,) {base} (. .))", verb, noun),
            (
                f"(SBARQ (WHNP (WDT Which) (NN {noun})) (SQ (MD should) (NP (PRP I)) (VP (VB {verb}))) (. ?))",
                verb,
                noun,
            ),
        ]
        bracketed, verb, noun = one(shapes)
        some.append(Sentence(Tree("TOP", [Tree.fromstring(bracketed)]), verb, noun))
    return some


def vocabularies(trees):
    """The tag and label vocabularies of a treebank, in benepar's form."""
    from benepar.decode_chart import ChartDecoder

    tags = ["UNK", *sorted({tag for tree in trees for _, tag in tree.pos()})]
    return {tag: i for i, tag in enumerate(tags)}, ChartDecoder.build_vocab(trees)


def trained_parser(steps=90, batch=16):
    """A char-LSTM parser of the grammar, trained in seconds on one core."""
    from benepar import nkutil
    from benepar.char_lstm import RetokenizerForCharLSTM
    from benepar.parse_chart import ChartParser

    data = sentences(steps * batch, seed=0)
    tags, labels = vocabularies([s.tree for s in data])
    characters = RetokenizerForCharLSTM.build_vocab([s.words for s in data])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parser = ChartParser(tags, labels, characters, nkutil.HParams(**HPARAMS))
        optimizer = torch.optim.Adam(parser.parameters(), lr=4e-3)
        for step in range(steps):
            for _, part in parser.encode_and_collate_subbatches(data[step * batch : (step + 1) * batch], 10_000):
                loss = parser.compute_loss(part)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parser.parameters(), 1.0)
                optimizer.step()
    return parser.eval()


def save_single(parser, path):
    """One file, as benepar's training writes it."""
    torch.save({"config": parser.config, "state_dict": parser.state_dict()}, path)
    return path


def released_folder(folder, kind):
    """A checkpoint in the released form on a tiny random T5 or BERT, with entries that older transformers stored.

    Gives the parser that it was saved from.
    """
    from benepar import nkutil
    from benepar.parse_chart import ChartParser
    from transformers import AutoConfig

    from fedkit.analysis.verbs.shims import WEIGHTS, benepar_shims

    data = sentences(60, seed=1)
    tags, labels = vocabularies([s.tree for s in data])
    tokenizer, config, stale = KINDS[kind]([" ".join(s.words) for s in data])
    tokenizer.save_pretrained(folder)
    hparams = {**HPARAMS, "use_chars_lstm": False, "use_pretrained": True, "pretrained_model": f"tiny-{kind}"}
    config.benepar = {"tag_vocab": tags, "label_vocab": labels, "char_vocab": {}, "hparams": hparams}
    config.save_pretrained(folder)
    assert AutoConfig.from_pretrained(folder).benepar["hparams"] == hparams
    with torch.random.fork_rng(devices=[]), benepar_shims():
        torch.manual_seed(0)
        parser = ChartParser(tags, labels, {}, nkutil.HParams(**hparams), pretrained_model_path=str(folder)).eval()
    torch.save({**parser.state_dict(), **stale}, folder / WEIGHTS)
    assert "benepar" in json.loads((folder / "config.json").read_text())
    return parser


def _bert(texts):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    inner.train_from_iterator(texts, trainer)
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = BertTokenizerFast(tokenizer_object=inner, model_max_length=128)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    return tokenizer, config, {"pretrained_model.embeddings.position_ids": torch.arange(128)[None]}


def _t5(texts):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import T5Config, T5TokenizerFast

    inner = Tokenizer(models.Unigram())
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False)
    inner.train_from_iterator(texts, trainer)
    inner.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 1)])
    tokenizer = T5TokenizerFast(tokenizer_object=inner, extra_ids=0, model_max_length=128)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    name = "pretrained_model.decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    return tokenizer, config, {name: torch.zeros(32, 2)}


KINDS = {"bert": _bert, "t5": _t5}
