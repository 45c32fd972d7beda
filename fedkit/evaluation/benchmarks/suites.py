"""Which benchmarks fill which table: a suite's columns, each the mean of parts of benchmarks.

Column names are those of the papers' tables (`fedkit.report.paper`), so that rows meet; "Ref" is the papers'
Ref-GPT4. Where a paper prints percents, so do we.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ...common.errors import FedkitError, unknown
from ...data.datasets.fed_aya import LANGUAGES as _AYA
from ..specs import AVERAGE, RIGHT

LANGUAGES = tuple(_AYA.values())  # Fed-Aya's eight, alphabetically as in the paper's Table 2


@dataclass(frozen=True)
class Column:
    """A column of a table: the mean of parts (`<benchmark>/<part>`) times a scale."""

    name: str
    parts: tuple[str, ...]
    scale: float = 1.0

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """The names of the benchmarks that it needs."""
        return tuple(dict.fromkeys(part.partition("/")[0] for part in self.parts))


@dataclass(frozen=True)
class Suite:
    """The columns of one table, and the federated dataset whose Ref questions are asked ("": the model's own)."""

    name: str
    dataset: str
    columns: tuple[Column, ...]
    table: str = ""  # where the paper prints it

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """The benchmarks of all columns, each once."""
        return tuple(dict.fromkeys(name for column in self.columns for name in column.benchmarks))


def _percent(name: str, part: str) -> Column:
    return Column(name, (part,), 100.0)


_MT1, _MT2 = "mt_bench/turn 1", "mt_bench/turn 2"
_VICUNA = Column("Vicuna", ("vicuna/score",))
_REF = Column("Ref", ("ref/score",))
_RIGHT = _percent(RIGHT, "ref/right facts")
_MMLU = _percent("MMLU", "mmlu/acc")
_HUMAN_EVAL = _percent("HumanEval", "human_eval/pass@1")
_TURNS = (Column("MT-1", (_MT1,)), Column("MT-2", (_MT2,)), Column("MT-Avg", (_MT1, _MT2)))


_FINANCE = {"fpb": "FPB", "fiqa_sa": "FiQA-SA", "tfns": "TFNS", "nwgi": "NWGI"}


def _finance() -> tuple[Column, ...]:
    kinds, names = (("acc", "Acc"), ("f1", "F1")), tuple(_FINANCE)
    each = [Column(f"{title} {word}", (f"{name}/{part}",)) for name, title in _FINANCE.items() for part, word in kinds]
    means = [
        Column(f"Avg:{len(some)} {word}", tuple(f"{name}/{part}" for name in some))
        for some in (names[:3], names)
        for part, word in kinds
    ]
    return (*each, *means)


_ALL = (
    Suite(
        "fed_aya",
        "fed_aya",
        (
            *(Column(code, (f"ref/{code}",)) for code in LANGUAGES),
            Column(AVERAGE, tuple(f"ref/{code}" for code in LANGUAGES)),
            _RIGHT,
        ),
        "FedLLM-Bench, Table 2",
    ),
    Suite(
        "chatbot_it",
        "fed_chatbot_it",
        (Column("MT-Bench-1", (_MT1,)), _VICUNA, _REF, _MMLU, _HUMAN_EVAL, _RIGHT),
        "FedLLM-Bench, Table 3",
    ),
    Suite(
        "wildchat",
        "fed_wildchat",
        (Column("MT-1", (_MT1,)), _VICUNA, _REF, _RIGHT),
        "FedLLM-Bench, Table 4, single-turn",
    ),
    Suite(
        "wildchat_multi",
        "fed_wildchat_multi",
        (*_TURNS[:2], Column("MT-Bench", (_MT1, _MT2)), _REF, _RIGHT),
        "FedLLM-Bench, Table 4, multi-turn",
    ),
    Suite(
        "chatbot_pa",
        "fed_chatbot_pa",
        (
            Column("MT-Bench-1", (_MT1,)),
            _VICUNA,
            Column(AVERAGE, (_MT1, "vicuna/score")),
            _percent("AdvBench", "advbench/safe"),
            _MMLU,
        ),
        "FedLLM-Bench, Table 5",
    ),
    Suite(
        "openfed_general",
        "alpaca_gpt4",
        (  # by InstructEval in the paper: so are DROP and CRASS here; MMLU and BBH are in lm-eval's form
            _MMLU,
            _percent("BBH", "bbh/exact"),
            _percent("DROP", "drop/acc"),
            _HUMAN_EVAL,
            _percent("CRASS", "crass/acc"),
            _VICUNA,
            *_TURNS,
        ),
        "OpenFedLLM, Table 2",
    ),
    Suite("openfed_finance", "fingpt", _finance(), "OpenFedLLM, Table 4"),
    Suite(
        "openfed_domains",
        "domains",
        (
            Column("Gen.", (_MT1,)),
            Column("Math", ("gsm8k/exact",)),
            Column("Code", ("human_eval/pass@1",)),
            Column(
                "Fin.", ("fpb/f1",)
            ),  # section 4.4 speaks of FPB's F1; Table 5's 0.834 of Client4 is called F1 there
        ),
        "OpenFedLLM, Table 5",
    ),
    Suite("openfed_values", "ultrafeedback", (_MMLU, _VICUNA, *_TURNS), "OpenFedLLM, Table 6, left"),
    Suite(
        "openfed_harmless",
        "hh_rlhf",
        (
            _percent("HHH", "hhh/harmless"),
            _percent("HHH by length", "hhh/harmless by length"),  # not in the paper, see `choices`
            _percent("Adv", "advbench/safe"),
            *_TURNS,
        ),
        "OpenFedLLM, Table 6, right",
    ),
    Suite("ref", "", (_REF, _RIGHT)),
)
SUITES: Mapping[str, Suite] = MappingProxyType({suite.name: suite for suite in _ALL})


def get_suite(name: str | Suite | None, dataset: str = "") -> Suite:
    """The suite of that name, a suite of one's own, or, for None, the one whose table is about the dataset.

    `FedkitError` names the known ones, also where no table is about the dataset.
    """
    if isinstance(name, Suite):
        return name
    if name is None:
        own = [suite for suite in SUITES.values() if suite.dataset == dataset and dataset]
        if not own:
            known = ", ".join(sorted(SUITES))
            raise FedkitError(f"no suite belongs to {dataset or 'this model'}; name one of {known}, or give a Suite")
        return own[0]
    if name not in SUITES:
        raise unknown("suite of benchmarks", name, SUITES)
    return SUITES[name]
