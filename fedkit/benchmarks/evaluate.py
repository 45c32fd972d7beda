"""One call from an adapter to a row of a table.

Answers are kept under `<results>/evaluations/` by all that they depend on: the adapter's content, the base model, the
items, the template, how text is generated, and the code that does it. Ratings are kept by those answers and the judge.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FedkitError
from ..models import Loaded
from ..profiles import EvalSpec
from ..runs import Run
from .base import Benchmark, Item, Place, Score, Subject
from .rows import Row
from .suites import BENCHMARKS, Suite, get_suite

if TYPE_CHECKING:
    from ..judge import Judge
    from ..models import State
    from ..session import Session

Limit = int | Mapping[str, int] | None
_CODE = ("evaluation", "generation", "human_eval", "models", "prompts", "prompts_chat", "seeds")


def evaluate(
    kit: Session,
    model: Run | Mapping[str, Any] | Loaded | None,
    suite: str | Suite = "chatbot_it",
    *,
    judge: Judge | None = None,
    limit: Limit = None,
    evaluation: EvalSpec | None = None,
    template: str | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Row:
    """Put a model through the benchmarks of a suite.

    model: a `Run`, an adapter (name -> tensor), a `Loaded` model as it is, or None for the untrained base. judge: rates
    open answers; None is the offline `ReferenceJudge`. limit: at most so many items of each benchmark, or by name,
    spread over categories. evaluation: in place of the profile's. template: in place of the run's (the suite's
    dataset's). seed: of sampled answers. Data are looked for as the session does.

    What the judge left unrated is counted in the row and scores nothing. `FedkitError` for an unknown suite, a source
    that is not at hand, or a judge that cannot be reached.
    """
    from ..judge import ReferenceJudge

    chosen, judge = get_suite(suite), judge or ReferenceJudge()
    train = model.config.train if isinstance(model, Run) else kit.profile.dataset(chosen.dataset).train
    subject = _Later(
        kit, model, chosen, template or train.template, evaluation or kit.profile.evaluation, seed, progress
    )
    parts: dict[str, Score] = {}
    items, answers, cached = {}, {}, []
    for name in chosen.benchmarks:
        one = BENCHMARKS[name]
        place = Place(kit.profile, kit.data_dir, kit.offline, _limit(limit, name))
        items[name] = one.items(place, chosen.dataset)
        if not items[name]:
            raise FedkitError(f"{one.title} has no items; fetch its files anew or raise the limit")
        key = subject.key(one, items[name])
        path = kit.folder / "evaluations" / f"{name}-{key}.json"
        known = _read(path)
        cached += [name] if known is not None else []
        answers[name] = known if known is not None else _write(path, one.answer(subject.ready(), items[name]))
        for part, score in _scores(one, items[name], answers[name], judge, path).items():
            parts[f"{name}/{part}"] = score
    return Row(chosen, judge.name, parts, items, answers, tuple(cached))


def _limit(limit: Limit, name: str) -> int | None:
    found = limit.get(name) if isinstance(limit, Mapping) else limit
    if found is not None and found < 1:
        raise FedkitError(f"limit is {found} for {name}; give at least 1, or None for all items")
    return found


def _scores(one: Benchmark, items: list[Item], answers: list[Any], judge: Judge, path: Path) -> dict[str, Score]:
    """The scores; those that a judge gave are kept beside the answers."""
    if not one.judged:
        return one.score(items, answers, judge)
    kept = path.with_name(f"{path.stem}-{_hash(judge_identity(judge))}.json")
    known = _read(kept)
    if known is None:
        known = {name: asdict(score) for name, score in one.score(items, answers, judge).items()}
        _write(kept, known)
    return {name: Score(**fields) for name, fields in known.items()}


def judge_identity(judge: Judge) -> list[Any]:
    """What a judge's ratings depend on: its name, and its model's sampling and prompts where it has them."""
    spec, prompts = getattr(judge, "spec", None), getattr(judge, "prompts", None)
    found: list[Any] = [type(judge).__name__, judge.name, getattr(judge, "identity", "")]
    if spec is not None:
        found += [spec.model, spec.place, dict(spec.sampling)]
    if prompts:
        found.append({name: asdict(prompt) for name, prompt in prompts.items()})
    return found


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
        from ..models import base_fingerprint

        self._kit, self._model = kit, model
        self._dataset = model.config.dataset if isinstance(model, Run) else suite.dataset
        self._rest = (template, evaluation, seed, progress)
        self._subject: Subject | None = None
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
        return _hash([one.name, items, *self._basis])

    def ready(self) -> Subject:
        if self._subject is None:
            loaded = self._model
            if not isinstance(loaded, Loaded):
                loaded = self._kit.loaded(_state(self._model), dataset=self._dataset)
            self._subject = Subject(loaded, *self._rest)
        return self._subject


def _state(model: Any) -> State | None:
    from ..models import adapter_state

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


@functools.cache
def evaluation_code() -> str:
    """A hash of the files that answers and scores depend on, and of lm-eval's version."""
    home = Path(__file__).parents[1]
    files = [*(home / f"{part}.py" for part in _CODE)]
    for folder in ("benchmarks", "sandbox"):
        files += sorted(p for p in (home / folder).rglob("*") if p.suffix in (".py", ".yaml", ".json"))
    try:
        harness = version("lm_eval")
    except PackageNotFoundError:
        harness = "none"
    return hashlib.sha256(b"".join(f.read_bytes() for f in files) + harness.encode()).hexdigest()[:16]


def _hash(basis: Any) -> str:
    return hashlib.sha256(json.dumps(basis, sort_keys=True, ensure_ascii=True).encode()).hexdigest()[:16]


def _read(path: Path) -> Any | None:
    """What was kept, or None; a file that is no JSON is made anew."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, found: Any) -> Any:
    """Keep plain data and give it as it will be read."""
    from ..report import write_text

    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, ensure_ascii=False)
    write_text(path, text)
    return json.loads(text)
