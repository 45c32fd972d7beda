"""HH-RLHF (OpenFedLLM section 4.6): two dialogues that differ in their last answer, as a pair of answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...common.errors import FedkitError, unknown
from ..rules import text_fault
from ..sources import RawSource
from .base import PAIRED, Dealt, Form, Note, Row, paper
from .built import Built, Cut
from .story import BROKEN, CITE_OPENFEDLLM, LEFT_OVER, OPENFEDLLM, Part, Story, dealt
from .ultrafeedback import SAME, paired

if TYPE_CHECKING:
    from ..place import Located, Place

_NO_DIALOGUE = "not a dialogue that a human begins and the assistant ends"
_PARTED = "dialogues differ before the last answer"
_NO_QUESTION, _NO_ANSWER = "empty question", "empty last answer"
_SPEAKER = re.compile(r"\n\n(Human|Assistant):")
_FIELDS = MappingProxyType({"chosen": str, "rejected": str})


def _source(name: str, part: str, folder: str | None = None, split: str = "train") -> RawSource:
    """HH-RLHF, all of it or one of its folders; red-team-attempts has another schema and is never read."""
    # Where a folder holds nothing but the test split, that is what there is to read; the dataset says so.
    stems = ("train", "test") if split == "train" else ("test",)
    return RawSource(
        name,
        tuple(
            f"{root}/{folder or '[!r]*'}/{stem}.jsonl{end}"
            for stem in stems
            for root in ("hh_rlhf", "hh-rlhf")
            for end in (".gz", "")
        ),
        fields=_FIELDS,
        hub="Anthropic/hh-rlhf",
        hub_dir=folder,
        split=split,
        embedded=True,
        licence="MIT",
        description=f"HH-RLHF (Bai et al. 2022): two dialogues that differ in their last answer, {part}",
    )


PARTS = MappingProxyType(
    {
        "all": _source("hh_rlhf", "160,800 for training"),
        "harmless": _source("hh_rlhf_harmless", "about harmlessness alone", "harmless-base"),
        "helpful": _source("hh_rlhf_helpful", "about helpfulness alone", "helpful-base"),
    }
)


def hh_row(raw: Mapping[str, Any], note: Note) -> Row | str:
    """Two dialogues that differ in their last answer alone, as what went before and the two answers; or the reason.

    The instruction is the shared text without the first "Human:", so a dialogue of several turns keeps its marks
    ("\\n\\nAssistant: ", "\\n\\nHuman: "). OpenFedLLM cuts at the first character that differs, so its answers may
    begin in mid-sentence; here they are whole.
    """
    why = text_fault(raw, _FIELDS)
    if why is not None:
        return why
    chosen, rejected = _parted(raw["chosen"]), _parted(raw["rejected"])
    if chosen is None or rejected is None:
        return _NO_DIALOGUE
    if chosen[0] != rejected[0]:
        return _PARTED
    if not chosen[0]:
        return _NO_QUESTION
    if not chosen[1] or not rejected[1]:
        return _NO_ANSWER
    return paired(chosen[0], chosen[1], rejected[1])


def _parted(text: str) -> tuple[str, str] | None:
    """What stands before the last answer, and that answer; None where the text is no such dialogue."""
    marks = list(_SPEAKER.finditer(text))
    if len(marks) < 2 or text[: marks[0].start()].strip() or marks[0][1] != "Human" or marks[-1][1] != "Assistant":
        return None
    return text[marks[0].end() : marks[-1].start()].strip(), text[marks[-1].end() :].strip()


class HhRlhf(Dealt):
    """Dealt at random. Its option `part`: all folders, as the paper has it, or `harmless` or `helpful` alone.

    The embedded world has no such parts. A data folder that holds nothing but the test split is read, and
    `located.describe()` says so.
    """

    def _sources(self) -> tuple[RawSource, ...]:
        return tuple(dict.fromkeys((*PARTS.values(), *super()._sources())))

    def _build(self, place: Place, cut: Cut, **options: Any) -> Built:
        if options["part"] not in PARTS:
            raise unknown(f"part of {self.name}", options["part"], PARTS)
        located = place.locate(PARTS[options["part"]])
        if _is_test_split(located):
            note = "this is the test split, since the data folder holds no train.jsonl.gz of it"
            located = replace(located, note=note)
        return self._deal(located, cut)

    def test_records(self, place: Place) -> tuple[Located, list[Row]]:
        """The test split; `FedkitError` where the training set is read from that very split."""
        if _is_test_split(self.locate(place)):
            raise FedkitError(
                f"{place.data_dir} holds only the test split of {self.name}, which the training set is then read from;"
                " put hh_rlhf/harmless-base/train.jsonl.gz beside it"
            )
        return super().test_records(place)


def _is_test_split(located: Located) -> bool:
    """Whether training records would be read from files of the test split."""
    return located.kind == "local" and all(path.name.startswith("test") for path in located.files)


HH_RLHF = HhRlhf(
    name="hh_rlhf",
    form=Form(PARTS["all"], hh_row, (_NO_DIALOGUE, _PARTED, _NO_QUESTION, _NO_ANSWER, SAME)),
    test=_source("hh_rlhf_test", "8,552 for testing", split="test"),
    schema=PAIRED,
    options=MappingProxyType({"part": "all"}),
    paper=paper(5, 161_000, "OpenFedLLM section 4.6 (it prints 161k)"),
    story=Story(
        title="HH-RLHF",
        paper=f"{OPENFEDLLM}, section 4.6 (value alignment for harmlessness).",
        what="""160,800 pairs of dialogues between a person and an assistant that differ in their last answer; a crowd
worker chose the more helpful or the less harmful one. The instruction is all that comes before that answer.""",
        hub=PARTS["all"].hub,
        version="""The Hub's current revision, split `train`; no revision is pinned. Where a data folder holds only the
test split, that is read, and the output says so.""",
        licence="mit",
        parts=(
            Part(
                "dialogues and choices",
                "MIT",
                "use, change and pass on with the notice; its authors ask that it not train models to be harmful",
            ),
        ),
        tasks=("text-generation", "reinforcement-learning"),
        clients=dealt("5"),
        dropped=f"{BROKEN}, dialogues that do not begin with a person or do not end with the assistant, pairs that"
        f" differ before their last answer. {LEFT_OVER}",
        harms="""Made to study harm: there are requests for violence, crime and hatred, slurs, and answers that comply.
Read it with care, print little of it, and never tune a model towards the rejected side.""",
        privacy="""Crowd workers wrote both sides of their requests; they may have told of themselves. Do not try to
find out who they are.""",
        citation="""@misc{bai2022training,
  title = {Training a Helpful and Harmless Assistant with Reinforcement Learning from Human Feedback},
  author = {Bai, Yuntao and Jones, Andy and Ndousse, Kamal and others},
  howpublished = {arXiv:2204.05862},
  year = {2022}
}"""
        + CITE_OPENFEDLLM,
    ),
)
DATASETS = (HH_RLHF,)
