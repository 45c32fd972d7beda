"""Short runs beside one another: several methods on one federated dataset, by round and on held-out questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from .federated import FederatedDataset
    from .runs import Run
    from .session import Session

Variant = tuple[str, Mapping[str, Any]]  # an algorithm's name and its parameters


def short_runs(
    kit: Session,
    dataset: FederatedDataset,
    variants: Mapping[str, Variant],
    *,
    rounds: int,
    clients_per_round: int,
    seed: int | None = None,
) -> dict[str, Run]:
    """Each variant trained for a few rounds (never more than the profile's), or taken from where it was trained.

    All variants of a seed draw the same clients and the same batches.
    """
    train = kit.profile.dataset(dataset.name).train
    brief = {
        "rounds": min(rounds, train.rounds),
        "clients_per_round": min(clients_per_round, train.clients_per_round),
    }
    return {
        name: kit.train(kit.plan(algorithm, dataset, seed=seed, settings=brief, **params), dataset)
        for name, (algorithm, params) in variants.items()
    }


def losses_by_round(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Training loss (nats a token), one column a run, rounds from 1 as the index."""
    import pandas as pd

    columns = {name: pd.Series({h["round"] + 1: h["loss"] for h in run.history}) for name, run in runs.items()}
    return pd.DataFrame(columns).rename_axis("round")


def summary(kit: Session, runs: Mapping[str, Run], dataset: FederatedDataset) -> pd.DataFrame:
    """One line a run: loss on the held-out Ref answers, length of the adapter's move, MB sent and received.

    The loss is the mean negative log-likelihood (nats) of the reference answers' tokens.
    """
    import pandas as pd

    from .aggregators import norm, subtract
    from .evaluation import completion_loss
    from .models import initial_state

    asked = [
        {"instruction": q.instruction, "response": q.reference, "language": q.language}
        for q in kit.questions(dataset.name)
    ]
    lines = {}
    for name, run in runs.items():
        train, adapter = run.config.train, run.adapter
        loaded = kit.loaded(adapter, dataset=dataset.name)
        scored = completion_loss(loaded.model, loaded.tokenizer, asked, train.template, train.max_length)
        lines[name] = {
            "held-out loss": scored["loss"],
            "moved by": norm(subtract(adapter, initial_state(loaded.model, run.config.seed))),
            "MB": (run.manifest["bytes_up"] + run.manifest["bytes_down"]) / 1e6,
        }
    return pd.DataFrame(lines).T.rename_axis("run")
