"""Fed-Aya (FedLLM-Bench section 3.2): Aya's annotators as clients.

The rule: six high-resource languages (en, es, fr, ru, pt, zh) and two low-resource ones (ar, te); annotators with at
least 100 annotations. Languages go by Aya's field `language`: Traditional Chinese shares the code zho.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...common.errors import FedkitError
from ..origins import QUESTIONS
from ..rules import UNKNOWN, fault, text_fault
from ..sources import RawSource, spellings
from .base import Form, Note, People, Row, field_of, paper
from .questions import Question, QuestionSet, draw_key, key_of, malformed
from .released import released
from .story import BENCH, CITE_BENCH, Part, Story

if TYPE_CHECKING:
    from ..place import Located, Place

LANGUAGES: Mapping[str, str] = MappingProxyType(
    {
        "Standard Arabic": "ar",
        "English": "en",
        "Spanish": "es",
        "French": "fr",
        "Portuguese": "pt",
        "Russian": "ru",
        "Telugu": "te",
        "Simplified Chinese": "zh",
    }
)
OTHER = "other language"
_CODES = tuple(LANGUAGES.values())
_AYA: dict[str, Any] = dict(
    fields=MappingProxyType({"inputs": str, "targets": str, "language": str, "user_id": str}),
    hub="CohereLabs/aya_dataset",
    hub_config="default",
    licence="Apache-2.0",
)
AYA = RawSource(
    "aya",
    (
        *(f"{folder}train*.parquet" for folder in ("aya/", "aya/data/", "aya_dataset/", "aya_dataset/data/")),
        *spellings("aya", "train"),
        *spellings("aya_dataset", "train"),
    ),
    embedded=True,
    description="Aya Dataset (Singh et al. 2024): instructions and answers by volunteers, 65 languages",
    **_AYA,
)
AYA_HELDOUT = RawSource(
    "aya_heldout",
    ("aya/test*.parquet", "aya/data/test*.parquet", "aya_dataset/data/test*.parquet"),
    split="test",
    description="Aya Dataset, held-out split: 5 of Fed-Aya's 8 languages (no Spanish, French, Russian)",
    **_AYA,
)
AYA_TEST = RawSource(
    "aya_test",
    ("fedllm_bench/aya_test.json", "aya_test.json", "aya_evaluation/test_datasets.json"),
    fields=MappingProxyType({"instruction": str, "reference": str, "client_id": str}),
    embedded=True,
    licence="Apache-2.0",
    description="Ref questions of FedLLM-Bench with reference answers, 20 in each of 8 languages",
)


def two_letter(language: str) -> str | None:
    """Fed-Aya's code of a language as Aya spells it (`Standard Arabic`, `Standard_Arabic`) or of its own code.

    None for other languages.
    """
    spoken = language.replace("_", " ").strip()
    return spoken if spoken in _CODES else LANGUAGES.get(spoken)


def annotation(raw: Mapping[str, Any], note: Note) -> Row | str:
    """A record of Aya as instruction (inputs), response (targets) and language, or the rule that it breaks."""
    code = two_letter(raw["language"])
    if code is None and raw["language"].strip():
        return OTHER
    why = text_fault(raw, AYA.fields)
    return why or {"instruction": raw["inputs"], "response": raw["targets"], "language": code}


def _released(raw: Mapping[str, Any], note: Note) -> Row | str:
    """A record of FedLLM-Bench's release, which was cut to the 8 languages by its authors and names none."""
    spoken = str(raw.get("language") or UNKNOWN).strip() or UNKNOWN
    code = UNKNOWN if spoken == UNKNOWN else two_letter(spoken)
    if code is None:
        return OTHER
    why = text_fault(raw, RELEASED.source.fields)
    return why or {"instruction": raw["instruction"], "response": raw["response"], "language": code}


RAW = Form(AYA, annotation, (OTHER,), field_of("user_id"))
RELEASED = released(
    "fed_aya",
    ("instruction", "response"),
    _released,
    ("Fed-Aya/aya_*", "fed_aya/*"),
    rules=(OTHER,),
    licence="Apache-2.0",
    description="Fed-Aya as FedLLM-Bench released it: {client: [instruction, response]}",
)


