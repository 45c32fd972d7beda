"""One call from an adapter to a row of a table.

Answers are kept under `<results>/evaluations/` by all that they depend on: the adapter's content, the base model, the
items, the template, how text is generated, and the code that does it. Ratings are kept by those answers, the judge and
the code that reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...common.errors import FedkitError, unknown
from ...training.models import Loaded
from ...training.runs import Run
from .. import cache as kept
from ..cache import evaluation_code, judge_code, judge_identity
from ..sandbox import require_sandbox
from ..specs import EvalSpec
from .base import NO_JUDGE, Benchmark, Item, Place, Score, Subject
from .rows import Row
from .suites import BENCHMARKS, Suite, get_suite

if TYPE_CHECKING:
    from ...session import Session
    from ...training.models import State
    from ..judges import JudgeReport
    from ..judges.judge import Judge

Limit = int | Mapping[str, int] | None
# What must work on this machine before a benchmark's answers are made; `FedkitError` where it does not.
_NEEDS: Mapping[str, Callable[[], object]] = MappingProxyType({"human_eval": lambda: require_sandbox()})


def evaluate(
    kit: Session,
    model: Run | Mapping[str, Any] | Loaded | None,
    suite: str | Suite = "chatbot_it",
    *,
    judge: Judge | Mapping[str, Judge] | None = None,
    limit: Limit = None,
    evaluation: EvalSpec | None = None,
    template: str | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Row:
    """Put a model through the benchmarks of a suite.

    model: a `Run`, an adapter (name -> tensor), a `Loaded` model as it is, or None for the untrained base. judge: rates
    open answers, all of them or by the benchmark's name; None is the session's, or else the offline `ReferenceJudge`.
    limit: at most so many items of each benchmark, or by name, spread over categories or drawn by chance.
    evaluation: in place of the profile's. template: in place of the run's (the suite's dataset's). seed: of sampled
    answers. Data are looked for as the session does.

    What the judge left unrated is counted in the row and scores nothing; so are all items of a benchmark that needs a
    sandbox where none works. Answers are kept every 64 items, an API judge's replies one by one, so that the same call
    goes on after a stop. `FedkitError` for an unknown suite or benchmark, a source that is not at hand, a judge without
    a key (told before anything is generated) or one that cannot be reached.
    """
    chosen = get_suite(suite)
    for name in chosen.benchmarks:
        if name not in BENCHMARKS:
            raise unknown(f"benchmark of suite {chosen.name}", name, BENCHMARKS)
    train = model.config.train if isinstance(model, Run) else kit.profile.dataset(chosen.dataset).train
    subject = _Later(
        kit, model, chosen, template or train.template, evaluation or kit.profile.evaluation, seed, progress
    )
    folder = kit.folder / "evaluations"
    judges = _judges(chosen, judge if judge is not None else kit.judges, folder / kept.REPLIES)
    items: dict[str, list[Item]] = {}
    for name in chosen.benchmarks:
        place = Place(kit.profile, kit.data_dir, kit.offline, _limit(limit, name))
        items[name] = BENCHMARKS[name].items(place, chosen.dataset)
        if not items[name]:
            raise FedkitError(f"{BENCHMARKS[name].title} has no items; fetch its files anew or raise the limit")
    paths = {name: folder / f"{name}-{subject.key(BENCHMARKS[name], own)}.json" for name, own in items.items()}
    cached = tuple(name for name, path in paths.items() if kept.read(path) is not None)
    for name, one in judges.items():
        if name not in cached and hasattr(one, "check"):
            one.check()

    parts: dict[str, Score] = {}
    answers: dict[str, list[Any]] = {}
    reports: dict[str, JudgeReport] = {}
    for name, own in items.items():
        one, path = BENCHMARKS[name], paths[name]
        why = None if name in cached else _lacking(name)
        if why is not None:
            answers[name] = []
            parts |= dict.fromkeys(_parts_of(chosen, name), Score(None, 0, len(own), note=why))
            continue
        answers[name] = kept.answers(
            path, own, lambda some, one=one: one.answer(subject.ready(), some), max(kept.CHUNK, subject.batch_size)
        )
        scores, report = _scores(one, own, answers[name], judges.get(name), path)
        parts |= {f"{name}/{part}": score for part, score in scores.items()}
        if report is not None:
            reports[name] = report
    names = dict.fromkeys(one.name for one in judges.values())
    return Row(chosen, ", ".join(names) or NO_JUDGE, parts, items, answers, cached, reports)


def _judges(suite: Suite, given: Any, replies: Path) -> dict[str, Judge]:
    """The judge of each benchmark of the suite that needs one; an API's judge keeps its replies on disk."""
    from ..judges.judge import ReferenceJudge

    names = [name for name in suite.benchmarks if BENCHMARKS[name].judged]
    if not given:
        given = ReferenceJudge()
    if isinstance(given, Mapping):
        for name in names:
            if name not in given:
                raise unknown("benchmark of the judges that were given", name, given)
        found = {name: given[name] for name in names}
    else:
        found = dict.fromkeys(names, given)
    for one in found.values():
        if hasattr(one, "keep_in"):
            one.keep_in(replies)
    return found


