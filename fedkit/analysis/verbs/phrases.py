"""Noun phrases, objects, subjects and finite verbs in a list of tokens, for the offline extractor."""

from __future__ import annotations

from . import words as w
from .tokens import NONE, Pair, Token

_STOPS = (
    w.PREPOSITIONS | w.PARTICLES | w.WH | w.AUXILIARIES | (w.OBJECTS - {"her"}) | (w.SUBJECTS - w.DETERMINERS) | {"'s"}
)
_CAUSING = frozenset("make let help have watch see hear".split())  # these take an object with a verb after it


def past_adverbs(ts: list[Token], i: int) -> int:
    """The first place from `i` on that holds no adverb."""
    while i < len(ts) and w.is_adverb(ts[i].word):
        i += 1
    return i


def participle(ts: list[Token], i: int) -> bool:
    """Whether place `i` holds a form in -ing or a past participle that is not also an adjective."""
    if i >= len(ts) or ts[i].name:
        return False
    word = ts[i].word
    return bool(w.is_form(word, "VBG", "VBN")) and not w.can_be(word, "ADJ") and not w.can_be(word, "ADV")


def opens_noun_phrase(ts: list[Token], i: int, bare: bool = False) -> bool:
    """Whether a noun phrase starts at `i`; `bare`: with its noun or adjective, not with an article."""
    if i >= len(ts) or ts[i].mark or ts[i].quoted:
        return False
    word = ts[i].word
    if word in _STOPS or word in w.CONJUNCTIONS or word == "not":
        return False
    if word in w.DETERMINERS or word in w.POSSESSIVES or word in w.NUMBERS or word[0].isdigit():
        return not bare
    if bare:
        finite_too = bool(w.is_form(word, "VBZ", "VBD")) and not w.can_be(word, "NOUN")
        return w.noun_lemma(word) is not None and not finite_too
    return w.noun_lemma(word) is not None or w.can_be(word, "ADJ")


def noun_phrase(ts: list[Token], i: int) -> tuple[str | None, int]:
    """The head noun of the phrase that starts at `i`, and the place after it; None where the head is no common noun.

    The head is the last noun before a preposition, a clause, a participle with its own phrase, or an adverb.
    """
    head: Token | None = None
    start = i
    while i < len(ts):
        token, word = ts[i], ts[i].word
        if token.word == "'s":  # what came before owns what comes now
            head, i = None, i + 1
            continue
        if token.mark and word not in {",", "-"} or token.quoted or (word in _STOPS and word not in w.DETERMINERS):
            break
        if word in w.CONJUNCTIONS or token.mark:
            if not _joins_adjectives(ts, i, head):
                break
            i += 1
            continue
        article = word in w.DETERMINERS or word in w.POSSESSIVES
        if head is not None and (article or _ends_phrase(ts, i)):
            break
        if not article and not word[0].isdigit() and word not in w.NUMBERS:
            if not w.readings(word) or w.noun_lemma(word) or not w.can_be(word, "ADV") or w.can_be(word, "ADJ"):
                head = token
            elif head is not None:
                break
        i += 1
    if head is None or head.name or i == start:
        return None, i
    return w.noun_lemma(head.word), i


def _joins_adjectives(ts: list[Token], i: int, head: Token | None) -> bool:
    """`short and sweet poem`, `long, winding road`: what stands before and after `i` can be adjectives, then more."""
    if head is None or i + 2 >= len(ts) or ts[i + 1].mark or ts[i + 2].mark:
        return False
    sides = w.can_be(head.word, "ADJ") and w.can_be(ts[i + 1].word, "ADJ")
    return sides and opens_noun_phrase(ts, i + 2, bare=True)


def _ends_phrase(ts: list[Token], i: int) -> bool:
    """Whether the word at `i`, after a noun, no longer belongs to its phrase."""
    word, after = ts[i].word, ts[i + 1] if i + 1 < len(ts) else None
    more = opens_noun_phrase(ts, i + 1, bare=True)
    adverb = w.can_be(word, "ADV") and not w.can_be(word, "NOUN")
    if adverb or word in w.ADVERBS or (word.endswith(("ible", "able")) and not more):  # the best film available
        return True
    if w.only_verb(word) and w.is_base_verb(word):  # the way people communicate
        return True
    opens = after is not None and (after.word in _STOPS | w.DETERMINERS | w.POSSESSIVES or after.quoted or after.name)
    if w.is_form(word, "VBG") and not w.can_be(word, "NOUN"):  # a table comparing ..., but critical thinking skills
        return after is not None and not after.mark and (opens or (more and not w.can_be(ts[i - 1].word, "ADJ")))
    if w.is_form(word, "VBN") and not w.can_be(word, "NOUN"):  # a book written by ..., but named entities
        return after is None or after.mark or opens
    return False


def object_noun(ts: list[Token], i: int, verb: str) -> str | None:
    """The head noun of the direct object that starts at `i`, after `verb`."""
    i = past_adverbs(ts, i)
    if i + 1 < len(ts) and ts[i].word in w.PARTICLES and opens_noun_phrase(ts, i + 1):
        i += 1  # write down three ...
    if i >= len(ts):
        return None
    owner = ts[i].word in w.POSSESSIVES and opens_noun_phrase(ts, i + 1, bare=True)
    if ts[i].word in w.OBJECTS and not owner:  # give me a list
        i = past_adverbs(ts, i + 1)
        if i >= len(ts) or (verb in _CAUSING and w.is_base_verb(ts[i].word)) or not opens_noun_phrase(ts, i):
            return None
        if w.only_verb(ts[i].word):
            return None
    if not opens_noun_phrase(ts, i) or (verb in w.GERUND_VERBS and w.is_form(ts[i].word, "VBG")):
        return None
    noun, end = noun_phrase(ts, i)
    if end < len(ts) and ts[end].word in w.DETERMINERS and opens_noun_phrase(ts, end):  # write my boss an email
        second, _ = noun_phrase(ts, end)
        noun = second or noun
    return noun


