"""The one way from a model to the row of a table: an exam of items, answered, rated, and kept.

Answers are kept under `<results>/evaluations/` by all that they depend on: the adapter's content, the base model, the
items, the template, how text is generated, and the code that does it. Ratings are kept by those answers, the judge and
the code that reads it. `Session.evaluate` sets an exam here; worker processes sit it for each run that they train.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..common.code import code_hash
from ..common.errors import FedkitError, unknown
from ..common.parent import end_with_parent
from ..data.datasets.registry import get_dataset
from ..data.origins import QUESTIONS, RECORDS, Origin
from ..training.models import Loaded, State, adapter_state, base_fingerprint
from ..training.runs import Run
from ..training.specs import TrainSpec
from . import cache as kept
from .benchmarks.base import NO_JUDGE, Benchmark, Item, Pool, Score, Subject
from .benchmarks.registry import BENCHMARKS, module_of
from .benchmarks.rows import Row
from .benchmarks.suites import Suite, get_suite
from .handles import Handle, handle_of
from .judges.judge import Judge
from .judges.reference import ReferenceJudge
from .judges.report import JudgeReport
from .specs import EvalSpec
from .yardsticks import Answerer

if TYPE_CHECKING:
    from ..training.runs import RunConfig
    from .judges.choice import JudgeChoice

Limit = int | Mapping[str, int | None] | None
UNTRAINED = "base"  # the hash of an adapter that changes nothing
SHORT = 1500  # optimizer steps and answers up to which runs are not worth starting worker processes for


@dataclass(frozen=True)
class Exam:
    """What models are asked, and where answers are kept: plain data, which worker processes are handed."""

    suite: Suite
    items: Mapping[str, list[Item]]  # by benchmark
    folder: Path  # `<results>/evaluations`
    evaluation: EvalSpec
    seed: int = 0  # of sampled answers
    progress: bool = False
    origins: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict)  # by benchmark: where its items are from
    records: tuple[Origin, ...] = ()  # that were read so far, for a model that was trained on some of them


def set_exam(suite: str | Suite | None, dataset: str, pool: Pool, limit: Limit, *rest: Any) -> Exam:
    """The exam of a suite: its items from a pool, at most `limit` of each benchmark (or by its name; None: all).

    A benchmark that `limit` does not name has the pool's.

    suite: a name, one's own, or None for that of the dataset. dataset: whose Ref questions are asked, where the suite
    names none. `rest`: the other fields of `Exam`, in order.
    `FedkitError` for an unknown benchmark or a source that is not at hand.
    """
    suite, items, read = get_suite(suite, dataset), dict[str, list[Item]](), pool.place.origins
    origins: dict[str, tuple[Origin, ...]] = {}
    for name in suite.benchmarks:
        if name not in BENCHMARKS:
            raise unknown(f"benchmark of suite {suite.name}", name, BENCHMARKS)
        own = {} if limit is None else limit
        most = own.get(name, pool.limit) if isinstance(own, Mapping) else own
        if most is not None and most < 1:
            raise FedkitError(f"limit is {most} for {name}; give at least 1, or None for all items")
        read.watch()
        items[name] = BENCHMARKS[name].items(replace(pool, limit=most), suite.dataset or dataset)
        parts = tuple(origin for origin in read.watched() if origin.part != RECORDS)
        origins[name] = parts or (Origin(name, QUESTIONS, "given"),)
        if not items[name]:
            raise FedkitError(f"{BENCHMARKS[name].title} has no items; fetch its files anew or raise the limit")
    records = tuple(origin for origin in read.all if origin.part == RECORDS)
    return Exam(suite, items, *rest, origins=origins, records=records)


def judges_of(suite: Suite, given: Judge | Mapping[str, Judge] | None, folder: Path) -> dict[str, Judge]:
    """The judge of each benchmark of the suite that needs one (None: the offline one); replies are kept in `folder`."""
    names = [name for name in suite.benchmarks if BENCHMARKS[name].judged]
    given = given or ReferenceJudge()
    if isinstance(given, Mapping):
        for name in names:
            if name not in given:
                raise unknown("benchmark of the judges that were given", name, given)
    judges = {name: given[name] if isinstance(given, Mapping) else given for name in names}
    for judge in judges.values():
        judge.keep_in(folder / kept.REPLIES)
    return judges


def kept_at(exam: Exam, loaded: Loaded | Answerer, template: str) -> dict[str, Path]:
    """Where the answers of a model to each benchmark of an exam are kept, or will be."""
    if isinstance(loaded, Answerer):
        basis = [loaded.identity]
    else:
        basis = [
            asdict(loaded.spec),
            base_fingerprint(loaded.spec.name),
            adapter_hash(loaded.carried() if isinstance(loaded, Handle) else adapter_state(loaded.model)),
            template,
            asdict(exam.evaluation),
            exam.seed,
        ]
    return {
        name: exam.folder / f"{name}-{kept.hash_of([name, items, *basis, answering_code(name)])}.json"
        for name, items in exam.items.items()
    }


def sit(exam: Exam, loaded: Loaded | Answerer, template: str | None, judges: Mapping[str, Judge]) -> Row:
    """Put a model, as it is, or what answers without one through an exam. template: None is that of a handle.

    What the judge left unrated is counted in the row and scores nothing; so are all items of a benchmark that cannot
    be run on this machine. Answers are kept every 64 items, an API judge's replies one by one, so that the same call
    goes on after a stop. `FedkitError` for a judge without a key (told before anything is generated) or one that
    cannot be reached.
    """
    template = template or (loaded.template if isinstance(loaded, Handle) else TrainSpec.template)
    subject = Subject(loaded, template, exam.evaluation, exam.seed, exam.progress)
    paths = kept_at(exam, loaded, template)
    known = {name: kept.read(path) for name, path in paths.items()}
    cached = tuple(name for name, own in known.items() if own is not None)
    for name, judge in judges.items():
        if name not in cached:
            judge.check()

    parts: dict[str, Score] = {}
    answers: dict[str, list[Any]] = {}
    reports: dict[str, JudgeReport] = {}
    for name, items in exam.items.items():
        benchmark, path = BENCHMARKS[name], paths[name]
        why = "" if name in cached else _lacking(benchmark, loaded)
        if why:
            answers[name] = []
            parts |= dict.fromkeys(_parts_of(exam.suite, name), Score(None, 0, len(items), note=why))
            continue
        chunk = max(kept.CHUNK, exam.evaluation.batch_size)
        if name in cached:
            answers[name] = known[name]
        else:
            answers[name] = kept.answers(path, items, lambda some, one=benchmark: one.answer(subject, some), chunk)
        scores, report = _scores(benchmark, items, answers[name], judges.get(name), path)
        parts |= {f"{name}/{part}": score for part, score in scores.items()}
        if report is not None:
            reports[name] = report
    names = dict.fromkeys(one.name for one in judges.values())
    read = (exam.origins, _trained_on(exam, loaded))
    return Row(exam.suite, ", ".join(names) or NO_JUDGE, parts, exam.items, answers, cached, reports, *read)


def _trained_on(exam: Exam, loaded: Loaded) -> tuple[Origin, ...]:
    """Where the records of a trained model's dataset came from, as far as they were read in this session."""
    if not isinstance(loaded, Handle) or not loaded.dataset or adapter_hash(loaded.carried()) == UNTRAINED:
        return ()
    own = {source.name for source in get_dataset(loaded.dataset).sources}
    return tuple(origin for origin in exam.records if origin.source in own)


