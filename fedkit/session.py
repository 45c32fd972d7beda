"""What a notebook holds in its hand: data, runs, scores and tables of one profile, under one results folder.

Everything is kept on disk by the hash of what it was made from, so a notebook that asks again gets it at once, and two
notebooks that need the same training share it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common.errors import FedkitError
from .data.federated import FederatedDataset
from .data.place import Place
from .evaluation.worker import loaded_model, rate, train_and_rate
from .profiles import Profile, get_profile

if TYPE_CHECKING:
    import pandas as pd

    from .data.builders import Built
    from .data.builders.questions import Question
    from .data.sources import Located
    from .evaluation.judges import JudgeChoice, OpenAIJudge
    from .training.models import Loaded, State
    from .training.runs import Run, RunConfig

SHORT = 1500  # optimizer steps up to which a batch of runs is not worth starting worker processes for


class Session:
    """One profile, its sources and its results folder (`FedkitError` for an unknown or unwritable one).

    judge: who rates answers (`fedkit.evaluation.judges.JudgeChoice`); None is the offline `ReferenceJudge`.
    """

    def __init__(
        self,
        profile: str = "mini",
        *,
        seeds: Sequence[int] | None = None,
        data_dir: str | Path | None = None,
        offline: bool = False,
        results_dir: str | Path | None = None,
        judge: JudgeChoice | None = None,
    ) -> None:
        self.profile: Profile = get_profile(profile)
        self.seeds: tuple[int, ...] = tuple(seeds) if seeds else self.profile.seeds
        self.data_dir = Path(data_dir).expanduser().resolve() if data_dir else None
        self.offline = offline
        self.judge = judge
        self.folder = Path(results_dir) if results_dir else project_root() / "results" / profile
        try:
            for part in ("data", "runs", "tables", "figures"):
                (self.folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FedkitError(
                f"{self.folder}: the results folder cannot be written ({error.strerror}); give another results_dir"
            ) from error
        self.place = Place(self.data_dir, offline, self.profile.embedded)
        self._built: dict[tuple[Any, ...], Built] = {}

    def build(self, name: str, *, partition: str | None = None, seed: int = 0, **params: Any) -> Built:
        """A federated dataset of this profile, with its drop report; built once.

        Records whose instruction is one of the dataset's Ref questions are left out (`held_out`), so that none is
        trained on.
        """
        from .data.builders import build, held_out

        if "held_out" not in params:
            params |= held_out(name, self.profile, data_dir=self.data_dir, offline=self.offline)
        key = (name, partition, seed, tuple(sorted(params.items())))
        if key not in self._built:
            self._built[key] = build(
                name,
                self.profile,
                data_dir=self.data_dir,
                offline=self.offline,
                partition=partition,
                seed=seed,
                **params,
            )
        return self._built[key]

    def questions(self, name: str, *, answered: bool = False) -> list[Question]:
        """The held-out Ref questions of a dataset.

        answered: those with a reference answer, from where the dataset's records come from: embedded records are not
        measured by the real questions of the data folder.
        """
        from .data.builders.questions import questions

        at_home = answered and self.build(name).located.kind == "embedded"
        return questions(
            name,
            self.profile,
            data_dir=None if at_home else self.data_dir,
            offline=self.offline,
            per_language=self.profile.dataset(name).test_questions,
            answered=answered,
        )

    def question_source(self, name: str) -> Located:
        """Where a dataset's Ref questions come from; `describe()` says it in a sentence."""
        from .data.builders.questions import question_source

        return question_source(name, self.profile, data_dir=self.data_dir, offline=self.offline)

    def plan(
        self,
        algorithm: str,
        dataset: FederatedDataset,
        *,
        seed: int | None = None,
        clients: Sequence[str] | None = None,
        settings: dict[str, Any] | None = None,
        start: Run | None = None,
        **params: Any,
    ) -> RunConfig:
        """The configuration of a run: the profile's settings for the dataset, changed by `settings` and `params`.

        `settings` are fields of `TrainSpec`; `params` the algorithm's, over the profile's own for it and its defaults,
        and the configuration holds them all. `start`: a finished run of this session whose adapter is the initial one
        (and the reference of DPO); None: a fresh one.
        """
        from .algorithms import make_algorithm
        from .training.models import base_fingerprint
        from .training.runs import RunConfig, training_code

        train = self.profile.dataset(dataset.name).train
        try:
            train = replace(train, **(settings or {}))
        except TypeError as error:
            raise FedkitError(f"unknown training setting ({error}); known: {', '.join(asdict(train))}") from error
        # All hyperparameters, so that one given and the same one left out name the same run. It also refuses early.
        made = make_algorithm(algorithm, **{**self.profile.params_of(algorithm, dataset.name), **params})
        model = self.profile.model_of(dataset.name)
        return RunConfig(
            dataset=dataset.name,
            fingerprint=dataset.fingerprint,
            algorithm=algorithm,
            model=model,
            train=train,
            seed=self.seeds[0] if seed is None else seed,
            params=asdict(made),
            clients=tuple(clients) if clients is not None else None,
            initial=start.config.hash if start else None,
            base=base_fingerprint(model.name),
            code=training_code(),
        )

    def plan_local(
        self, dataset: FederatedDataset, client: str, *, seed: int | None = None, start: Run | None = None
    ) -> RunConfig:
        """Local training of one client for about ten passes over its records, but no more rounds than the federation.

        Ten passes: the rounds of FedLLM-Bench's local runs on Fed-Aya times 160 records, over the client's size
        (1,865 records: 100 rounds; 217: 15; see the settings). Steps are not dynamic, as in those runs.
        """
        train = self.profile.dataset(dataset.name).train
        size = int(dataset.sizes[dataset.position(client)])
        rounds = max(1, min(train.rounds, round(10 * size / train.samples_per_round)))
        alone = {"rounds": rounds, "clients_per_round": 1, "dynamic_epochs": None}
        return self.plan("local", dataset, seed=seed, clients=[client], settings=alone, start=start)

    def train(self, config: RunConfig, dataset: FederatedDataset) -> Run:
        """Train one run here, or get it where it was trained before."""
        from .training.simulation import run

        return run(config, dataset, self.folder / "runs", loaded=loaded_model(config.model))

    def train_all(
        self,
        configs: Sequence[RunConfig],
        dataset: FederatedDataset,
        questions: Sequence[Question] = (),
        *,
        jobs: int | None = None,
    ) -> list[Run]:
        """Train several runs of one dataset, side by side in `jobs` processes, and rate them on the questions.

        `jobs` defaults to FEDKIT_JOBS, else the number of processors; a GPU profile runs one at a time.
        """
        from .common.console import progress

        jobs = jobs or int(os.environ.get("FEDKIT_JOBS", 0)) or (1 if self.profile.gpu else os.cpu_count() or 1)
        todo = [c for c in configs if not (self.folder / "runs" / c.hash / "manifest.json").exists()]
        steps = sum(c.train.rounds * c.train.clients_per_round * c.train.local_steps for c in todo)
        if todo and questions and self.judge:
            self.judges["ref"].check()  # a missing key is told before anything is trained
        work = functools.partial(
            train_and_rate,
            folder=self.folder,
            data=self.saved(dataset),
            questions=tuple(questions),
            evaluation=self.profile.evaluation,
            judge=self.judge,
        )
        bar = functools.partial(progress, total=len(configs), desc="runs", unit="run")
        if jobs == 1 or steps <= SHORT:
            return [work(c, show=False) for c in bar(iterable=configs)]
        from joblib import Parallel, delayed

        pool = Parallel(n_jobs=jobs, return_as="generator", inner_max_num_threads=1)
        return list(bar(iterable=pool(delayed(work)(c, show=False) for c in configs)))

    def saved(self, dataset: FederatedDataset) -> Path:
        """Where the dataset lies for other processes to map: saved at the first call."""
        place = self.folder / "data" / f"{dataset.name}-{dataset.fingerprint[:12]}"
        if not place.exists():
            dataset.save(place)
        return place

    def ref(self, run: Run | None, questions: Sequence[Question]) -> pd.DataFrame:
        """Answers of a run's adapter (None: of the untrained base) with ratings; kept beside the run."""
        model = run.config.model if run else self.profile.model
        return rate(run, questions, model, self.profile.evaluation, self.folder, self.judge)

    @functools.cached_property
    def judges(self) -> dict[str, OpenAIJudge]:
        """The session's judges by benchmark, their replies kept under `evaluations/`; empty for the offline judge."""
        from .evaluation.cache import REPLIES

        return self.judge.judges(self.folder / "evaluations" / REPLIES) if self.judge else {}

    def loaded(self, state: State | None = None, *, dataset: str | None = None) -> Loaded:
        """The profile's model carrying an adapter (None: the untrained one, which is the base).

        Name the adapter's `dataset` where the profile trains it with a LoRA of its own (paper: gsm8k).
        """
        from .training.models import initial_state, set_adapter_state

        loaded = loaded_model(self.profile.model_of(dataset) if dataset else self.profile.model)
        set_adapter_state(loaded.model, initial_state(loaded.model, 0) if state is None else state)
        return loaded

    def results(self, table: str, *, judge: Any, unit: str) -> Any:
        """An empty results table of that name (`fedkit.report.tables.ResultsTable`)."""
        from .report.tables import ResultsTable

        return ResultsTable(table, judge, unit)

    def write(self, table: Any, claims: Sequence[str] = ()) -> Path:
        """Write a results table, and the verdicts on the paper's claims by it into `claims.csv`."""
        from .report.paper import claim
        from .report.verdicts import verdict, write_verdicts

        path = table.write(self.folder / "tables")
        if claims:
            verdicts = [verdict(claim(c), table.frame(), table.by_seed()) for c in claims]
            write_verdicts(self.folder, verdicts, profile=self.profile.name)
        return path

    def figure(self, figure: Any, name: str) -> None:
        """Save a matplotlib figure as PNG and SVG under `figures/`."""
        from .report.tables import save_figure

        save_figure(figure, self.folder / "figures", name)


def project_root() -> Path:
    """The checkout that a notebook or shell stands in: the nearest folder above with `reproduce.py`, else here."""
    here = Path.cwd()
    return next((p for p in (here, *here.parents) if (p / "reproduce.py").is_file()), here)
