"""The instruction sets in Alpaca's schema, and the flashcards: raw records as instruction and response.

OpenFedLLM's own reading of each (its utils/process_dataset.py): an `input` that is not empty is joined to the
instruction by one space; of MathInstruct the first record of each instruction is kept; the flashcards' question stands
in `input`, and their `instruction`, the same on every card, is left out.

The sets of OpenFedLLM (section 4.1; footnotes 1 to 7 of the paper name their Hub ids) have no published test split but
for HH-RLHF: their `_test` sources are made by the embedded world, or are files of your own. The licence is the
publisher's, as its dataset card or repository stated it when it was looked up; where the statements differ or are
missing, the entry says so. All texts are in English but for strays that no field marks.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..rules import text_fault
from ..sources import RawSource, tables
from .base import Dealt, Form, Note, Row, paper
from .story import CITE_OPENFEDLLM, OF_OPENAI, OPENFEDLLM, Part, Story, dealt

_INPUT_TYPE = "wrong type of 'input'"
_INPUT_BROKEN = "broken text in 'input'"
_ALPACA = MappingProxyType({"instruction": str, "output": str})  # and `input`, which may be empty or absent
_CARD = MappingProxyType({"input": str, "output": str})


def alpaca_row(raw: Mapping[str, Any], note: Note) -> Row | str:
    """Instruction, input (may be absent, null or blank) and output; else the reason."""
    given = raw.get("input")
    if given is not None and not isinstance(given, str):
        return _INPUT_TYPE
    why = text_fault(raw, _ALPACA)
    given = given if isinstance(given, str) and given.strip() else ""
    if why is None and given and text_fault({"input": given}, {"input": str}):
        why = _INPUT_BROKEN
    return why or answered(f"{raw['instruction']} {given}" if given else raw["instruction"], raw["output"])


def flashcard_row(raw: Mapping[str, Any], note: Note) -> Row | str:
    """Medical Meadow's: the question of a card and its answer."""
    return text_fault(raw, _CARD) or answered(raw["input"], raw["output"])


def answered(instruction: str, response: str) -> Row:
    """An English row."""
    return {"instruction": instruction, "response": response, "language": "en"}


def test_of(source: RawSource) -> RawSource:
    """Test records in the schema of a training source; they are not on the Hub."""
    return RawSource(
        f"{source.name}_test",
        tables(source.name, "test"),
        fields=source.fields,
        split="test",
        embedded=source.embedded,
        licence=source.licence,
        description=f"held-out records in the schema of {source.name}; none are published",
    )


test_of.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test


def instruction_set(
    name: str,
    *files: str,
    hub: str,
    terms: str,
    description: str,
    counts: Mapping[str, Any],
    form: dict[str, Any] | None = None,
    **words: Any,
) -> Dealt:
    """A set of instructions with its test source. `terms`: its licence; `words`: of its story."""
    form = {"fields": _ALPACA, "row": alpaca_row, "rules": (_INPUT_TYPE, _INPUT_BROKEN)} | (form or {})
    fields = form.pop("fields")
    own = RawSource(
        name,
        tables(name, "train", *files),
        fields=fields,
        hub=hub,
        embedded=True,
        licence=terms,
        description=description,
    )
    words["citation"] = f"{words['citation']}{CITE_OPENFEDLLM}"
    return Dealt(name=name, form=Form(own, **form), test=test_of(own), paper=counts, story=Story(hub=hub, **words))


_ALONE = "in OpenFedLLM one client of four; its size is the source's"


def _one_of_four(title: str) -> dict[str, Any]:
    clients = dealt(f"no federation of {title} alone; it is one of the four clients of `domains`, so 4")
    return dict(title=title, paper=f"{OPENFEDLLM}, section 4.4, one of its four domains.", clients=clients)


_BY_MODEL: dict[str, Any] = dict(
    privacy="No person's records are known to be among them; the instructions were written by a model from seeds that"
    " people wrote."
)


def _harms(model: str) -> str:
    return (
        f"Answers were written by a language model ({model}) and hold its errors and its views; nobody checked them one"
        " by one. A model tuned on them learns its manner."
    )


_NONCOMMERCIAL = (Part("instructions and answers", "CC BY-NC 4.0", "not for commercial use"), OF_OPENAI)