def with_object(word: str, ts: list[Token], i: int, tags: tuple[str, ...] = ()) -> Pair:
    """The pair of a verb form and of the object that starts at `i`; no pair for a form of `be`."""
    lemma = (w.is_form(word, *tags) if tags else None) or w.readings(word).get("VERB", (word,))[0]
    if not tags and w.is_base_verb(word):
        lemma = word
    if lemma == "be":
        return NONE
    return Pair(lemma, object_noun(ts, i, lemma))


def verb_after_subject(ts: list[Token], start: int, tags: tuple[str, ...]) -> int | None:
    """The place of the verb, in one of these forms, after the subject that starts at `start`."""
    alone = ts[start].word in w.SUBJECTS and not (
        ts[start].word in w.DETERMINERS and opens_noun_phrase(ts, start + 1, bare=True)
    )
    if alone:
        i = past_adverbs(ts, start + 1)
        return i if i < len(ts) and not ts[i].name and w.is_form(ts[i].word, *tags) else None
    candidates: list[int] = []
    i = head_of_subject(ts[start:]) + start
    while i < len(ts):
        word, before = ts[i].word, ts[i - 1].word
        verb = w.is_form(word, *tags) and not ts[i].name and not w.is_adverb(word)
        if word in w.PREPOSITIONS and not (verb and opens_noun_phrase(ts, i + 1)):
            if candidates:
                break
            i += 2
            continue
        if candidates and (ts[i].mark or word in w.DETERMINERS | w.POSSESSIVES | w.OBJECTS):
            break
        if verb and before not in w.DETERMINERS | w.POSSESSIVES | w.CONJUNCTIONS:
            if w.only_verb(word):
                return i
            candidates.append(i)
        i += 1
    articles = w.DETERMINERS | w.POSSESSIVES | w.OBJECTS | w.NUMBERS
    opening = [i for i in candidates if ts[i].word in w.OPENING]
    before_object = [i for i in candidates if i + 1 < len(ts) and ts[i + 1].word in articles]
    return next(iter([*opening, *before_object, *candidates[-1:]]), None)


def head_of_subject(ts: list[Token]) -> int:
    """The place after the first noun of a subject: articles and numbers, then one word."""
    i = 0
    while i < len(ts) - 1 and (
        ts[i].word in w.DETERMINERS | w.POSSESSIVES | w.NUMBERS
        or ts[i].word[0].isdigit()
        or (w.can_be(ts[i].word, "ADJ") and not w.can_be(ts[i].word, "NOUN"))
    ):
        i += 1
    return i + 1


def finite(ts: list[Token], i: int, *, pronoun: bool, bare: bool = False) -> Pair:
    """The main verb of a statement whose subject ends at or after `i`.

    `pronoun`: the subject is a pronoun, so that the verb is next; `bare`: it has no article, so that only a sure
    form counts.
    """
    while i < len(ts):
        word = ts[i].word
        if ts[i].mark and ts[i].word != ",":
            return NONE
        if word in w.AUXILIARIES or word in {"'m", "'re"}:
            return _chain(ts, i)
        if pronoun:
            i2 = past_adverbs(ts, i)
            if i2 != i:
                i = i2
                continue
            lemma = w.is_form(word, "VB", "VBP", "VBD", "VBZ")
            return with_object(word, ts, i + 1, ("VB", "VBP", "VBZ", "VBD")) if lemma else NONE
        if word in w.PREPOSITIONS:
            i += 2
            continue
        lemma = w.is_form(word, "VBZ", "VBD")
        after = ts[i + 1].word if i + 1 < len(ts) else ""
        sure = not w.can_be(word, "NOUN", "ADJ") and bool(after)
        object_next = after in w.DETERMINERS | w.POSSESSIVES | w.OBJECTS | w.NUMBERS | {"to"} or after[:1].isdigit()
        gerund = not bare and bool(after) and after.endswith("ing")
        if lemma and not ts[i].name and (object_next or gerund or (sure and not bare)):
            return with_object(word, ts, i + 1, ("VBZ", "VBD"))
        i += 1
    return NONE


def _chain(ts: list[Token], i: int) -> Pair:
    """Auxiliaries from `i` on, then the main verb: `have been feeling`, `would like`, `will not turn`."""
    word = ts[i].word
    last = i
    j = past_adverbs(ts, i + 1)
    while j < len(ts) and ts[j].word in w.BE | w.HAVE | w.DO | {"going", "to"} and j + 1 < len(ts):
        if ts[j].word == "to" and ts[last].word in w.BE:  # `Your task is to ...`
            return NONE
        last = j
        j = past_adverbs(ts, j + 1)
    helper = ts[last].word
    if helper in w.BE:
        return with_object(ts[j].word, ts, j + 1, ("VBG", "VBN")) if participle(ts, j) else NONE
    if helper in w.HAVE:
        if j < len(ts) and w.is_form(ts[j].word, "VBN") and not opens_noun_phrase(ts, j, bare=True):
            return with_object(ts[j].word, ts, j + 1, ("VBN",))
        return with_object(helper, ts, last + 1)
    if j < len(ts) and w.is_base_verb(ts[j].word):
        return with_object(ts[j].word, ts, j + 1)
    return with_object(word, ts, i + 1) if word in w.DO else NONE
