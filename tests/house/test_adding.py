"""Adding things, by doing it in a copy of the package: an algorithm, a dataset and a benchmark, a file and a line each.

The copy is then used as a user would: the new dataset is built from files in a data folder, its card and Croissant are
written, the new algorithm trains on it, under privacy too, and the run is put through the new benchmark and the
dataset's Ref questions. Nothing that stood there is named anew by it.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
import textwrap

import pytest

from fedkit.common.code import ROOT as PACKAGE

ALGORITHM = '''
    """Half a step: FedAvg that goes half the way."""

    from __future__ import annotations

    from dataclasses import dataclass
    from typing import ClassVar

    from .aggregators import State, add
    from .base import Aggregate, Algorithm, ServerState


    @dataclass(frozen=True)
    class HalfStep(Algorithm):
        """w + share x mean update."""

        name: ClassVar[str] = "half_step"
        source: ClassVar[str] = "made up for a test"
        share: float = 0.5

        def server_step(self, w: State, aggregate: Aggregate, server: ServerState) -> tuple[State, ServerState]:
            return add(w, aggregate.delta, self.share * aggregate.scale), server
'''
DATASET = '''
    """Letters: notes that people left, by who wrote them."""

    from __future__ import annotations

    from collections.abc import Mapping
    from types import MappingProxyType
    from typing import Any

    from ..rules import text_fault
    from ..sources import RawSource, spellings
    from .base import Form, Note, People, Row, field_of, paper
    from .questions import ChatQuestions
    from .story import Part, Story

    RAW = RawSource(
        "letters",
        spellings("letters", "train"),
        fields=MappingProxyType({"ask": str, "reply": str, "by": str}),
        licence="CC0-1.0",
        description="letters, made up",
    )
    ASKED = RawSource(
        "letters_test",
        spellings("letters", "test"),
        fields=MappingProxyType({"instruction": str}),
        licence="CC0-1.0",
        description="questions about letters",
    )


    def letter(raw: Mapping[str, Any], note: Note) -> Row | str:
        why = text_fault(raw, RAW.fields)
        return why or {"instruction": raw["ask"], "response": raw["reply"], "language": "en"}


    FORM = Form(RAW, letter, owner=field_of("by"))
    LETTERS = People(
        name="fed_letters",
        who="writer",
        forms=(FORM,),
        paper=paper(None, None, "no paper"),
        questions=ChatQuestions(prefix="letter", test=ASKED, datasets=("fed_letters",), form=FORM, who="writer"),
        story=Story(
            title="Letters", paper="None.", what="Letters.", hub="", version="One.", licence="cc0-1.0",
            parts=(Part("letters", "CC0-1.0", "anything"),), clients="Whoever wrote.", harms="None.",
            privacy="Nobody is real.", citation="none",
        ),
    )
    DATASETS = (LETTERS,)
'''
BENCHMARK = '''
    """Sums of one digit."""

    from __future__ import annotations

    from types import MappingProxyType

    from ...data.sources import RawSource, spellings
    from .base import Item, Pool, sample
    from .harness import close_ended, written

    SOURCE = RawSource(
        "sums", spellings("sums", "test"), fields=MappingProxyType({"sum": str, "target": str}),
        licence="CC0-1.0", description="sums of one digit",
    )


    def items(pool: Pool, dataset: str) -> list[Item]:
        return sample(pool.records(SOURCE), pool.limit, "sums")


    TASK = written(doc_to_text="{{sum}}", doc_to_target="{{target}}", until=["\\n"], most=4)
    SUMS = close_ended(
        "sums", "Sums", (SOURCE,), items, TASK, part="exact", right=lambda item, answer: answer["exact_match"]
    )
    BENCHMARKS = (SUMS,)
'''
# file of the package -> what is added: a whole file, or one line after another
NEW = {
    "algorithms/half_step.py": ALGORITHM,
    "data/datasets/letters.py": DATASET,
    "evaluation/benchmarks/sums.py": BENCHMARK,
}
LINES = {
    "algorithms/registry.py": ('    "fedavg",\n', '    "half_step",\n'),
    "data/datasets/registry.py": ('    "gsm8k",\n', '    "letters",\n'),
    "evaluation/benchmarks/registry.py": ('    "gsm8k",\n', '    "sums",\n'),
}
USE = """
    import json, sys
    from pathlib import Path
    import fedkit
    from fedkit.evaluation.benchmarks.suites import Column, Suite
    from fedkit.privacy.user_level import UserLevelDP
    from tools.cards.__main__ import rendered
    from tools.data_folder import all_sources

    home, results = Path(sys.argv[1]), Path(sys.argv[2])
    kit = fedkit.Session("smoke", data_dir=home, results_dir=results)
    built = kit.build("fed_letters", minimum=2)
    text = dict(rendered(["fed_letters"], fedkit.Session("smoke", data_dir=home, results_dir=results)))
    plans = [kit.plan("half_step", built.dataset), kit.plan("half_step", built.dataset, share=1.0),
             kit.plan("fedavg", built.dataset),
             kit.plan("half_step", built.dataset, privacy=UserLevelDP(noise=1.0, clip=0.1))]
    suite = Suite("own", "fed_letters", (Column("Sums", ("sums/exact",), 100.0), Column("Ref", ("ref/score",))))
    runs = kit.train_all(plans, built.dataset, suite=suite, jobs=1)
    row = kit.evaluate(runs[0], suite)
    first = {r.config.algorithm + str(r.config.params) + str(bool(r.config.privacy)): r.adapter for r in runs}
    moved = [sum(float((t - fedkit.initial_state(kit.loaded(r).model, 0)[n]).square().sum()) for n, t in
                 r.adapter.items()) ** 0.5 for r in runs]
    same = all((runs[1].adapter[n] == t).all() for n, t in runs[2].adapter.items())
    embedded = fedkit.Session("smoke", results_dir=results)
    old = embedded.plan("fedavg", embedded.build("gsm8k").dataset).hash
    print(json.dumps({
        "clients": list(built.dataset.clients), "drops": built.drops.rows, "columns": list(row.series().index),
        "items": int(row.frame()["items"].sum()), "moved": moved, "same": bool(same), "old": old,
        "privacy": runs[3].manifest["privacy"]["epsilon"], "text": sorted(text), "card": text,
        "sources": [s.name for s in all_sources()], "asked": len(kit.questions("fed_letters")),
    }))
