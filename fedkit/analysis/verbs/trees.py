"""Root verb and direct-object noun from a constituency tree with Penn Treebank labels, as benepar gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import words as w
from .tokens import NONE, Pair

if TYPE_CHECKING:
    from nltk import Tree

# Phrases that hold no main verb: what is in them belongs to an object, an aside or a subordinate clause.
_SIDE = frozenset("SBAR PP NP ADVP ADJP PRN INTJ WHNP WHPP WHADVP WHADJP NX QP".split())
_HELPERS = w.BE | w.DO | w.HAVE | {"'ve", "'s", "'d"}


def pair_of_tree(tree: Tree) -> Pair:
    """The main verb of a sentence and the head noun of its direct object, as lemmas.

    The verb: the first verb phrase of the main clause (the one nearest to the root, then the leftmost), down past
    auxiliaries and `to`; its first VB* child. The noun: the noun phrase after the verb (the last of two), prepositional
    phrases and clauses stripped, if its head is a common noun; where there is none, that of a fronted wh-phrase
    (`which language should I learn`). Forms of `be` give no pair.
    """
    phrase = _main_verb_phrase(tree)
    if phrase is None:
        return NONE
    at = next((i for i, child in enumerate(phrase) if _is_verb(child)), None)
    if at is None:
        return NONE
    lemma = _verb_lemma(phrase[at])
    if lemma == "be":
        return NONE
    noun = _object(phrase, at)
    return Pair(lemma, _fronted(tree) if noun is None and not _has_object(phrase, at) else noun)


def _label(node: Any) -> str:
    return node.label().split("-")[0].split("=")[0] if hasattr(node, "label") else ""


def _is_leaf(node: Any) -> bool:
    """Whether a node is a tag over a word."""
    return len(node) == 1 and isinstance(node[0], str)


def _word(node: Any) -> str:
    return node[0].lower()


def _is_verb(node: Any) -> bool:
    if not _is_leaf(node):
        return False
    return _label(node).startswith("VB") or (_label(node) == "UNK" and bool(w.readings(_word(node)).get("VERB")))


def _main_verb_phrase(tree: Tree) -> Tree | None:
    """Breadth first, since a verb phrase in an opening participle clause lies deeper than the main one."""
    level = [tree]
    while level:
        for node in level:
            if _label(node) == "VP":
                inner = _past_helpers(node)
                if any(_is_verb(child) for child in inner):
                    return inner
        level = [
            child
            for node in level
            for child in node
            if not isinstance(child, str) and not _is_leaf(child) and _label(child) not in _SIDE
        ]
    return None


def _past_helpers(phrase: Tree) -> Tree:
    """Down from `would like` to `like`, from `to write` to `write`, from `write and sing` to `write`."""
    while True:
        inner = [child for child in phrase if _label(child) == "VP"]
        leaves = [child for child in phrase if _is_leaf(child)]
        head = next((child for child in leaves if _is_verb(child) or _label(child) in {"MD", "TO", "UNK"}), None)
        if not inner or (head is not None and _is_verb(head) and _word(head) not in _HELPERS):
            return phrase
        phrase = inner[0]


def _verb_lemma(leaf: Any) -> str:
    word, tag = _word(leaf), _label(leaf)
    return w.is_form(word, tag) or w.readings(word).get("VERB", (word,))[0]


def _object(phrase: Tree, at: int) -> str | None:
    after = list(phrase)[at + 1 :]
    places = [i for i, child in enumerate(after) if _label(child) == "NP"][:1]
    if not places or any(_label(child) in {"PP", "SBAR", "S"} for child in after[: places[0]]):
        return None
    first = places[0]
    second = after[first + 1] if first + 1 < len(after) else None
    if second is not None and _label(second) == "NP":
        return _head_noun(second) or _head_noun(after[first])
    return _head_noun(after[first])


def _has_object(phrase: Tree, at: int) -> bool:
    return any(_label(child) in {"NP", "S", "SBAR"} for child in list(phrase)[at + 1 :])


def _head_noun(phrase: Any) -> str | None:
    """The last common noun directly in a noun phrase, else that of its first inner noun phrase."""
    nouns = [child for child in phrase if _is_leaf(child) and _label(child).startswith("NN")]
    if nouns:
        head = nouns[-1]
        return None if _label(head).startswith("NNP") else w.noun_lemma(_word(head)) or _word(head)
    inner = _first(phrase, lambda node: _label(node) in {"NP", "NX", "WHNP"})
    return None if inner is None else _head_noun(inner)


def _fronted(tree: Tree) -> str | None:
    """The noun of a wh-phrase before an inverted question (SQ with an auxiliary, then its subject)."""
    for node in tree.subtrees(lambda node: _label(node) == "SBARQ"):
        fronted = _first(node, lambda child: _label(child) == "WHNP")
        question = _first(node, lambda child: _label(child) == "SQ")
        if fronted is None or question is None or _first(question, lambda child: _label(child) == "NP") is None:
            return None
        noun = _head_noun(fronted)
        return None if noun in w.TIME else noun
    return None


def _first(node: Any, wanted: Callable[[Any], bool]) -> Any:
    return next((child for child in node if not isinstance(child, str) and wanted(child)), None)
