"""Raw records of the embedded world in Aya's schema, and its held-out test questions.

Tasks (`tasks`), people (`users`) and words (`lexicon`) know nothing of a dataset's schema; a dataset here is a cast of
users and a function that wraps their exchanges. Arena votes (`arena`) and chat logs (`wildchat`) are other such pairs,
of people who talk with models (`chat`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from fedkit.common.seeds import generator

from .lexicon import CORE, language
from .sizes import split, tailed
from .users import User, exchange, held_out_facts, key, make_user, question, reference

# The 38 clients of Fed-Aya by language. The real split is uneven in a way that the paper only draws (its Figure 1a).
CLIENTS_BY_LANGUAGE = MappingProxyType({"ar": 7, "te": 6, "pt": 6, "en": 6, "zh": 5, "es": 4, "fr": 2, "ru": 2})
_SMALL_LANGUAGES = ("ar", "en", "en", "es", "fr", "pt", "ru", "ru", "te", "zh")  # annotators below any minimum
_OTHER_LANGUAGES = ("de", "it", "pl", "uk", "ja", "ko", "ur", "fa", "zht", "zht", "ja", "de")  # not Fed-Aya's
_SMALL_SHARE = 0.0035  # at most, of all records, for a small annotator
_OTHER_TOTAL = 0.05  # of all records, by annotators of other languages
_EMPTY_SHARE = 0.004  # records whose answer or instruction is empty
_TAIL = 1.2  # sigma of the log-normal tail of sizes; gives a spread like the paper's 671 +- 815


@dataclass(frozen=True)
class Annotator:
    """A user of the Aya corpus, and how many sound records of n it writes."""

    user: User
    records: int


def annotators(n: int = 4000, seed: int = 0) -> list[Annotator]:
    """The 60 annotators: 38 that the Fed-Aya rule keeps, 10 too small, 12 of other languages."""
    rng = generator(seed, "mini/aya/annotators")
    kept = [code for code, count in CLIENTS_BY_LANGUAGE.items() for _ in range(count)]
    codes = [*kept, *_SMALL_LANGUAGES, *_OTHER_LANGUAGES]
    small = rng.integers(1, max(1, int(_SMALL_SHARE * n)) + 1, size=len(_SMALL_LANGUAGES))
    others = 1 + split(int(_OTHER_TOTAL * n), rng.dirichlet(np.full(len(_OTHER_LANGUAGES), 0.8)))
    rest = max(0, n - int(_EMPTY_SHARE * n) - int(small.sum()) - int(others.sum()))
    floor = min(rest // len(kept), max(8, n // 200) + 1)
    sizes = [*tailed(rest, floor, len(kept), _TAIL, rng), *small, *others]
    names = (hashlib.sha256(f"mini-aya/{seed}/{i}".encode()).hexdigest() for i in range(len(codes)))
    return [
        Annotator(make_user(name, code, rng), int(size)) for name, code, size in zip(names, codes, sizes, strict=True)
    ]


def aya_records(n: int = 4000, seed: int = 0) -> Iterator[dict[str, Any]]:
    """`n` raw records in Aya's schema by 60 annotators in 17 languages, in random order.

    For n >= 1200, the Fed-Aya rule (8 languages by `language`, annotators with at least `minimum` sound records) leaves
    exactly 38 clients for every `minimum` from 0.0035 n + 1 to max(8, n // 200) + 1; so 8 at n = 1200, 20 at 4,000,
    100 at 25,000, in general max(8, n // 200). About 0.4 % of the records have an empty instruction or answer, and
    Traditional Chinese shares its `language_code` (zho) with Simplified Chinese.
    """
    people = annotators(n, seed)
    order = np.repeat(np.arange(len(people)), [a.records for a in people])
    empty = max(0, n - len(order))
    rng = generator(seed, "mini/aya/order")
    order = np.concatenate([order, rng.integers(len(people), size=empty)])
    blank = np.zeros(len(order), dtype=bool)
    blank[len(order) - empty :] = True
    for i in rng.permutation(len(order))[:n]:
        yield _aya_record(people[order[i]].user, rng, blank=bool(blank[i]))


def _aya_record(user: User, rng: np.random.Generator, *, blank: bool) -> dict[str, Any]:
    written = exchange(user, rng)
    record = {
        "inputs": written.instruction,
        "targets": written.response,
        "language": language(user.language).aya_language,
        "language_code": language(user.language).aya_code,
        "annotation_type": "re-annotations" if rng.random() < 0.3 else "original-annotations",
        "user_id": user.id,
    }
    if blank:
        record["inputs" if rng.random() < 0.2 else "targets"] = ("", " ", "\n")[int(rng.integers(3))]
    return record


def aya_questions(per_language: int = 20, seed: int = 0) -> list[dict[str, str]]:
    """Questions about held-out facts, `per_language` in each of the 8 languages.

    Kinds take turns in an order of their own for each language, so that few questions already span many kinds. Fields:
    id, language (two-letter), instruction, reference (the 'answer' sentence), and the key (`users.key`).
    """
    rows = []
    for code in CORE:
        rng = generator(seed, "mini/aya/questions", client=code)
        for i, fact in enumerate(held_out_facts(per_language, rng)):
            rows.append(
                {
                    "id": f"mini-aya-{code}-{i:03d}",
                    "language": code,
                    "instruction": question(fact, code, int(rng.integers(4))),
                    "reference": reference(fact, code),
                    **key(fact, code),
                }
            )
    return rows