@dataclass(frozen=True)
class AyaQuestions(QuestionSet):
    """So many in each of the 8 languages, in this order of sources.

    FedLLM-Bench's own 160 in the data folder (`fedllm_bench/aya_test.json`); the embedded world's, where the place is
    embedded; else Aya's held-out split. That has no Spanish, French or Russian: for a language that it lacks, questions
    come from annotators whom the minimum keeps out, so none is trained on.
    """

    each = " a language"

    @property
    def sources(self) -> tuple[RawSource, ...]:
        return (self.test, AYA_HELDOUT, AYA, RELEASED.source)

    def locate(self, place: Place) -> Located:
        return place.locate(self.test if place.embedded or place.files(self.test) else AYA_HELDOUT)

    def _read(self, located: Located, place: Place, wanted: int, minimum: int) -> list[Question]:
        if located.kind == "embedded":
            every = [Question(**record) for record in located.records()]
        elif located.source == self.test:
            every = self._from_file(located)
        else:
            every = self._held_out(located, place, minimum)
        own = {code: [question for question in every if question.language == code] for code in _CODES}
        for code in _CODES:
            if not own[code]:
                codes = ", ".join(_CODES)
                raise FedkitError(f"fed_aya has no question in {code}, {located.where}; give some in all of {codes}")
        order = dict.fromkeys(question.language for question in every)
        return [question for code in order for question in own[code][:wanted]]

    def _from_file(self, located: Located) -> list[Question]:
        """`{language: [{instruction, reference}]}`."""
        questions: list[Question] = []
        places: Counter[str] = Counter()
        for number, raw in enumerate(located.records(), 1):
            why = fault(raw, located.source.fields)
            code = two_letter(raw["client_id"]) if why is None else None
            if code is None:
                raise malformed(number, located, why or f"unknown language {raw['client_id']!r}")
            id = f"{self.prefix}-{code}-{places[code]:03d}"
            questions.append(Question(id, code, raw["instruction"], raw["reference"], **key_of(raw)))
            places[code] += 1
        return questions

    def _held_out(self, located: Located, place: Place, minimum: int) -> list[Question]:
        """Aya's test split, and the annotators below the minimum for the languages that it lacks."""
        rows = list(RAW.rows(located.records()))
        lacking = set(_CODES) - {row["language"] for row in rows}
        if lacking:
            sizes: Counter[str] = Counter()
            others = []
            for row in RAW.rows(FED_AYA.locate(place).as_part(QUESTIONS).records()):
                sizes[row["client_id"]] += 1
                others += [row] if row["language"] in lacking else []
            rows += [row for row in others if sizes[row["client_id"]] < minimum]
        return [
            Question(f"{self.prefix}-{code}-{i:03d}", code, row["instruction"], row["response"])
            for code in _CODES
            for i, row in enumerate(_of(code, rows))
        ]


def _of(code: str, rows: Iterable[Row]) -> list[Row]:
    """A language's rows, in the order of the hash of their instruction."""
    return sorted((row for row in rows if row["language"] == code), key=draw_key)


FED_AYA = People(
    name="fed_aya",
    who="annotator",
    forms=(RAW, RELEASED),
    paper=paper(38, 25_513, "FedLLM-Bench Table 1"),
    questions=AyaQuestions("aya", AYA_TEST, ("fed_aya",)),
    story=Story(
        title="Fed-Aya",
        paper=BENCH,
        what="""Instructions and answers written or edited by volunteers in many languages; of the Aya Dataset's 65
languages, Fed-Aya takes eight: six with much data (English, Spanish, French, Russian, Portuguese, Simplified Chinese)
and two with little (Standard Arabic, Telugu). Each record is one instruction with one answer. For federated instruction
tuning across languages, and for questions of fairness between languages.""",
        hub=AYA.hub,
        version="""The Hub's current revision, configuration `default`, split `train`; no revision is pinned.
FedLLM-Bench's own release (`Fed-Aya/*.json`, `{client: [records]}`) is read too where the data folder holds it.""",
        licence="apache-2.0",
        parts=(
            Part(
                "Aya Dataset: instructions and answers",
                "Apache-2.0",
                "use, change and pass on with the licence and a note of changes",
            ),
            Part(
                "FedLLM-Bench's choice of clients and test questions",
                "Apache-2.0 (Aya's texts)",
                "as above; cite the paper",
            ),
        ),
        clients="""A client is an annotator (`user_id`) with at least 100 records in the eight languages (`mini`: 20).
Languages go by the field `language`, since Traditional and Simplified Chinese share a code.""",
        dropped="""A record is dropped for the first rule that it breaks: a field that is missing or of a wrong type,
another language, a blank instruction or answer, an instruction that is one of the held-out test questions; then all
records of an annotator below the minimum.""",
        harms="""Volunteers' texts may hold mistakes and the views of their writers; languages differ in number and in
care of their annotators. Where few people wrote most of a language (one Arabic annotator of the real dataset holds
1,865 records), a result on that language is a result on those people.""",
        privacy="""A `user_id` is a pseudonym, yet it ties together all that one person wrote, and manner and topics may
betray who that is. Do not try to find out. In a real federation these records would not leave their writers.""",
        citation="""@article{singh2024aya,
  title = {Aya Dataset: An Open-Access Collection for Multilingual Instruction Tuning},
  author = {Singh, Shivalika and others},
  journal = {arXiv:2402.06619},
  year = {2024}
}"""
        + CITE_BENCH,
    ),
)
DATASETS = (FED_AYA,)
