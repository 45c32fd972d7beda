"""English words for the offline extractor: closed classes written out, lemmas and parts of speech from lemminflect.

lemminflect carries the forms of the NIH SPECIALIST lexicon in its package (1.1 MB), so nothing is downloaded.
"""

from __future__ import annotations

from functools import lru_cache

BE = frozenset("be am is are was were been being 're 'm".split())
DO, HAVE = frozenset("do does did".split()), frozenset("have has had".split())
MODALS = frozenset("can could would will should shall may might must ca wo cannot".split())
AUXILIARIES = (BE - {"be", "been", "being"}) | DO | HAVE | MODALS
SUBJECTS = frozenset(
    "i you u we he she it they there this that these those someone somebody anyone anybody everyone everybody"
    " one".split()
)
LABELS = frozenset("question q input prompt task problem context instruction request topic".split())
OBJECTS = frozenset("me us him them it you u myself yourself itself ourselves themselves her".split())
POSSESSIVES = frozenset("my your our his her their its whose ur".split())
DETERMINERS = frozenset(
    "a an the some any all no every each both another this that these those either neither several many few".split()
)
NUMBERS = frozenset(
    "one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty fifty hundred".split()
)
WH = frozenset("what who whom whose which how why when where".split())
CONJUNCTIONS = frozenset("and or but nor".split())
PREPOSITIONS = frozenset(
    "of in on at by for with about from to into onto over under between among through during before after without"
    " within as than like using via per against towards toward across around behind beyond near regarding including"
    " concerning because since until unless while if whether that so although though where when who which whose what"
    " how why below above based".split()
)
PARTICLES = frozenset("up down out off over back".split())
LEADS = frozenset(
    "as in using given for with based when if after before while from considering assuming at on to without because"
    " since during once by under through like unless whenever although though".split()
)
OPENERS = frozenset(
    "please pls plz kindly hi hello hey hiya greetings dear ok okay so now well also just then and but alright sure yes"
    " no great first next finally again quickly maybe perhaps thanks only always never sorry".split()
)
ADVERBS = frozenset(
    "not please pls just only also ever never always often usually really still even again together maybe currently"
    " then now first so too very here there n't actually kindly recently lately soon already probably quickly"
    " perhaps".split()
)
NO_NOUN = frozenset(
    "following below above something anything everything nothing someone anyone everyone one ones each all both same"
    " next other others another such more most less least lot few many much first last".split()
)
TIME = frozenset("time day year month date week hour minute long far often age much extent century season".split())
# Verbs that open instructions and that a dictionary also knows as nouns or adjectives, so that a bare word after them
# does not tell which they are.
OPENING = frozenset(
    "act add advise affect aid analyse analyze answer ask brief build calculate cause change chat check choose"
    " classify code comment compare complete compose compute convert cook correct cost count create critique debug"
    " define deliver describe design detail develop discuss do draft draw dream eat edit estimate evaluate expand"
    " explain fall feel fight fill find finish fix generate get give go grow guess happen hate have help highlight"
    " identify imagine implement improve introduce invent keep label laugh lead learn let like list live look love"
    " make map match mean mention name need offer outline output paraphrase pick plan play plot practice practise"
    " predict prepare present pretend produce prompt proofread propose prove provide question rank rate read"
    " recall recommend refine reformat remove repeat rephrase replace reply research respond return reverse review"
    " revise rewrite rhyme roast roleplay run say search select send set share shorten show simplify simulate"
    " sketch solve sort speak spell split start stop store stunt suggest sum summarise summarize support take talk"
    " teach tell test thank think tie transform translate travel try turn update use verify visit wait walk want"
    " watch work write yield".split()
)


# Common nouns that the lexicon has only as verbs or not at all, and nouns that it has as rare verbs.
_ALSO_NOUNS = {word + end: word for word in "ad app bar blog bot log website".split() for end in ("", "s")}
_NO_VERBS = frozenset("people language i which".split())
GERUND_VERBS = frozenset("mind keep stop start begin enjoy avoid love like hate consider suggest finish try".split())


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
    return {part: lemmas for part, lemmas in known.items() if part != "VERB"} if word in _NO_VERBS else known


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
