"""Which benchmarks fill which table: a suite's columns, each the mean of parts of benchmarks.

Column names are those of the papers' tables (`fedkit.report.paper`), so that rows meet; "Ref" is the papers'
Ref-GPT4. Where a paper prints percents, so do we.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ...common.errors import unknown
from ...data.builders.fed_aya import LANGUAGES as _AYA
from ..specs import AVERAGE
from .advbench import ADVBENCH
from .base import Benchmark
from .choices import HHH
from .close_ended import BBH, GSM8K, MMLU
from .few_shot import CRASS, DROP
from .finance import FINANCE
from .human_eval_run import HUMAN_EVAL
from .mt_bench import MT_BENCH
from .ref import REF
from .vicuna import VICUNA

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        one.name: one
        for one in (MT_BENCH, VICUNA, REF, ADVBENCH, HUMAN_EVAL, MMLU, GSM8K, BBH, DROP, CRASS, HHH, *FINANCE.values())
    }
)


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
    """The columns of one table, and the federated dataset whose questions and template are used."""

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
_MMLU = _percent("MMLU", "mmlu/acc")
_HUMAN_EVAL = _percent("HumanEval", "human_eval/pass@1")
_TURNS = (Column("MT-1", (_MT1,)), Column("MT-2", (_MT2,)), Column("MT-Avg", (_MT1, _MT2)))


def _finance() -> tuple[Column, ...]:
    names = tuple(FINANCE)
    found = []
    for name, one in FINANCE.items():
        found += [Column(f"{one.title} Acc", (f"{name}/acc",)), Column(f"{one.title} F1", (f"{name}/f1",))]
    for some in (names[:3], names):
        for part, word in (("acc", "Acc"), ("f1", "F1")):
            found.append(Column(f"Avg:{len(some)} {word}", tuple(f"{name}/{part}" for name in some)))
    return tuple(found)


_ALL = (
    Suite(
        "fed_aya",
        "fed_aya",
        (
            *(Column(code, (f"ref/{code}",)) for code in LANGUAGES),
            Column(AVERAGE, tuple(f"ref/{code}" for code in LANGUAGES)),
        ),
        "FedLLM-Bench, Table 2",
    ),
    Suite(
        "chatbot_it",
        "fed_chatbot_it",
        (Column("MT-Bench-1", (_MT1,)), _VICUNA, _REF, _MMLU, _HUMAN_EVAL),
        "FedLLM-Bench, Table 3",
    ),
    Suite("wildchat", "fed_wildchat", (Column("MT-1", (_MT1,)), _VICUNA, _REF), "FedLLM-Bench, Table 4, single-turn"),
    Suite(
        "wildchat_multi",
        "fed_wildchat_multi",
        (*_TURNS[:2], Column("MT-Bench", (_MT1, _MT2)), _REF),
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
        (_percent("HHH", "hhh/harmless"), _percent("Adv", "advbench/safe"), *_TURNS),
        "OpenFedLLM, Table 6, right",
    ),
)
SUITES: Mapping[str, Suite] = MappingProxyType({suite.name: suite for suite in _ALL})


def get_suite(name: str | Suite) -> Suite:
    """The suite of that name, or a suite of one's own; `FedkitError` names the known ones."""
    if isinstance(name, Suite):
        return name
    if name not in SUITES:
        raise unknown("suite of benchmarks", name, SUITES)
    return SUITES[name]
