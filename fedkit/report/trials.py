"""Short runs beside one another: several methods on one federated dataset, by round and on held-out questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from ..data.builders import Built
    from ..data.federated import FederatedDataset
    from ..session import Session
    from ..training.runs import Run, RunConfig
    from .tables import ResultsTable

Variant = tuple[str, Mapping[str, Any]]  # an algorithm's name and its parameters


def runs_by_seed(
    kit: Session,
    dataset: FederatedDataset,
    variants: Mapping[str, Variant],
    *,
    rounds: int,
    clients_per_round: int,
    seeds: Sequence[int] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[int, dict[str, Run]]:
    """Each variant trained with each seed (default: the session's), or taken from where it was trained.

    A run has never more rounds or clients than the profile's. `settings` are further fields of `TrainSpec`. All
    variants of a seed draw the same clients and the same batches. Several runs are trained side by side.
    """
    train = kit.profile.dataset(dataset.name).train
    brief = {
        **(settings or {}),
        "rounds": min(rounds, train.rounds),
        "clients_per_round": min(clients_per_round, train.clients_per_round),
    }
    places = [(seed, name) for seed in (kit.seeds if seeds is None else seeds) for name in variants]
    plans = [
        kit.plan(variants[name][0], dataset, seed=seed, settings=brief, **variants[name][1]) for seed, name in places
    ]
    found: dict[int, dict[str, Run]] = {}
    for (seed, name), run in zip(places, kit.train_all(plans, dataset), strict=True):
        found.setdefault(seed, {})[name] = run
    return found


def short_runs(
    kit: Session,
    dataset: FederatedDataset,
    variants: Mapping[str, Variant],
    *,
    rounds: int,
    clients_per_round: int,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Run]:
    """The runs of one seed (default: the session's first) by variant; see `runs_by_seed`."""
    one = kit.seeds[0] if seed is None else seed
    brief = {"rounds": rounds, "clients_per_round": clients_per_round, "settings": settings}
    return runs_by_seed(kit, dataset, variants, seeds=[one], **brief)[one]


def described(built: Built, runs: Mapping[str, Run]) -> str:
    """What was trained on what: the source, the federation, and the numbers that all these runs share."""
    train = next(iter(runs.values())).config.train
    return (
        f"{built.located.describe()}\n{len(built.dataset)} clients, {built.dataset.n_records} records; "
        f"{train.rounds} rounds a run, {train.clients_per_round} clients a round, {train.local_steps} local steps"
    )


def rules(configs: Iterable[RunConfig]) -> str:
    """The hyperparameters of each algorithm in a few words: `FedAdam: eta 0.001, ..., form reddi`, joined by `; `."""
    from .paper import label

    found = {}
    for config in configs:
        words = ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in config.params.items())
        found[f"{label(config.algorithm)}: {words}"] = bool(words)
    return "; ".join(text for text, any_words in found.items() if any_words)


def losses_by_round(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Training loss (nats a token), one column a run, rounds from 1 as the index.

    Clients measure it while they train, so before the server's step of their round.
    """
    import pandas as pd

    columns = {name: pd.Series({h["round"] + 1: h["loss"] for h in run.history}) for name, run in runs.items()}
    return pd.DataFrame(columns).rename_axis("round")


def held_out_loss(kit: Session, run: Run, dataset: FederatedDataset) -> float:
    """Mean negative log-likelihood (nats) of the tokens of the reference answers to held-out questions.

    Under the final adapter, over `Session.questions(..., answered=True)`: a loss needs answers.
    """
    from ..evaluation.ref import completion_loss

    asked = [
        {"instruction": q.instruction, "response": q.reference, "language": q.language}
        for q in kit.questions(dataset.name, answered=True)
    ]
    loaded, train = kit.loaded(run.adapter, dataset=dataset.name), run.config.train
    return completion_loss(loaded.model, loaded.tokenizer, asked, train.template, train.max_length)["loss"]


def summary(kit: Session, runs: Mapping[str, Run], dataset: FederatedDataset) -> pd.DataFrame:
    """One line a run: `held_out_loss`, length of the adapter's move, MB sent and received."""
    import pandas as pd

    from ..algorithms.aggregators import norm, subtract
    from ..training.models import initial_state

    lines = {}
    for name, run in runs.items():
        start = initial_state(kit.loaded(dataset=dataset.name).model, run.config.seed)
        lines[name] = {
            "held-out loss": held_out_loss(kit, run, dataset),
            "moved by": norm(subtract(run.adapter, start)),
            "MB": (run.manifest["bytes_up"] + run.manifest["bytes_down"]) / 1e6,
        }
    return pd.DataFrame(lines).T.rename_axis("run")


def losses_by_seed(
    kit: Session, runs: Mapping[int, Mapping[str, Run]], dataset: FederatedDataset, *, table: str
) -> ResultsTable:
    """A table of that name: each run's held-out loss by seed, and its difference from the first run's of that seed.

    Runs of a seed share clients and batches, so the paired difference is surer than either loss.
    """
    made = kit.results(table, judge="none", unit="nats per answer token")
    for seed, by_name in runs.items():
        losses = {name: held_out_loss(kit, run, dataset) for name, run in by_name.items()}
        first = next(iter(losses))
        for name, loss in losses.items():
            made.add(name, "held-out loss", loss, seed)
            if name != first:
                made.add(name, f"less {first}", loss - losses[first], seed)
    return made