"""


def _jsonl(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """What the copy says, and the copy's folder."""
    home = tmp_path_factory.mktemp("copy")
    package = home / "fedkit"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in NEW.items():
        (package / name).write_text(textwrap.dedent(text).lstrip())
    for name, (after, line) in LINES.items():
        text = (package / name).read_text()
        assert text.count(after) == 1, f"{name} has no line {after!r}"
        (package / name).write_text(text.replace(after, after + line))
    by = [f"writer {i % 4}" for i in range(24)] + ["once"]
    letters = [{"ask": f"What is letter {i}?", "reply": f"It is number {i}.", "by": who} for i, who in enumerate(by)]
    _jsonl(home / "data" / "letters" / "train.jsonl", [*letters, {"ask": "No reply?", "by": "writer 1"}])
    _jsonl(
        home / "data" / "letters" / "test.jsonl",
        [{"instruction": "What is letter 99?", "reference": "It is number 99."}],
    )
    sums = [{"sum": f"{a} + {b} =", "target": str(a + b)} for a in range(3) for b in range(3)]
    _jsonl(home / "data" / "sums" / "test.jsonl", sums)
    command = [sys.executable, "-c", textwrap.dedent(USE), str(home / "data"), str(home / "results")]
    env = {
        **os.environ,
        "PYTHONPATH": f"{home}{os.pathsep}{PACKAGE.parent}",
        "OMP_NUM_THREADS": "1",
        "FEDKIT_HEADLESS": "1",
    }
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=home, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), package


def test_a_file_and_a_line_each(used):
    """Three files are new, three have one line more, and no other is another."""
    _, package = used
    changed = {}
    for path in [*package.rglob("*.py"), *package.rglob("*.toml"), *package.rglob("*.json")]:
        before = PACKAGE / path.relative_to(package)
        old = before.read_text().splitlines() if before.is_file() else []
        added = (
            [x for x in difflib.ndiff(old, path.read_text().splitlines()) if x[0] in "+-"] if before.is_file() else []
        )
        if added or not before.is_file():
            changed[path.relative_to(package).as_posix()] = len(added)
    assert changed == {**dict.fromkeys(NEW, 0), **dict.fromkeys(LINES, 1)}


def test_the_dataset_is_whole(used):
    """Clients, drops, questions, card, Croissant and its line on the page of sources come of that one file."""
    said, _ = used
    assert said["clients"] == [f"writer {i}" for i in range(4)]
    assert said["drops"] == [["missing 'reply'", 1, 0], ["writer with fewer than 2", 1, 1]]
    assert said["asked"] == 1
    assert said["text"] == ["fed_letters.croissant.json", "fed_letters.md"]
    assert "Whoever wrote." in said["card"]["fed_letters.md"] and json.loads(said["card"]["fed_letters.croissant.json"])
    assert {"letters", "letters_test", "sums"} <= set(said["sources"])


def test_the_algorithm_trains_alone_and_under_privacy(used):
    """Over two rounds half steps differ from whole ones; with share 1 the algorithm is FedAvg to the bit."""
    said, _ = used
    half, whole, fedavg, private = said["moved"]
    assert said["same"] and whole == fedavg and 0 < half < whole
    assert private > 0 and said["privacy"] > 0


def test_the_benchmark_has_its_column(used):
    said, _ = used
    assert said["columns"] == ["Sums", "Ref"] and said["items"] == 9 + 1


def test_nothing_that_stood_there_is_named_anew(used):
    """A run of FedAvg on GSM8K is the run that it was, though an algorithm, a dataset and a benchmark are new."""
    said, package = used
    command = (
        "import fedkit, sys; k = fedkit.Session('smoke', results_dir=sys.argv[1]);"
        "print(k.plan('fedavg', k.build('gsm8k').dataset).hash)"
    )
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    run = [sys.executable, "-c", command, str(package.parent / "results_old")]
    done = subprocess.run(run, capture_output=True, text=True, env=env, cwd=package.parent.parent, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == said["old"]
