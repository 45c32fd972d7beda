"""What keeping the reference log-probabilities of federated DPO saves: `python bench/dpo.py`.

Five rounds of FedAvg on the embedded Fed-ChatbotPA, each client's pairs scored by the reference once and kept, or
scored anew whenever they are drawn. Both ways draw the same clients and pairs, and take turns, first one and then the
other; the first turn warms up and is left out. What is saved depends on how often a pair is drawn again, so both the
whole federation and a part of it that is drawn in every round are measured; a saving is promised for the latter alone.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from _common import Report, Target, conclude, parser, ratio, shown

WAYS = {"kept": True, "computed again": False}


def measure_case(data: Any, train: Any, loaded: Any, turns: int) -> dict[str, Any]:
    """Seconds of a run, and how many pairs the reference scored, each way."""
    from fedkit.training.dpo import DPOClient
    from fedkit.training.runs import RunConfig
    from fedkit.training.simulation import run

    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    scored = dict.fromkeys(WAYS, 0)
    real = DPOClient.reference_logps

    def counted(self: Any, rows: Any) -> Any:
        scored["kept" if self.keep else "computed again"] += len(rows)
        return real(self, rows)

    config = RunConfig(data.name, "benchmark", "fedavg", loaded.spec, train)
    DPOClient.reference_logps = counted  # type: ignore[method-assign]
    try:
        for turn in range(turns + 1):
            scored = dict.fromkeys(WAYS, 0)
            for name in sorted(WAYS, reverse=bool(turn % 2)):
                DPOClient.keep = WAYS[name]
                with tempfile.TemporaryDirectory(prefix="fedkit-") as folder:
                    began = time.perf_counter()
                    done = run(config, data, Path(folder), loaded=loaded, progress=False)
                    took, history = time.perf_counter() - began, done.history
                if turn:
                    seconds[name].append(took)
        drawn = sum(client["steps"] for line in history for client in line["clients"]) * train.batch_size
    finally:
        DPOClient.reference_logps, DPOClient.keep = real, True  # type: ignore[method-assign]
    return {"seconds": seconds, "scored": scored, "drawn": drawn}


def measure(options: Any) -> Report:
    """The whole federation, and `--clients` clients who all take part in every round."""
    import datasets
    from _federation import build

    from fedkit.common.seeds import generator
    from fedkit.profiles import get_profile
    from fedkit.training.models import load_model

    datasets.disable_progress_bars()
    profile = get_profile(options.profile)
    whole = build("fed_chatbot_pa", profile).dataset
    base = replace(profile.dataset("fed_chatbot_pa").train, rounds=options.rounds, dynamic_epochs=None)
    base = replace(base, local_steps=options.steps)
    drawn = generator(0, "benchmark clients").choice(len(whole), options.clients, replace=False).tolist()
    cases = {
        f"{len(whole)} clients, {base.clients_per_round} a round": (whole, base),
        f"{options.clients} clients, all in every round": (
            whole.select(drawn),
            replace(base, clients_per_round=options.clients),
        ),
    }
    loaded, rows, targets, data = load_model(profile.model), [], [], {}
    for name, (dataset, train) in cases.items():
        result = data[name] = measure_case(dataset, train, loaded, options.turns)
        kept, again = (statistics.median(result["seconds"][way]) for way in WAYS)
        saved = ratio(*(result["seconds"][way] for way in WAYS))
        rows.append(
            {
                "federation": name,
                "kept, s": f"{kept:.2f}",
                "computed again, s": f"{again:.2f}",
                "ratio": shown(saved),
                "pairs drawn": result["drawn"],
                "scored by the reference": " / ".join(str(result["scored"][way]) for way in WAYS),
            }
        )
        if len(dataset) == train.clients_per_round:
            what = f"{name}: kept over computed again, upper end of the 95 % interval"
            targets.append(Target(what, round(saved[0] if saved[2] is None else saved[2], 4), "at most", 1.0))
    settings = {key: getattr(options, key) for key in ("rounds", "steps", "clients", "turns", "profile")}
    notes = [
        "Ratios: geometric mean [95 % interval] over the turns. A pair that is drawn once costs the same either way."
    ]
    return Report(rows, {**settings, "batch": base.batch_size, "threads": 1}, targets, notes, data)


def main() -> int:
    """Five rounds, six turns: some eleven minutes on a quiet core."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--steps", type=int, default=5)
    options.add_argument("--clients", type=int, default=4)
    options.add_argument("--turns", type=int, default=6)
    options.add_argument("--profile", default="mini", help="the embedded federation and its settings")
    given = options.parse_args()
    return conclude("dpo", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
