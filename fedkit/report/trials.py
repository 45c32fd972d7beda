"""Short runs beside one another: several methods on one federated dataset, by round and on held-out questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..algorithms.aggregators import norm, subtract
from ..common.errors import FedkitError
from ..data.federated import FederatedDataset
from ..evaluation.specs import AVERAGE
from .paper import label
from .tables import ResultsTable

if TYPE_CHECKING:
    from ..data.datasets.base import Built
    from ..evaluation.benchmarks.rows import Row
    from ..evaluation.benchmarks.suites import Suite
    from ..privacy.base import Mechanism
    from ..session import Session
    from ..training.runs import Run

Variant = tuple[str, Mapping[str, Any]] | tuple[str, Mapping[str, Any], "Mechanism"]  # algorithm, parameters, privacy


def yardstick_rows(kit: Session, data: FederatedDataset, suite: str | Suite | None = None) -> dict[str, Row]:
    """The rows `echo`, `constant` and `nearest record` of a table about a federation: what needs no training.

    suite: None is the one whose table is about the dataset. Columns whose benchmark asks a model stay empty; what
    guessing gives there stands in a row's `chance`.
    """
    from ..evaluation.yardsticks import yardsticks

    return {name: kit.evaluate(one, suite) for name, one in yardsticks(data).items()}


def gains_over_local(by_seed: pd.DataFrame, method: str = "fedavg") -> pd.DataFrame:
    """What a federated method gains over clients of each language who train alone, by language and seed.

    by_seed: `ResultsTable.by_seed()` of a table with rows of local training by language and a metric for each language.
    Columns: language, seed, `all` (the method's average over languages less the local row's) and `own` (the same in
    that language alone, which is what the client itself would gain). `FedkitError` where a row or a seed is missing.
    """
    cells = by_seed.set_index(["row", "metric", "seed"])["value"]
    seeds = sorted(by_seed.loc[by_seed["row"] == label(method), "seed"].unique())
    rows = set(by_seed["row"])
    languages = [m for m in dict.fromkeys(by_seed["metric"]) if label("local", m) in rows]
    if not seeds or not languages:
        missing = label(method) if not seeds else label("local")
        raise FedkitError(f"the table has no row {missing!r} to compare with; run notebook 41 again")
    try:
        lines = [
            (
                code,
                seed,
                cells[label(method), AVERAGE, seed] - cells[label("local", code), AVERAGE, seed],
                cells[label(method), code, seed] - cells[label("local", code), code, seed],
            )
            for code in languages
            for seed in seeds
        ]
    except KeyError as error:
        raise FedkitError(f"the table has no value for {error.args[0]}; run notebook 41 again") from None
    return pd.DataFrame(lines, columns=["language", "seed", "all", "own"])


@dataclass(frozen=True)
class Comparison:
    """Runs of several methods that differ in nothing else, by seed and name (`Session.compare`).

    `comparison["FedAvg"]` is a run of the first seed, `runs` are all of that seed.
    """

    kit: Session
    data: Built | FederatedDataset
    seeds: Mapping[int, Mapping[str, Run]]  # seed -> name -> run

    @classmethod
    def train(
        cls,
        kit: Session,
        data: Built | FederatedDataset,
        variants: Mapping[str, Variant],
        *,
        rounds: int,
        clients_per_round: int,
        seeds: Sequence[int] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Comparison:
        """Each variant trained with each seed (default: the session's first), or taken from where it was trained.

        `variants`: name -> (algorithm, parameters) or (algorithm, parameters, privacy mechanism). A run has never more
        rounds or clients than the profile's; `settings` are further fields of `TrainSpec`. All variants of a seed draw
        the same clients and batches, unless a mechanism draws clients itself.
        """
        dataset = data if isinstance(data, FederatedDataset) else data.dataset
        train = kit.profile.dataset(dataset.name).train
        brief = {
            **(settings or {}),
            "rounds": min(rounds, train.rounds),
            "clients_per_round": min(clients_per_round, train.clients_per_round),
        }
        places = [(seed, name) for seed in seeds or kit.seeds[:1] for name in variants]
        plans = []
        for seed, name in places:
            algorithm, params, *privacy = variants[name]
            how = {"seed": seed, "settings": brief, "privacy": next(iter(privacy), None)}
            plans.append(kit.plan(algorithm, dataset, **how, **params))
        by_seed: dict[int, dict[str, Run]] = {}
        for (seed, name), run in zip(places, kit.train_all(plans, dataset), strict=True):
            by_seed.setdefault(seed, {})[name] = run
        return cls(kit, data, by_seed)

    @property
    def runs(self) -> Mapping[str, Run]:
        """The runs of the first seed, by name."""
        return next(iter(self.seeds.values()))

    def __getitem__(self, name: str) -> Run:
        return self.runs[name]

    def describe(self) -> str:
        """What was trained on what: the source, the federation, and the numbers that all these runs share."""
        train = next(iter(self.runs.values())).config.train
        known = isinstance(self.data, FederatedDataset)
        dataset = self.data if known else self.data.dataset
        source = "" if known else self.data.located.describe() + "\n"
        return (
            f"{source}{len(dataset)} clients, {dataset.n_records} records; "
            f"{train.rounds} rounds a run, {train.clients_per_round} clients a round, {train.local_steps} local steps"
        )

    def rules(self) -> str:
        """The hyperparameters of each method in a few words: `FedAdam: eta 0.001, ..., form reddi`, joined by `; `."""
        lines: dict[str, None] = {}
        for run in self.runs.values():
            config = run.config
            params = {**config.params, **(config.privacy or {})}
            params.pop("name", None)  # the mechanism's, which `method` holds
            words = ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in params.items())
            if words:
                lines[f"{label(config.algorithm)}{config.method.removeprefix(config.algorithm)}: {words}"] = None
        return "; ".join(lines)

    def losses_by_round(self) -> pd.DataFrame:
        """Training loss (nats a token) of the first seed, one column a run, rounds from 1 as the index.

        Clients measure it while they train, so before the server's step of their round.
        """
        columns = {name: pd.Series({h["round"] + 1: h["loss"] for h in run.history}) for name, run in self.runs.items()}
        return pd.DataFrame(columns).rename_axis("round")

    def held_out_loss(self, run: Run) -> float:
        """Mean negative log-likelihood (nats) of the tokens of the reference answers to held-out questions.

        Under the final adapter, over `Session.questions(..., answered=True)`: a loss needs answers.
        """
        from ..evaluation.likelihood import completion_loss

        answers = [
            {"instruction": q.instruction, "response": q.reference, "language": q.language}
            for q in self.kit.questions(run.config.dataset, answered=True)
        ]
        return completion_loss(self.kit.loaded(run), answers, max_length=run.config.train.max_length)["loss"]

    def summary(self, seed: int | None = None) -> pd.DataFrame:
        """One line a run of a seed (default: the first): its loss, the adapter's move, MB sent and received."""
        from ..training.models import initial_state

        lines = {}
        for name, run in (self.runs if seed is None else self.seeds[seed]).items():
            start = initial_state(self.kit.loaded(run).model, run.config.seed)
            lines[name] = {
                "held-out loss": self.held_out_loss(run),
                "moved by": norm(subtract(run.adapter, start)),
                "MB": (run.manifest["bytes_up"] + run.manifest["bytes_down"]) / 1e6,
            }
        return pd.DataFrame(lines).T.rename_axis("run")

    def scores(self, table: str, suite: str | Suite | None = None, *, unit: str = "score 1-10") -> ResultsTable:
        """A table of that name: yardsticks, the untrained base, then each run by seed, over the columns of a suite.

        suite: None is the one whose table is about the dataset.
        """
        one = next(iter(self.runs.values()))
        dataset = self.data if isinstance(self.data, FederatedDataset) else self.data.dataset
        rows: dict[str, dict[int, Row]] = {
            name: {one.config.seed: row} for name, row in yardstick_rows(self.kit, dataset, suite).items()
        }
        rows[label("base")] = {one.config.seed: self.kit.evaluate(dataset.name, suite)}
        for seed, runs in self.seeds.items():
            for name, run in runs.items():
                rows.setdefault(name, {})[seed] = self.kit.evaluate(run, suite)
        results = self.kit.results(table, judge=rows[label("base")][one.config.seed].judges, unit=unit)
        for name, by_seed in rows.items():
            results.add_rows(name, by_seed)
        return results

    def by_seed(self, table: str) -> ResultsTable:
        """A table of that name: each run's held-out loss by seed, and its difference from the first run's of that seed.

        Runs of a seed share clients and batches, so the paired difference is surer than either loss.
        """
        results = self.kit.results(table, judge="none", unit="nats per answer token")
        for seed, runs in self.seeds.items():
            losses = {name: self.held_out_loss(run) for name, run in runs.items()}
            first = next(iter(losses))
            for name, loss in losses.items():
                results.add(name, "held-out loss", loss, seed)
                if name != first:
                    results.add(name, f"less {first}", loss - losses[first], seed)
        return results
