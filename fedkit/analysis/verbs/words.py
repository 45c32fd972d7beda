"""English words for the offline extractor: closed classes in `words.json`, lemmas and parts of speech from lemminflect.

lemminflect carries the forms of the NIH SPECIALIST lexicon in its package (1.1 MB), so nothing is downloaded.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files

_LISTS = {
    name: frozenset(words.split())
    for name, words in json.loads(files(__package__).joinpath("words.json").read_text(encoding="utf-8")).items()
}
BE, DO, HAVE, MODALS = (_LISTS[name] for name in ("be", "do", "have", "modals"))
AUXILIARIES = (BE - {"be", "been", "being"}) | DO | HAVE | MODALS
SUBJECTS, OBJECTS, POSSESSIVES = (_LISTS[name] for name in ("subjects", "objects", "possessives"))
DETERMINERS, NUMBERS, WH = (_LISTS[name] for name in ("determiners", "numbers", "wh"))
CONJUNCTIONS, PREPOSITIONS, PARTICLES = (_LISTS[name] for name in ("conjunctions", "prepositions", "particles"))
ADVERBS, NO_NOUN, TIME = (_LISTS[name] for name in ("adverbs", "no_noun", "time"))
OPENERS, LEADS, LABELS = (_LISTS[name] for name in ("openers", "leads", "labels"))  # what may stand before a clause
# Verbs that open instructions and that a dictionary also knows as nouns or adjectives, so that a bare word after them
# does not tell which they are.
OPENING = _LISTS["opening"]
GERUND_VERBS = _LISTS["gerund_verbs"]
# Common nouns that the lexicon has only as verbs or not at all; `no_verbs` are nouns that it has as rare verbs.
_ALSO_NOUNS = {word + end: word for word in "ad app bar blog bot log website".split() for end in ("", "s")}


@lru_cache(maxsize=1)
def _lemminflect():
    import lemminflect

    return lemminflect


@lru_cache(maxsize=65536)
def readings(word: str) -> dict[str, tuple[str, ...]]:
    """Universal part of speech -> lemmas of a lower-case word; empty for one that the dictionary does not hold."""
    known = _lemminflect().getAllLemmas(word)
    if word in _ALSO_NOUNS:
        return {**known, "NOUN": (_ALSO_NOUNS[word],)}
    return {part: lemmas for part, lemmas in known.items() if part != "VERB"} if word in _LISTS["no_verbs"] else known


@lru_cache(maxsize=65536)
def verb_forms(lemma: str) -> dict[str, tuple[str, ...]]:
    """Penn tag (VB, VBD, VBG, VBN, VBP, VBZ) -> forms of a verb."""
    return _lemminflect().getAllInflections(lemma, upos="VERB")


def is_base_verb(word: str) -> bool:
    """Whether a lower-case word is a verb in its base form."""
    return word in readings(word).get("VERB", ())


def is_form(word: str, *tags: str) -> str | None:
    """The lemma of a lower-case word that can be a verb in one of these Penn tags, else None."""
    for lemma in readings(word).get("VERB", ()):
        forms = verb_forms(lemma)
        if any(word in forms.get(tag, forms.get("VBD", ()) if tag == "VBN" else ()) for tag in tags):
            return lemma
    return None


def only_verb(word: str) -> bool:
    """Whether the dictionary knows the word as a verb and neither as a noun nor as an adjective."""
    return set(readings(word)) & {"VERB", "NOUN", "ADJ"} == {"VERB"}


def is_adverb(word: str) -> bool:
    """Whether the word is an adverb and, for the dictionary, nothing with an object or a head."""
    parts = set(readings(word))
    if word in PREPOSITIONS:
        return False
    return word in ADVERBS or ("ADV" in parts and (word.endswith("ly") or not parts & {"VERB", "NOUN", "ADJ"}))


def can_be(word: str, *parts: str) -> bool:
    """Whether the dictionary knows the word as one of these universal parts of speech."""
    return any(part in readings(word) for part in parts)


def noun_lemma(word: str) -> str | None:
    """The singular of a lower-case noun; None for a word that the dictionary knows, but not as a noun.

    A gerund counts as a noun. A word that it does not hold (`regex`, `navbar`) is taken for one.
    """
    known = readings(word)
    if word in NO_NOUN or sum(letter.isalpha() for letter in word) < 2:
        return None
    if "NOUN" in known:
        return known["NOUN"][0]
    if known:
        return word if is_form(word, "VBG") else None
    return _lemminflect().getAllLemmasOOV(word, "NOUN")["NOUN"][0]