ALPACA_GPT4 = instruction_set(
    "alpaca_gpt4",
    "alpaca-gpt4/data/train*.parquet",
    "alpaca_gpt4/alpaca_gpt4_data.json",
    hub="vicgalle/alpaca-gpt4",
    terms="CC BY-NC 4.0",
    description="Alpaca-GPT4 (Peng et al. 2023): Alpaca's 52,002 instructions answered by GPT-4",
    counts=paper(20, 20_000, "OpenFedLLM section 4.2"),
    title="Alpaca-GPT4",
    paper=f"{OPENFEDLLM}, section 4.2 (general instruction tuning).",
    clients=dealt("20"),
    what="Alpaca's instructions with answers by GPT-4. OpenFedLLM's general federation: 20,000 of them.",
    licence="cc-by-nc-4.0",
    parts=_NONCOMMERCIAL,
    harms=_harms("GPT-4"),
    citation="""@misc{peng2023instruction,
  title = {Instruction Tuning with GPT-4},
  author = {Peng, Baolin and Li, Chunyuan and He, Pengcheng and Galley, Michel and Gao, Jianfeng},
  howpublished = {arXiv:2304.03277},
  year = {2023}
}""",
    **_BY_MODEL,
)
ALPACA = instruction_set(
    "alpaca",
    "alpaca/alpaca_data.json",
    hub="tatsu-lab/alpaca",
    terms="CC BY-NC 4.0",
    description="Alpaca (Taori et al. 2023): 52,002 instructions answered by text-davinci-003",
    counts=paper(None, 52_002, _ALONE),
    what="""52,002 instructions made by a model from 175 hand-written seeds (Self-Instruct), each with an answer by
text- davinci-003. Some carry an `input`, which is joined to the instruction. For general instruction tuning.""",
    licence="cc-by-nc-4.0",
    parts=_NONCOMMERCIAL,
    harms=_harms("text-davinci-003"),
    citation="""@misc{taori2023alpaca,
  title = {Stanford Alpaca: An Instruction-following LLaMA Model},
  author = {Taori, Rohan and Gulrajani, Ishaan and Zhang, Tianyi and others},
  howpublished = {GitHub, tatsu-lab/stanford_alpaca},
  year = {2023}
}""",
    **_BY_MODEL,
    **_one_of_four("Alpaca"),
)
MATHINSTRUCT = instruction_set(
    "mathinstruct",
    "MathInstruct/MathInstruct.json",
    "mathinstruct/MathInstruct.json",
    hub="TIGER-Lab/MathInstruct",
    terms="MIT for the collection; its sources have terms of their own",
    description="MathInstruct (Yue et al. 2023): some 262,000 problems of 13 sources, solved in words or as a program",
    counts=paper(None, 262_039, _ALONE),
    form={"once": "instruction"},
    what="""Some 262,000 problems of mathematics from 13 sources, solved in words or by a short program. OpenFedLLM
takes 5,000.""",
    licence="mit",
    parts=(
        Part("the collection", "MIT", "use, change and pass on with the notice"),
        Part("its 13 sources", "various", "terms of their own, listed on the dataset's page"),
    ),
    harms="""Many solutions were written by GPT-4 and filtered by their result alone; a right result may follow from
wrong steps.""",
    citation="""@misc{yue2023mammoth,
  title = {MAmmoTH: Building Math Generalist Models through Hybrid Instruction Tuning},
  author = {Yue, Xiang and Qu, Xingwei and Zhang, Ge and others},
  howpublished = {arXiv:2309.05653},
  year = {2023}
}""",
    **_BY_MODEL,
    **_one_of_four("MathInstruct"),
)
CODE_ALPACA = instruction_set(
    "code_alpaca",
    "CodeAlpaca-20k/data/train*.parquet",
    "code_alpaca/code_alpaca_20k.json",
    hub="lucasmccabe-lmi/CodeAlpaca-20k",
    terms="none stated on this Hub copy; the author's states CC BY 4.0, the first release CC BY-NC 4.0",
    description="CodeAlpaca (Chaudhary 2023): 20,022 instructions for code, answered by text-davinci-003",
    counts=paper(None, 20_022, _ALONE),
    what="20,022 instructions about code with answers by text-davinci-003, made as Alpaca was.",
    licence="other",
    parts=(
        Part(
            "instructions and answers",
            "not stated on this copy",
            "the author states CC BY 4.0, the first release CC BY-NC 4.0; ask before use",
        ),
        OF_OPENAI,
    ),
    harms=f"{_harms('text-davinci-003')} The code was not run.",
    citation="""@misc{chaudhary2023code,
  title = {Code Alpaca: An Instruction-following LLaMA Model for Code Generation},
  author = {Chaudhary, Sahil},
  howpublished = {GitHub, sahil280114/codealpaca},
  year = {2023}
}""",
    **_BY_MODEL,
    **_one_of_four("CodeAlpaca"),
)
MEDICAL = instruction_set(
    "medical",
    "medical_meadow_medical_flashcards/*.json",
    "medical/medical_meadow_wikidoc_medical_flashcards.json",
    hub="medalpaca/medical_meadow_medical_flashcards",
    terms="Creative Commons; its card does not say which",
    description="Medical Meadow flashcards (Han et al. 2023): 33,955 questions and answers for students of medicine",
    counts=paper(None, 33_955, "the source's size; the split is in the full paper only"),
    form={"fields": _CARD, "row": flashcard_row, "rules": ()},
    title="Medical Meadow flashcards",
    paper="OpenFedLLM's full paper (arXiv:2402.06954); the conference paper leaves this set out.",
    what="33,955 questions and answers made from flashcards of students of medicine.",
    licence="cc",
    parts=(Part("questions and answers", "Creative Commons, variant not stated", "ask before use"),),
    tasks=("question-answering", "text-generation"),
    clients=dealt("no printed number for it; the kit takes 20, as for the general set"),
    harms="""Answers may be out of date or wrong, and were partly rewritten by a model. They are no medical advice, and
a model tuned on them gives none.""",
    privacy="Made from teaching material; no patient's record is known to be among them.",
    citation="""@misc{han2023medalpaca,
  title = {MedAlpaca: An Open-Source Collection of Medical Conversational AI Models and Training Data},
  author = {Han, Tianyu and Adams, Lisa C. and Papaioannou, Jens-Michalis and others},
  howpublished = {arXiv:2304.08247},
  year = {2023}
}""",
)
DATASETS = (ALPACA_GPT4, ALPACA, MATHINSTRUCT, CODE_ALPACA, MEDICAL)
