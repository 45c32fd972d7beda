"""The first sentence of a text as words and marks, and what an extractor finds in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

_BREAK = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bMr)(?<!\bMrs)(?<!\bDr)(?<!\bvs)(?<!\betc)[.!?]+(?=\s|$)|[\r\n]+")
_BULLET = re.compile(r"^\s*(?:[-*#>•\s]+|\(?\d{1,2}[.)]\s+)")
_ASIDE = re.compile(r"\([^()]*\)")
_TOKEN = re.compile(r"\"[^\"]*\"|(?<!\w)'[^']+'(?!\w)|`[^`]*`|[^\W_]+(?:[-'.+#/][^\W_]+)*[+#]*|'s\b|[^\w\s]")
_CURLY = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "´": "'"})
_SHORT = [
    (re.compile(pattern, re.IGNORECASE), full)
    for pattern, full in (
        (r"\bwon't\b", "will not"),
        (r"\bcan't\b", "can not"),
        (r"\b(\w+)n't\b", r"\1 not"),
        (r"\blet's\b", "let us"),
        (r"\b(what|who|where|how|it|that|there|here|he|she)'s\b", r"\1 is"),
        (r"\b(\w+)'re\b", r"\1 are"),
        (r"\bI'm\b", "I am"),
        (r"\b(I|you|we|they)'d\b", r"\1 would"),
        (r"\b(I|you|we|they)'ve\b", r"\1 have"),
        (r"\b(\w+)'ll\b", r"\1 will"),
        (r"(\w)'s\b", r"\1 's"),
    )
]


class Pair(NamedTuple):
    """Root verb and the noun of its direct object, as lower-case lemmas; None where there is none."""

    verb: str | None
    noun: str | None


class Unread(Pair):
    """No pair, since the sentence is longer than the parser reads."""


NONE, UNREAD = Pair(None, None), Unread(None, None)


@dataclass(frozen=True)
class Token:
    """A word in lower case, and whether it stood as a name (a capital inside the sentence) or in quotation marks."""

    word: str
    name: bool = False
    quoted: bool = False

    @property
    def mark(self) -> bool:
        """Whether it is punctuation."""
        return not self.quoted and not self.word[0].isalnum() and self.word != "'s"


def first_sentence(text: str) -> str:
    """The first sentence, or line, that holds a letter or digit, with its closing mark; list marks taken off."""
    rest = text.translate(_CURLY)
    while rest:
        rest = _BULLET.sub("", rest)
        end = stop.end() if (stop := _BREAK.search(rest)) else len(rest)
        part, rest = rest[:end], rest[end:]
        if any(character.isalnum() for character in part):
            return part.strip()
    return ""


def tokens(sentence: str) -> list[Token]:
    """Words and marks of a sentence; contractions written out."""
    sentence = _ASIDE.sub(" ", sentence)
    for pattern, full in _SHORT:
        sentence = pattern.sub(full, sentence)
    spelled = _TOKEN.findall(sentence)
    words = [t for t in spelled if t[0].isalpha() and len(t) > 1]
    titled = len(words) > 2 and sum(t[0].isupper() for t in words) > 0.7 * len(words)
    before = ["", *spelled]  # what stands before each
    return [
        Token(
            t.lower(),
            name=t[0].isupper() and t != "I" and not titled and before[i] not in {"", ":", ".", '"', "-"},
            quoted=len(t) > 1 and t[0] in '"`',
        )
        for i, t in enumerate(spelled)
    ]
