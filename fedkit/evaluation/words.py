"""Words of any script, as the offline judge, the right facts and the yardsticks compare them.

NFKC, no letter case, no punctuation. Scripts that are written without blanks (Chinese characters, kana, Thai, Lao,
Burmese, Khmer) give a word a character, with its combining marks.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

# First and last code points of scripts without blanks.
_UNSPACED = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)
_SIGNS = frozenset("*/%-")  # punctuation to Unicode, but a sum or a program means another thing without them


def words(text: str) -> list[str]:
    """The words of a text, in order; a sign such as + or = is one too."""
    out: list[str] = []
    open_word = False
    for letter in unicodedata.normalize("NFKC", text).casefold():
        kind = unicodedata.category(letter)
        if kind == "Cf":  # joiners and direction marks belong to the writing, not to the word
            continue
        if kind[0] == "M" and out:
            out[-1] += letter
        elif kind[0] in "LNM":
            alone = any(first <= ord(letter) <= last for first, last in _UNSPACED)
            if open_word and not alone:
                out[-1] += letter
            else:
                out.append(letter)
            open_word = not alone
        else:
            open_word = False
            if kind[0] == "S" or letter in _SIGNS:
                out.append(letter)
    return out


def added(text: Sequence[str], question: Sequence[str]) -> list[str]:
    """The words of a text beyond the question's, in order; what the question holds twice is left out twice."""
    left = Counter(question)
    beyond = []
    for word in text:
        if left[word]:
            left[word] -= 1
        else:
            beyond.append(word)
    return beyond


def says(answer: str, fact: str, instead: str = "") -> bool:
    """Whether an answer names a fact: all its words in a row; of a choice more often than `instead`, the other one.

    So who repeats a question that offers two things has named neither. The two of a choice are looked for inside words,
    since articles and conjunctions may be joined to them. A number in a longer row of numbers is another answer.
    """
    spoken, named = words(answer), words(fact)
    if instead:
        whole = " ".join(spoken)
        return whole.count(" ".join(named)) > whole.count(" ".join(words(instead)))
    starts = (i for i in range(len(spoken) - len(named) + 1) if spoken[i : i + len(named)] == named)
    return bool(named) and any(not _counts_on(spoken, i, i + len(named)) for i in starts)


def _counts_on(spoken: Sequence[str], start: int, end: int) -> bool:
    """Whether a number at `start`, or the numbers up to `end`, go on before or after (a row may follow its limits)."""
    before, after = spoken[start - 1 : start], spoken[end : end + 1]
    own = all(word.isdigit() for word in spoken[start:end])
    return own and any(word.isdigit() for word in (after if end - start > 1 else [*before, *after]))
