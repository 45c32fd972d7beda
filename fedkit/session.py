"""What a notebook holds in its hand: data, runs, rows and tables of one profile, under one results folder.

Everything is kept on disk by the hash of what it was made from: who asks again gets it at once, in any notebook.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common.errors import FedkitError
from .common.files import project_root, user_path
from .common.machine import jobs as jobs_of
from .common.seeds import checked_seeds
from .data.datasets.registry import get_dataset, questions_of
from .data.federated import FederatedDataset
from .data.place import Located, Place, data_folder
from .mini.records import world
from .profiles.registry import get_profile
from .profiles.specs import Profile

if TYPE_CHECKING:
    from .data.datasets.built import Built
    from .data.datasets.questions import Question
    from .evaluation.benchmarks.rows import Row
    from .evaluation.benchmarks.suites import Suite
    from .evaluation.exam import Exam, Limit
    from .evaluation.handles import Handle
    from .evaluation.judges.choice import JudgeChoice
    from .evaluation.judges.judge import Judge
    from .evaluation.specs import EvalSpec
    from .evaluation.yardsticks import Answerer
    from .privacy.base import Mechanism
    from .report.tables import ResultsTable
    from .report.trials import Comparison, Variant
    from .training.models import Loaded, State
    from .training.runs import Run, RunConfig
    from .training.specs import ModelSpec


class Session:
    """One profile, its sources and its results folder (`FedkitError` for one that is unknown, unwritable or no folder).

    seeds: different whole numbers from 0 up; None: the profile's. judge: who rates answers (`fedkit.JudgeChoice`); None
    is the offline `ReferenceJudge`. model: a base model in place of the profile's (`Profile.with_model`): a folder or
    Hub id, or a whole `ModelSpec`. world_seed: another embedded world than the one that is shipped, whose people ask
    and answer other things (`fedkit.mini.records.world`; made once, in a checkout).
    """

    def __init__(
        self,
        profile: str = "mini",
        seeds: Sequence[int] | None = None,
        *,
        data_dir: str | Path | None = None,
        offline: bool = False,
        results_dir: str | Path | None = None,
        judge: JudgeChoice | None = None,
        model: ModelSpec | str | None = None,
        world_seed: int = 0,
    ) -> None:
        self.profile: Profile = get_profile(profile).with_model(model)
        self.seeds: tuple[int, ...] = self.profile.seeds if seeds is None else checked_seeds(seeds)
        self.judge = judge
        data = None if data_dir is None else data_folder(data_dir)
        self.folder = project_root() / "results" / profile if results_dir is None else user_path(results_dir)
        try:
            for part in ("data", "runs", "tables", "figures"):
                (self.folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FedkitError(
                f"{self.folder}: the results folder cannot be written ({error.strerror}); give another results_dir"
            ) from error
        self.place = Place(data, offline, self.profile.embedded, world(world_seed, self.folder / "data"))
        if data:
            from .evaluation.benchmarks.registry import all_sources

            self.place.require_any(all_sources())
        self._built: dict[tuple[Any, ...], Built] = {}

    def build(self, name: str, *, partition: str | None = None, seed: int = 0, **params: Any) -> Built:
        """A federated dataset as this profile cuts it, with its drop report; built once.

        `partition`: None for the dataset's own split, else a control of `CONTROLS` (`iid`, `dirichlet`, ...) over the
        very same records. `seed` draws splits and caps. `params`: fields of a `Cut` over the profile's, or options of
        the dataset. Records whose instruction is one of its Ref questions are left out (the option `excluded`), so
        that none is trained on. `FedkitError` for an unknown dataset, partition or parameter, for any fault of the
        source, and where fewer clients are left than a round of the profile samples.
        """
        dataset, spec = get_dataset(name), self.profile.dataset(name)
        if dataset.questions and spec.test_questions and "excluded" not in params:
            params["excluded"] = tuple(question.instruction for question in self.questions(name))
        key = (name, partition, seed, *sorted(params.items()))
        if key not in self._built:
            built = dataset.build(self.place, spec.cut, partition=partition, seed=seed, **params)
            if len(built.dataset) < spec.train.clients_per_round:
                raise FedkitError(
                    f"{name} has {len(built.dataset)} clients, but a round of profile {self.profile.name} samples"
                    f" {spec.train.clients_per_round}; lower its minimum, give more records, or sample fewer"
                )
            self._built[key] = built
        return self._built[key]

    def questions(self, name: str, *, answered: bool = False) -> list[Question]:
        """The Ref questions of a dataset, as many as the profile has; none is trained on.

        answered: those with a reference answer, from where the dataset's records come from: embedded records are not
        measured by the real questions of the data folder. `FedkitError` for a dataset without Ref questions.
        """
        at_home = answered and self.build(name).located.kind == "embedded"
        own = questions_of(name)
        minimum = min(self.profile.dataset(dataset).minimum for dataset in own.datasets)
        place = replace(self.place, data_dir=None) if at_home else self.place
        return own.read(place, self.profile.dataset(name).test_questions, minimum, answered=answered)

    def question_source(self, name: str) -> Located:
        """Where a dataset's Ref questions come from; `describe()` says it in a sentence."""
        return questions_of(name).locate(self.place)

    def test_records(self, name: str) -> tuple[Located, list[dict[str, Any]]]:
        """Where a dataset's test records come from, and they, in the columns of the training set (no Ref questions)."""
        return get_dataset(name).test_records(self.place)

    def plan(
        self,
        algorithm: str,
        dataset: FederatedDataset,
        *,
        seed: int | None = None,
        clients: Sequence[str] | None = None,
        settings: dict[str, Any] | None = None,
        start: Run | None = None,
        privacy: Mechanism | None = None,
        **params: Any,
    ) -> RunConfig:
        """The configuration of a run: the profile's settings for the dataset, changed by `settings` and `params`.

        `settings` are fields of `TrainSpec`; `params` the algorithm's, over the profile's own for it and its defaults,
        and the configuration holds them all. `start`: a finished run of this session whose adapter is the initial one
        (and the reference of DPO); None: a fresh one. `privacy`: the mechanism that the algorithm runs under.
        """
        from .profiles.plans import run_config

        return run_config(
            self.profile,
            algorithm,
            dataset,
            seed=self.seeds[0] if seed is None else seed,
            clients=clients,
            settings=settings or {},
            start=start,
            privacy=privacy,
            params=params,
        )

    def plan_local(
        self, dataset: FederatedDataset, client: str, *, seed: int | None = None, start: Run | None = None
    ) -> RunConfig:
        """Local training of one client for about ten passes over its records, but no more rounds than the federation.

        Ten passes: the rounds of FedLLM-Bench's local runs on Fed-Aya times 160 records, over the client's size
        (1,865 records: 100 rounds; 217: 15; see the settings). Steps are not dynamic, as in those runs.
        """
        from .profiles.plans import local_settings

        alone = local_settings(self.profile, dataset, client)
        return self.plan("local", dataset, seed=seed, clients=[client], settings=alone, start=start)

    def compare(self, data: Built | FederatedDataset, variants: Mapping[str, Variant], **brief: Any) -> Comparison:
        """Short runs of several methods beside one another (`fedkit.report.trials.Comparison.train`)."""
        from .report.trials import Comparison

        return Comparison.train(self, data, variants, **brief)

    def train(self, config: RunConfig, dataset: FederatedDataset) -> Run:
        """Train one run here, or get it where it was trained before."""
        from .evaluation.handles import Handle
        from .training.simulation import run

        return run(config, dataset, self.folder / "runs", loaded=Handle(config.model))

    def train_all(
        self,
        configs: Sequence[RunConfig],
        dataset: FederatedDataset,
        *,
        suite: str | Suite | None = None,
        questions: Sequence[Question] | None = None,
        jobs: int | None = None,
    ) -> list[Run]:
        """Train several runs of one dataset side by side in `jobs` processes, and put each through a suite.

        suite, questions: as for `evaluate`, which then gives the rows at once; suite None trains only. `jobs`:
        FEDKIT_JOBS, else the processor cores at hand; a GPU profile runs one at a time.
        """
        from .evaluation.exam import run_all

        exam = None if suite is None else self._exam(suite, dataset.name, None, questions)
        processes = jobs_of(jobs, 1 if self.profile.gpu else None)
        return run_all(configs, self.saved(dataset), self.folder, exam, self.judge, processes)

    def evaluate(
        self,
        model: Run | str | Loaded | Answerer,
        suite: str | Suite | None = None,
        *,
        judge: Judge | Mapping[str, Judge] | None = None,
        limit: Limit = None,
        evaluation: EvalSpec | None = None,
        template: str | None = None,
        questions: Sequence[Question] | None = None,
        seed: int = 0,
        progress: bool = False,
    ) -> Row:
        """Put a model through the benchmarks of a suite (None: the one whose table is about its dataset).

        model: a run; a dataset's name, for its untrained base with the profile's model, LoRA and template for it; a
        loaded model as it is; or what answers without one (`evaluation.yardsticks`). judge: rates open answers, all of
        them or by the benchmark's name; None is the session's, or else the offline one. limit: at most so many items of
        each benchmark, or by name (None: all), in place of the profile's `most_items`; spread over categories or drawn
        by chance. evaluation, template: in place of the profile's and the model's. questions: Ref's, in place of the
        dataset's own. seed: of sampled answers. Answers and ratings are kept; see `fedkit.evaluation.exam`.
        `FedkitError` for an unknown suite or benchmark, a source that is not at hand, a judge without a key or one that
        cannot be reached.
        """
        from .evaluation.exam import judges_of, sit
        from .evaluation.handles import Handle
        from .evaluation.yardsticks import Answerer
        from .training.models import Loaded

        loaded = model if isinstance(model, Loaded | Answerer) else self.loaded(model)
        own = loaded.dataset if isinstance(loaded, Handle | Answerer) else ""
        exam = self._exam(suite, own, limit, questions, evaluation or self.profile.evaluation, seed, progress)
        if not isinstance(loaded, Handle):
            template = template or self.profile.dataset(exam.suite.dataset).train.template
        return sit(exam, loaded, template, judges_of(exam.suite, judge or self.judges, exam.folder))

    def _exam(self, suite: Any, dataset: str, limit: Limit = None, questions: Any = None, *rest: Any) -> Exam:
        from .evaluation.benchmarks.base import Pool
        from .evaluation.exam import set_exam

        def ref(name: str) -> list[dict[str, Any]]:
            return [asdict(question) for question in (self.questions(name) if questions is None else questions)]

        rest = (self.folder / "evaluations", *(rest or (self.profile.evaluation,)))
        return set_exam(suite, dataset, Pool(self.place, self.profile.most_items, ref), limit, *rest)

    def saved(self, dataset: FederatedDataset) -> Path:
        """Where the dataset lies for other processes to map: saved at the first call."""
        place = self.folder / "data" / f"{dataset.name}-{dataset.fingerprint[:12]}"
        return place if dataset.lies_in(place) else dataset.save(place)

    @functools.cached_property
    def judges(self) -> Mapping[str, Judge]:
        """The session's judges by benchmark, their replies kept under `evaluations/`; empty for the offline judge."""
        from .evaluation.cache import REPLIES

        return self.judge.judges(self.folder / "evaluations" / REPLIES) if self.judge else {}

    def loaded(self, model: Run | str | None = None, adapter: State | None = None) -> Handle:
        """A model in hand: of a run with its adapter, or of a dataset's name, untrained (None: the profile's model).

        adapter: in place of that; `FedkitError` where it is of another shape. Handles do not disturb each other.
        """
        from .evaluation.handles import handle_for

        return handle_for(self.profile, model, adapter)

    @functools.cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of the profile's model, without the model."""
        from .training.models import load_tokenizer

        return load_tokenizer(self.profile.model.name)

    def results(self, table: str, *, judge: Any, unit: str) -> Any:
        """An empty results table of that name (`fedkit.report.tables.ResultsTable`)."""
        from .report.tables import ResultsTable

        return ResultsTable(table, judge, unit, self.place.origins)

    def write(self, table: ResultsTable) -> Path:
        """Write a results table, and into `claims.csv` the verdicts on what the paper concludes from its like."""
        from .report.verdicts import verdicts, write_verdicts

        path = table.write(self.folder / "tables")
        if told := verdicts(table):
            write_verdicts(self.folder, told, profile=self.profile.name)
        return path

    def figure(self, figure: Any, name: str) -> None:
        """Save a matplotlib figure as PNG and SVG under `figures/`."""
        from .report.tables import save_figure

        save_figure(figure, self.folder / "figures", name)
