"""Root verb and direct-object noun of an English instruction by rules over a dictionary: no model, no download.

The convention is that of Self-Instruct (Wang et al. 2023), whose plotting code FedLLM-Bench follows: the root of the
first sentence, if it is a verb, and its direct object, if that is a common noun; both as lemmas. Forms of `be` are no
verbs here (a tagger calls them auxiliaries), so `What is the capital of Peru?` and `You are a pirate.` have none.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import words as w
from .phrases import (
    finite,
    head_of_subject,
    noun_phrase,
    opens_noun_phrase,
    participle,
    past_adverbs,
    verb_after_subject,
    with_object,
)
from .tokens import NONE, Pair, Token, first_sentence, tokens

RULES = 1  # raise when a rule changes, so that pairs kept on disk are made anew
_PEOPLE = w.SUBJECTS | w.POSSESSIVES


def extract(text: str) -> Pair:
    """Root verb and direct-object noun of an instruction (`Pair`, each None where there is none)."""
    sentence = tokens(first_sentence(text).rstrip(".!? "))
    colon = next((i for i, t in enumerate(sentence) if t.word == ":"), len(sentence))
    label = colon == 1 and sentence[0].word in w.LABELS
    pair = NONE if label else _sentence(sentence[:colon])
    if pair.verb is None and colon <= 3:  # `Question: ...`, `Quick one: ...`
        pair = _sentence(sentence[colon + 1 :])
    return pair


def _sentence(ts: list[Token]) -> Pair:
    """A sentence that may open with a phrase: `As a poet, write ...`, `Given x, find ...`, `If x, what ...`."""
    ts = _opened(ts)
    if len(ts) < 2:
        return _clause(ts)
    first, second = ts[0].word, ts[1].word
    asks = first in w.WH and second in w.AUXILIARIES
    lead = first in w.LEADS and not asks
    if lead or (w.is_form(first, "VBG") and any(t.word == "," for t in ts)):
        for i, t in enumerate(ts):
            if t.word == ",":
                pair = _clause(ts[i + 1 :])
                if pair.verb:
                    return pair
        for i in range(2, len(ts)):
            starts = ts[i].word in w.WH or (ts[i].word in w.OPENING and w.noun_lemma(ts[i - 1].word))
            if starts and not ts[i].name:
                return _clause(ts[i:])
        return NONE
    if w.is_form(first, "VBG") and not w.is_base_verb(first):
        return with_object(first, ts, 1)
    return _clause(ts)


def _clause(ts: list[Token]) -> Pair:
    ts = _opened(ts)
    if not ts or ts[0].mark or ts[0].quoted:
        return NONE
    word = ts[0].word
    following = ts[1].word if len(ts) > 1 else ""
    if word == "do" and following == "not":
        return _infinitive(ts, 2)
    if word in w.WH:
        return _question(ts)
    if word in w.AUXILIARIES and not (word in {"do", "have"} and opens_noun_phrase(ts, 1) and following not in _PEOPLE):
        return _after_auxiliary(ts, 0)
    if word in w.SUBJECTS and not (word in w.DETERMINERS and opens_noun_phrase(ts, 1, bare=True)):
        return finite(ts, 1, pronoun=True)
    if word in w.DETERMINERS or word in w.POSSESSIVES or word[0].isdigit() or word in w.NUMBERS:
        return finite(ts, head_of_subject(ts), pronoun=False)
    if w.is_base_verb(word) and _imperative(ts):
        return with_object(word, ts, 1)
    return finite(ts, 1, pronoun=False, bare=True)


def _opened(ts: list[Token]) -> list[Token]:
    """Without greetings, `please`, adverbs and marks at the front, and without whom it calls (`Hey Bot, ...`)."""
    i = 0
    while i < len(ts):
        word = ts[i].word
        adverb = word.endswith("ly") and w.can_be(word, "ADV") and not w.is_base_verb(word)
        called = i + 1 < len(ts) and ts[i + 1].word == "," and not w.is_base_verb(word) and word not in w.SUBJECTS
        if not (ts[i].mark or word in w.OPENERS or adverb or (called and i < 3)):
            break
        i += 1
    return ts[i:]


def _imperative(ts: list[Token]) -> bool:
    """Whether a sentence that starts with a possible base verb is an order, not a noun phrase (`Email drafts`)."""
    word = ts[0].word
    if word in w.OPENING and not (len(ts) > 1 and ts[1].word in {"of", "'s"}):
        return True
    if w.only_verb(word) or len(ts) == 1:
        return w.only_verb(word)
    after = ts[1]
    if after.word in w.CONJUNCTIONS and len(ts) > 2:
        return w.is_base_verb(ts[2].word) and (w.only_verb(ts[2].word) or ts[2].word in w.OPENING)
    sure = after.word in w.DETERMINERS | w.POSSESSIVES | w.OBJECTS | w.NUMBERS | w.PARTICLES | (w.WH - {"whose"})
    return (
        sure or after.quoted or after.word[0].isdigit() or (w.can_be(after.word, "ADV") and after.word.endswith("ly"))
    )


def _question(ts: list[Token]) -> Pair:
    following = ts[1].word if len(ts) > 1 else ""
    if following == "to" and len(ts) > 2:
        return _infinitive(ts, 2)
    if following in {"if", "about"}:
        return _sentence(ts[2:]) if following == "if" else NONE
    for i in range(1, min(len(ts), 9)):
        word, before = ts[i].word, ts[i - 1].word
        if word in w.AUXILIARIES:
            return _after_auxiliary(ts, i, fronted=_fronted(ts[1:i]), wh=ts[0].word)
        if word in w.SUBJECTS and before not in w.PREPOSITIONS - w.WH:
            return finite(ts, i + 1, pronoun=True)
        lemma = w.is_form(word, "VBZ", "VBD")
        after = ts[i + 1].word if i + 1 < len(ts) else ""
        noun_too = w.can_be(word, "NOUN") and (after in w.AUXILIARIES or after in w.PREPOSITIONS or not after)
        if lemma and not ts[i].name and ts[0].word != "how" and not noun_too:
            return with_object(word, ts, i + 1)
        if i > 1 and w.is_base_verb(word) and (w.only_verb(word) or word in w.OPENING) and w.noun_lemma(before):
            later = any(t.word in w.AUXILIARIES for t in ts[i + 1 : i + 4])
            if not later:
                return with_object(word, ts, i + 1)
    return NONE


def _infinitive(ts: list[Token], at: int) -> Pair:
    """`how to quickly peel ...`, `do not peel ...`: the base verb at `at` or after adverbs."""
    at = past_adverbs(ts, at)
    return with_object(ts[at].word, ts, at + 1) if at < len(ts) and w.is_base_verb(ts[at].word) else NONE


def _fronted(between: list[Token]) -> str | None:
    """The noun of `which colours ...`, `how many moons ...`: the object of the verb, unless it measures time."""
    noun, _ = noun_phrase(between, 0)
    return None if noun in w.TIME or any(t.word in w.TIME for t in between[:1]) else noun


def _after_auxiliary(ts: list[Token], at: int, fronted: str | None = None, wh: str = "") -> Pair:
    """An auxiliary at `at`, then a subject, then the verb: `can you give ...`, `how does it work`."""
    auxiliary = ts[at].word
    start = at + 1
    while start < len(ts) and ts[start].word in {"not", "please", "pls"}:
        start += 1
    if start >= len(ts):
        return NONE
    if auxiliary in w.BE:
        return _after_be(ts, start, wh)
    if wh in {"who", "what", "which"} and ts[start].word not in _PEOPLE | w.DETERMINERS:
        base = w.is_base_verb(ts[start].word) and (w.only_verb(ts[start].word) or ts[start].word in w.OPENING)
        if base:  # `Who can help me?`
            return with_object(ts[start].word, ts, start + 1)
    tags = ("VBN",) if auxiliary in w.HAVE else ("VB",)
    verb = verb_after_subject(ts, start, tags)
    if verb is None:
        return NONE
    pair = with_object(ts[verb].word, ts, verb + 1, tags)
    return Pair(pair.verb, pair.noun or (fronted if _no_object(ts, verb + 1) else None))


def _no_object(ts: list[Token], at: int) -> bool:
    at = past_adverbs(ts, at)
    return at >= len(ts) or not (ts[at].word in w.OBJECTS or opens_noun_phrase(ts, at) or ts[at].quoted)


def _after_be(ts: list[Token], start: int, wh: str) -> Pair:
    """A participle after a form of `be` is the verb (`are you feeling`, `how is cheese made`); else there is none."""
    if ts[start].word in w.SUBJECTS:
        i = past_adverbs(ts, start + 1)
        return with_object(ts[i].word, ts, i + 1, ("VBG", "VBN")) if participle(ts, i) else NONE
    if wh and participle(ts, start):
        return with_object(ts[start].word, ts, start + 1, ("VBG", "VBN"))
    if wh in {"", "how", "why", "when", "where"}:
        for i in range(start + 1, len(ts)):
            if ts[i].word in w.PREPOSITIONS | w.WH or ts[i].mark:
                break
            if participle(ts, i) and w.noun_lemma(ts[i - 1].word):
                return with_object(ts[i].word, ts, i + 1, ("VBG", "VBN"))
    return NONE


class OfflineExtractor:
    """Pairs by the rules of this file; English only."""

    def __init__(self) -> None:
        from importlib.metadata import version

        self.name = f"offline rules (lemminflect {version('lemminflect')})"
        self.key = f"offline-{RULES}-lemminflect-{version('lemminflect')}"

    def __call__(self, texts: Sequence[str]) -> list[Pair]:
        """One pair a text."""
        return [extract(text) for text in texts]