def run_all(
    configs: Sequence[RunConfig], data: Path, folder: Path, exam: Exam | None, judge: JudgeChoice | None, jobs: int
) -> list[Run]:
    """`train_and_sit` of several configurations, side by side in `jobs` processes where there is enough to do."""
    from ..common.console import progress

    work = partial(train_and_sit, data=data, folder=folder, exam=exam, judge=judge)
    bar = partial(progress, total=len(configs), desc="runs", unit="run")
    left = sum(work_left(exam, config, folder) for config in configs)
    if exam and judge and left:  # a missing key is told before anything is trained
        for one in judges_of(exam.suite, judge.judges(exam.folder / kept.REPLIES), exam.folder).values():
            one.check()
    if jobs == 1 or left <= SHORT:
        return _told([work(config) for config in bar(iterable=configs)])
    from joblib import Parallel, delayed

    pool = Parallel(n_jobs=jobs, return_as="generator", inner_max_num_threads=1)
    work = partial(in_worker, os.getpid(), work)
    return _told(list(bar(iterable=pool(delayed(work)(config) for config in configs))))


def _told(runs: list[Run]) -> list[Run]:
    """The runs; what did not count in them is said."""
    from ..common.console import say

    for remarks in filter(None, (run.remarks for run in runs)):
        say(remarks)
    return runs