def _lacking(name: str) -> str | None:
    """Why a benchmark cannot be run on this machine, or None."""
    try:
        _NEEDS.get(name, lambda: None)()
    except FedkitError as error:
        return f"not run: {error}"
    return None


def _parts_of(suite: Suite, name: str) -> list[str]:
    """The parts of a benchmark that the suite's columns read."""
    every = (part for column in suite.columns for part in column.parts)
    return [part for part in every if part.partition("/")[0] == name]


def _limit(limit: Limit, name: str) -> int | None:
    found = limit.get(name) if isinstance(limit, Mapping) else limit
    if found is not None and found < 1:
        raise FedkitError(f"limit is {found} for {name}; give at least 1, or None for all items")
    return found


def _scores(
    one: Benchmark, items: list[Item], answers: list[Any], judge: Judge | None, path: Path
) -> tuple[dict[str, Score], JudgeReport | None]:
    """The scores, those that a judge gave being kept beside the answers, and what an API's judge cost for them."""
    from ..judges import JudgeReport, OpenAIJudge
    from ..judges.judge import ReferenceJudge

    if judge is None:
        return one.score(items, answers, ReferenceJudge()), None
    place = path.with_name(f"{path.stem}-{kept.hash_of([judge_identity(judge), judge_code()])}.json")
    known = kept.read(place)
    if known is None:
        with judge.counting() if isinstance(judge, OpenAIJudge) else nullcontext() as report:
            scores = {name: asdict(score) for name, score in one.score(items, answers, judge).items()}
        known = kept.write(place, {"scores": scores, "report": report.data() if report is not None else None})
    scores = {name: Score(**fields) for name, fields in known["scores"].items()}
    return scores, JudgeReport.from_data(known["report"]) if known["report"] else None


class _Later:
    """The subject, loaded only when something has to be answered."""

    def __init__(
        self,
        kit: Session,
        model: Any,
        suite: Suite,
        template: str,
        evaluation: EvalSpec,
        seed: int,
        progress: bool,
    ) -> None:
        from ...training.models import base_fingerprint

        self._kit, self._model = kit, model
        self._dataset = model.config.dataset if isinstance(model, Run) else suite.dataset
        self._rest = (template, evaluation, seed, progress)
        self._subject: Subject | None = None
        self.batch_size = evaluation.batch_size
        spec = model.config.model if isinstance(model, Run) else model.spec if isinstance(model, Loaded) else None
        spec = spec or kit.profile.model_of(self._dataset)
        self._basis = [
            asdict(spec),
            base_fingerprint(spec.name),
            adapter_hash(_state(model)),
            template,
            asdict(evaluation),
            seed,
            evaluation_code(),
        ]

    def key(self, one: Benchmark, items: list[Item]) -> str:
        return kept.hash_of([one.name, items, *self._basis])

    def ready(self) -> Subject:
        if self._subject is None:
            loaded = self._model
            if not isinstance(loaded, Loaded):
                loaded = self._kit.loaded(_state(self._model), dataset=self._dataset)
            self._subject = Subject(loaded, *self._rest)
        return self._subject


def _state(model: Any) -> State | None:
    from ...training.models import adapter_state

    if isinstance(model, Loaded):
        return adapter_state(model.model)
    return model.adapter if isinstance(model, Run) else model


def adapter_hash(state: Mapping[str, Any] | None) -> str:
    """A hash of an adapter's names and values; "base" for none."""
    if state is None:
        return "base"
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().float().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
    return digest.hexdigest()[:16]
