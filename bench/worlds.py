"""Whether the gain holds in other embedded worlds: `python bench/worlds.py`.

In each world (a seed of the embedded records) FedAvg and one client a language alone are trained with the profile's
first seed, and put through Fed-Aya's Ref questions, as notebook 41 does. A row is a world: FedAvg's average, its gain
over local training over all languages and in each client's own, and what an echo and the nearest record score there.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from _common import Report, Row, Target, conclude, parser

TARGETS = {"all": 0.7, "own": 0.5}  # least gain over local training in every world, in points of the 1-10 scale


def world(seed: int, profile: str, folder: Path) -> tuple[Row, dict[str, float]]:
    """One world: its row, and its numbers."""
    from fedkit.common.seeds import generator
    from fedkit.evaluation.specs import AVERAGE, RIGHT
    from fedkit.report.paper import label
    from fedkit.report.trials import gains_over_local, yardstick_rows
    from fedkit.session import Session

    kit = Session(profile, results_dir=folder / f"world-{seed}", world_seed=seed)
    data, first = kit.build("fed_aya").dataset, kit.seeds[0]
    clients = data.summary()
    spoken = clients["languages"].str.split(", ").str[0]
    plans = {label("fedavg"): kit.plan("fedavg", data, seed=first)}
    for code in sorted(set(spoken)):
        speakers = clients.loc[spoken == code, "client"].tolist()
        drawn = speakers[generator(first, "local client", client=code).integers(len(speakers))]
        plans[label("local", code)] = kit.plan_local(data, drawn, seed=first)
    runs = kit.train_all(list(plans.values()), data, suite="fed_aya")
    table = kit.results("worlds", judge="none", unit="score 1-10")
    rows = {**yardstick_rows(kit, data), **{name: kit.evaluate(r) for name, r in zip(plans, runs, strict=True)}}
    for name, row in rows.items():
        table.add_rows(name, {first: row})
    gain = gains_over_local(table.by_seed())
    numbers = {
        "fedavg": rows[label("fedavg")].score(AVERAGE).value,
        "right": rows[label("fedavg")].score(RIGHT).value,
        "all": float(gain["all"].mean()),
        "own": float(gain["own"].mean()),
        "echo": rows["echo"].score(AVERAGE).value,
        "nearest": rows["nearest record"].score(AVERAGE).value,
    }
    shown: Row = {
        "world": seed,
        "FedAvg": f"{numbers['fedavg']:.2f}",
        RIGHT: f"{numbers['right']:.0f}",
        "less local, all languages": f"{numbers['all']:+.2f}",
        "less local, the client's own": f"{numbers['own']:+.2f}",
        "echo": f"{numbers['echo']:.2f}",
        "nearest record": f"{numbers['nearest']:.2f}",
    }
    return shown, numbers


def measure(options: Any) -> Report:
    """Every world's row; the least gain over the worlds against its target."""
    with tempfile.TemporaryDirectory(prefix="fedkit-") as scratch:
        folder = Path(options.results or scratch)
        told = {seed: world(seed, options.profile, folder) for seed in options.worlds}
    numbers = {str(seed): own for seed, (_, own) in told.items()}
    names = {"all": "over all languages", "own": "in the client's own language"}
    real = options.profile != "smoke"  # whose numbers mean nothing
    targets = [
        Target(
            f"least gain over local training {names[key]}, {len(told)} worlds",
            round(min(own[key] for own in numbers.values()), 3) if real else None,
            "at least",
            least,
            "points",
        )
        for key, least in TARGETS.items()
    ]
    return Report([row for row, _ in told.values()], {"profile": options.profile}, targets, [], numbers)


def main() -> int:
    """Five minutes a world on two cores."""
    options = parser(__doc__)
    options.add_argument("--worlds", type=int, nargs="+", default=[0, 1, 2], help="seeds of embedded worlds")
    options.add_argument("--profile", default="mini")
    options.add_argument("--results", help="a folder to keep the runs in; default: none are kept")
    given = options.parse_args()
    return conclude("worlds", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
