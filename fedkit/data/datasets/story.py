"""What a dataset's card says in words; every number on a card is measured on the dataset that a profile builds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

BENCH = "FedLLM-Bench (Ye et al., NeurIPS 2024), section 3.2 and Table 1."
OPENFEDLLM = "OpenFedLLM (Ye et al., KDD 2024)"
CITE_BENCH = """
@inproceedings{ye2024fedllmbench,
  title = {FedLLM-Bench: Realistic Benchmarks for Federated Learning of Large Language Models},
  author = {Ye, Rui and Ge, Rui and Zhu, Xinyu and Chai, Jingyi and Du, Yaxin and Liu, Yang and Wang, Yanfeng and \
Chen, Siheng},
  booktitle = {NeurIPS Datasets and Benchmarks},
  year = {2024}
}"""
CITE_OPENFEDLLM = """
@inproceedings{ye2024openfedllm,
  title = {OpenFedLLM: Training Large Language Models on Decentralized Private Data via Federated Learning},
  author = {Ye, Rui and Wang, Wenhao and Chai, Jingyi and Li, Dihan and Li, Zexi and Xu, Yinda and Du, Yaxin and Wang, \
Yanfeng and Chen, Siheng},
  booktitle = {KDD},
  year = {2024}
}"""
PINNED = "The Hub's current revision, split `train`; no revision is pinned."
BROKEN = """A record is dropped for the first rule that it breaks: a field that is missing or of a wrong type, a blank
instruction or answer, text that is no Unicode"""
LEFT_OVER = "Where a set holds more than the profile asks for, the rest is counted as left over."


class Part(NamedTuple):
    """One part of a dataset and the terms it comes under."""

    name: str
    licence: str
    terms: str


OF_OPENAI = Part(
    "answers by a model of OpenAI",
    "terms of use of OpenAI",
    "forbid, among others, to develop competing models with them",
)


def dealt(clients: str) -> str:
    """How the clients of a pooled dataset are made; `clients` is how many the paper has."""
    return (
        "The records are pooled upstream and belong to nobody, so they are dealt at random, in equal numbers: the paper"
        f" has {clients} clients. This split has no natural heterogeneity; it is OpenFedLLM's setting. The controls"
        " `dirichlet` and `quantity_skew` make clients differ on purpose."
    )


@dataclass(frozen=True, kw_only=True)
class Story:
    """The words of a card, in the order of its sections; white space is evened out, but in the citation.

    `ValueError` for a field that is empty.
    """

    title: str
    paper: str  # which paper made it, and where it says so
    what: str
    hub: str = ""  # id of the source on the Hugging Face Hub; "": it is not there
    version: str = PINNED
    licence: str  # identifier for the front matter
    parts: tuple[Part, ...]
    tasks: tuple[str, ...] = ("text-generation",)  # the Hub's task categories
    clients: str
    dropped: str = f"{BROKEN}. {LEFT_OVER}"
    harms: str
    privacy: str
    citation: str

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value and field.name != "hub":
                raise ValueError(f"{field.name} of the story {self.title!r} is empty; write it")
            if isinstance(value, str):
                even = value.strip() if field.name == "citation" else " ".join(value.split())
                object.__setattr__(self, field.name, even)

    @property
    def url(self) -> str:
        """The page of the source on the Hub; "" where it has none."""
        return f"https://huggingface.co/datasets/{self.hub}" if self.hub else ""