def in_worker(parent: int, work: Callable[[RunConfig], Run], config: RunConfig) -> Run:
    """A worker's turn; the process ends when `parent`, which started it, is killed."""
    end_with_parent(parent)
    return work(config)


def train_and_sit(config: RunConfig, *, folder: Path, data: Path, exam: Exam | None, judge: JudgeChoice | None) -> Run:
    """Train a run, or take it from `folder/runs`, on the dataset saved at `data`; then put it through the exam.

    In whatever process: it gets plain data alone and makes its judges anew.
    """
    from ..data.federated import FederatedDataset
    from ..training.simulation import run

    done = run(config, FederatedDataset.load(data), folder / "runs", loaded=Handle(config.model), progress=False)
    if exam is not None:
        judges = judges_of(exam.suite, judge.judges(exam.folder / kept.REPLIES) if judge else None, exam.folder)
        sit(exam, handle_of(done), config.train.template, judges)
        for one in judges.values():
            one.close()
    return done


def work_left(exam: Exam | None, config: RunConfig, folder: Path) -> int:
    """Optimizer steps and answers that `train_and_sit` would make: about as long as each other on a CPU."""
    train, done = config.train, Run(folder / "runs" / config.hash, config)
    items = {name: len(own) for name, own in exam.items.items()} if exam else {}
    if not done.finished:
        return train.rounds * train.clients_per_round * train.local_steps + sum(items.values())
    paths = kept_at(exam, handle_of(done), train.template) if exam else {}
    return sum(items[name] for name, path in paths.items() if not path.exists())


def _lacking(benchmark: Benchmark, loaded: Loaded | Answerer) -> str:
    """Why a benchmark cannot be run on this machine or by this subject; empty where it can."""
    if isinstance(loaded, Answerer) and not benchmark.judged:
        return f"not run: it asks a model, and {loaded.name} is none"
    try:
        benchmark.need()
    except FedkitError as error:
        return f"not run: {error}"
    return ""


def _parts_of(suite: Suite, name: str) -> list[str]:
    """The parts of a benchmark that the suite's columns read."""
    every = (part for column in suite.columns for part in column.parts)
    return [part for part in every if part.partition("/")[0] == name]


def _scores(
    benchmark: Benchmark, items: Sequence[Item], answers: Sequence[Any], judge: Judge | None, path: Path
) -> tuple[dict[str, Score], JudgeReport | None]:
    """The scores, those that a judge gave being kept beside the answers, and what an API's judge cost for them."""
    if judge is None:
        return benchmark.score(items, answers, ReferenceJudge()), None
    identity = [type(judge).__name__, judge.name, judge.identity]
    place = path.with_name(f"{path.stem}-{kept.hash_of([identity, judging_code(benchmark.name)])}.json")
    known = kept.read(place)
    if known is None:
        with judge.counting() as report:
            scores = {name: asdict(score) for name, score in benchmark.score(items, answers, judge).items()}
        known = kept.write(place, {"scores": scores, "report": None if report is None else report.data()})
    scores = {name: Score(**fields) for name, fields in known["scores"].items()}
    return scores, JudgeReport.from_data(known["report"]) if known["report"] else None


@cache
def answering_code(name: str) -> str:
    """A hash of the source that a benchmark's answers depend on, and of lm-eval's version."""
    return code_hash(module_of(name), packages=("lm_eval",))


@cache
def judging_code(name: str) -> str:
    """A hash of the source that makes ratings of answers and scores of ratings, and of sacrebleu's version."""
    judges = ("fedkit.evaluation.judges.client", "fedkit.evaluation.judges.reference")
    return code_hash(module_of(name), *judges, packages=("sacrebleu",))


def adapter_hash(state: State | None) -> str:
    """A hash of an adapter's names and values; `UNTRAINED` for one that changes nothing (None, or every B is zero)."""
    if state is None or not any(bool(tensor.any()) for name, tensor in state.items() if "lora_A" not in name):
        return UNTRAINED
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().float().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
    return digest.hexdigest()[:16]
