"""The real benchmarks from start to end with the embedded model: `python bench/real.py --data-dir DIR`.

MT-Bench, Vicuna, AdvBench, HumanEval, MMLU, BBH, GSM8K and TFNS at their full size, with the untrained base and, where
a finished run is there, with FedAvg's adapter. Such a small model knows next to nothing of them: the figures say that
everything runs and how long it takes, and whether a score can be told from guessing (its 95 % interval over the items
lies above chance). Open answers are rated by the offline judge, which needs reference answers; Vicuna's has none.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _common import ROOT, Report, Row, Target, conclude, parser

from fedkit.common.errors import FedkitError

# The part of each that is shown.
SHOWN = {
    "mt_bench": ("turn 1", "turn 2"),
    "vicuna": ("score",),
    "advbench": ("safe", "safe (our list)"),
    "human_eval": ("pass@1",),
    "mmlu": ("acc",),
    "bbh": ("exact",),
    "gsm8k": ("exact",),
    "tfns": ("acc", "f1"),
}
DATASET = "fed_chatbot_it"


def finished_run(results: Path) -> tuple[Path, dict[str, Any]] | None:
    """FedAvg's run of the chatbot dataset with the least seed, all clients in it, and its configuration."""
    known = []
    for path in sorted((results / "runs").glob("**/config.json")):
        config = json.loads(path.read_text(encoding="utf-8"))
        whole = config.get("algorithm") == "fedavg" and config.get("dataset") == DATASET and not config.get("clients")
        if whole and (path.parent / "adapter.safetensors").is_file():
            known.append((config["seed"], path.parent, config))
    return min(known, key=lambda one: one[:2])[1:] if known else None


def verdict(score: Any) -> str:
    """What a score says, in words."""
    if score.value is None:
        return "not rated: no reference answers"
    return score.against_chance or "no chance level"


def shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def measured(one: Any, pool: Any, subject: Any, who: str) -> tuple[list[Row], Row]:
    """One benchmark with one model: a row for each part, the time on the first; and the bare scores by part."""
    from fedkit.evaluation.judges.reference import ReferenceJudge

    items = one.items(pool, DATASET)
    began = time.perf_counter()
    answers = one.answer(subject, items)
    seconds = time.perf_counter() - began
    scores = one.score(items, answers, ReferenceJudge())
    rows: list[Row] = []
    for part in SHOWN[one.name]:
        score = scores[part]
        ends = "" if score.low is None else f"[{score.low:.3f}, {score.high:.3f}]"
        rows.append(
            {
                "model": who,
                "benchmark": f"{one.title}, {part}",
                "score": shown(score.value),
                "95 % interval": ends,
                "chance": shown(score.chance),
                "items": score.count,
                "unrated": score.unrated,
                "seconds": "" if rows else round(seconds, 1),
                "verdict": verdict(score),
                "note": score.note,
            }
        )
    return rows, {part: asdict(scores[part]) for part in SHOWN[one.name]} | {"seconds": seconds}


def models_of(options: Any, profile: Any) -> list[tuple[str, Any, str]]:
    """Name, adapter (None: the base) and template of each model."""
    from fedkit.training.models import load_state

    template = profile.dataset(DATASET).train.template
    models: list[tuple[str, Any, str]] = [("base", None, template)]
    run = finished_run(Path(options.results))
    if run is not None:
        folder, config = run
        models.append(("FedAvg", load_state(folder / "adapter.safetensors"), config["train"]["template"]))
    return models


def measure(options: Any) -> Report:
    """All benchmarks with all models. Whatever has a chance level is expected near it, but nothing is promised."""
    from fedkit.data.place import Place
    from fedkit.evaluation.benchmarks.base import Pool, Subject
    from fedkit.evaluation.benchmarks.registry import BENCHMARKS
    from fedkit.evaluation.sandbox.run import require_sandbox
    from fedkit.profiles import get_profile
    from fedkit.training.models import initial_state, load_model, set_adapter_state

    profile = get_profile(options.profile)
    folder = Path(options.data_dir)
    if not folder.is_dir():
        raise FedkitError(f"the data folder {folder} does not exist; give --data-dir the folder with the real files")
    names = options.only or list(SHOWN)
    if "human_eval" in names:
        require_sandbox()
    pool = Pool(Place(folder, offline=True, embedded=profile.embedded), options.limit)
    loaded = load_model(profile.model)
    rows: list[Row] = []
    data: Row = {}
    chosen = models_of(options, profile)
    for who, state, template in chosen:
        set_adapter_state(loaded.model, initial_state(loaded.model, 0) if state is None else state)
        subject = Subject(loaded, template, profile.evaluation)
        for name in names:
            lines, data[f"{who}, {name}"] = measured(BENCHMARKS[name], pool, subject, who)
            rows += lines
            print(f"{who}, {name}: {rows[-1]['verdict']}", file=sys.stderr, flush=True)
    notes = ["MT-Bench is rated by the offline judge against references; no figure here is one of the papers' judges."]
    if len(chosen) == 1:
        notes.append(f"No FedAvg run of {DATASET} in --results: the base alone was measured.")
    settings = {
        "profile": profile.name,
        "items of each": "all" if options.limit is None else f"at most {options.limit}",
        "models": [who for who, _, _ in chosen],
        "seconds for all answers": round(sum(one["seconds"] for one in data.values()), 1),
    }
    lost = sum(row["items"] + row["unrated"] == 0 for row in rows)
    targets = [Target("benchmarks without an item", float(lost), "at most", 0)]
    return Report(rows, settings, targets, notes, data)


def main() -> int:
    """Some minutes a model on two cores."""
    options = parser(__doc__)
    options.add_argument("--data-dir", default=str(ROOT.parent / "shared" / "data"), help="folder with the real files")
    options.add_argument("--results", default=str(ROOT / "results" / "mini"), help="folder of a finished run")
    options.add_argument("--profile", default="mini")
    options.add_argument("--limit", type=int, default=None, help="at most so many items of each; all without it")
    options.add_argument("--only", nargs="+", choices=list(SHOWN), metavar="NAME", help=f"some of {', '.join(SHOWN)}")
    given = options.parse_args()
    return conclude("real", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
