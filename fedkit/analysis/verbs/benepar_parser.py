"""Root verb and noun by the Berkeley Neural Parser (Kitaev and Klein 2018), which FedLLM-Bench names for its figures.

A model is used where it is installed and never fetched. To install `benepar_en3`, once and on purpose:
`python -c "import benepar; benepar.download('benepar_en3')"` (from the authors' server, some 250 MB).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...common.errors import FedkitError, unknown
from .shims import WEIGHTS, benepar_shims
from .tokens import NONE, UNREAD, Pair, first_sentence
from .trees import pair_of_tree

if TYPE_CHECKING:
    from nltk import Tree

MODEL = "benepar_en3"
LONGEST = 150  # words of a sentence that are parsed; released models stop at 512 subwords


def find_model(model: str | Path = MODEL) -> Path | None:
    """Where a model lies: the path itself, or the name among NLTK's installed models; None where there is none."""
    if Path(model).exists():
        return Path(model)
    name = str(model)
    if "/" in name or "\\" in name or "." in name:
        return None
    import nltk.data

    try:
        path = Path(str(nltk.data.find(f"models/{name}")))
    except (LookupError, OSError):
        return None
    return path if path.exists() else None  # a path inside a zip file does not


class BeneparExtractor:
    """Pairs from benepar's trees, of the first sentence of each text.

    `model`: a name installed with NLTK's data, or the path of a checkpoint in either form (`shims`).
    `pipeline`: `batched` gives `benepar.Parser` many sentences at a time; `spacy` is Self-Instruct's, a spaCy pipeline
    with benepar as its component, one text at a time. Words come from spaCy's English tokenizer in both, so the trees
    are the same. Sentences are cut after `LONGEST` words; one that has more subwords than the model reads even so (a
    hash, code, a script without blanks) is left out. The GPU is used where there is one.

    Checkpoints are read with `weights_only=True`: nothing in them is executed. `FedkitError` for a model that is not
    there or does not fit.
    """

    def __init__(self, model: str | Path = MODEL, *, pipeline: str = "batched", batch_size: int = 64) -> None:
        path = find_model(model)
        if path is None:
            raise FedkitError(
                f"benepar model {str(model)!r} is not installed and is not fetched; install it with "
                f'`python -c "import benepar; benepar.download({str(model)!r})"`, give the path of a checkpoint, '
                "or use the offline extractor"
            )
        if pipeline not in _PIPELINES:
            raise unknown("benepar pipeline", pipeline, _PIPELINES)
        self.path = path
        self.pipeline = pipeline
        self.batch_size = batch_size
        self.name = f"benepar ({path.stem})"
        self.key = f"benepar-1-{path.stem}-{_mark(path)}"
        self._trees: Callable[[list[str]], Iterator[Tree | None]] | None = None

    def __call__(self, texts: Sequence[str]) -> list[Pair]:
        """One pair a text; a text without a word gives none, and one that the parser cannot read `UNREAD`."""
        sentences = [" ".join(first_sentence(text).split()) for text in texts]
        rows = [i for i, sentence in enumerate(sentences) if sentence]
        pairs = [NONE] * len(texts)
        for i, tree in zip(rows, self.trees([sentences[i] for i in rows]), strict=True):
            pairs[i] = UNREAD if tree is None else pair_of_tree(tree)
        return pairs

    def trees(self, sentences: Sequence[str]) -> list[Tree | None]:
        """The constituency tree of each sentence (`nltk.Tree`), none of them empty; None for one that is too long."""
        if self._trees is None:
            self._trees = _PIPELINES[self.pipeline](str(self.path), self.batch_size)
        return list(self._trees(list(sentences)))


def _mark(path: Path) -> str:
    """Size and time of the weights, so that pairs kept on disk are those of this very checkpoint."""
    file = path / WEIGHTS if path.is_dir() else path
    stat = file.stat() if file.exists() else path.stat()
    return f"{stat.st_size:x}-{int(stat.st_mtime):x}"


def _english(*pipes: str) -> Any:
    import spacy

    nlp = spacy.blank("en")
    for pipe in pipes:
        nlp.add_pipe(pipe)
    return nlp


def _batched(path: str, batch_size: int) -> Callable[[list[str]], Iterator[Tree | None]]:
    import benepar
    from benepar.integrations.spacy_plugin import SentenceWrapper

    nlp = _english()
    with benepar_shims():
        parser = benepar.Parser(path, batch_size=batch_size)

    def trees(sentences: list[str]) -> Iterator[Tree | None]:
        inputs = []
        for doc in nlp.pipe(sentences):
            span = SentenceWrapper(doc[:LONGEST])
            inputs.append(benepar.InputSentence(words=span.words, space_after=span.space_after))
        readable = [_readable(parser._parser, one) for one in inputs]
        parsed = iter(parser.parse_sents([one for one, fits in zip(inputs, readable, strict=True) if fits]))
        yield from (next(parsed) if fits else None for fits in readable)

    return trees


def _spacy(path: str, batch_size: int) -> Callable[[list[str]], Iterator[Tree | None]]:
    import benepar  # registers its spaCy component
    from nltk import Tree
    from spacy.tokens import Doc

    nlp = _english()
    with benepar_shims():
        parser = nlp.add_pipe("benepar", config={"model": path})._parser

    def trees(sentences: list[str]) -> Iterator[Tree | None]:
        for sentence in sentences:
            cut = nlp.make_doc(sentence)[:LONGEST]
            words, spaces = [t.text for t in cut], [bool(t.whitespace_) for t in cut]
            # The text is one sentence already; a splitter would cut at abbreviations.
            starts = [i == 0 for i in range(len(words))]
            if not _readable(parser, benepar.InputSentence(words=words, space_after=spaces)):
                yield None
                continue
            doc = nlp(Doc(nlp.vocab, words=words, spaces=spaces, sent_starts=starts))
            yield Tree("TOP", [Tree.fromstring(next(iter(doc.sents))._.parse_string)])

    return trees


def _readable(parser: Any, sentence: Any) -> bool:
    """Whether benepar's parser takes a sentence; at one that is too long it would stop with the whole batch."""
    try:
        parser.encode(sentence)
    except ValueError:
        return False
    return True


_PIPELINES = {"batched": _batched, "spacy": _spacy}
