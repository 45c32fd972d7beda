"""One training run and its rating, in whatever process: the part of a session that worker processes import."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from .federated import FederatedDataset
from .profiles import EvalSpec, ModelSpec

if TYPE_CHECKING:
    import pandas as pd

    from .builders.questions import Question
    from .models import Loaded
    from .runs import Run, RunConfig


@functools.lru_cache(maxsize=1)
def loaded_model(spec: ModelSpec) -> Loaded:
    """The model of a spec, loaded once in a process."""
    from .models import load_model

    return load_model(spec)


def train_and_rate(
    config: RunConfig,
    *,
    folder: Path,
    data: Path,
    questions: tuple[Question, ...],
    evaluation: EvalSpec,
    show: bool,
) -> Run:
    """Train a run, or take it from `folder/runs`, on the dataset saved at `data`; rate its answers to `questions`."""
    from .simulation import run

    done = run(config, FederatedDataset.load(data), folder / "runs", loaded=loaded_model(config.model), progress=show)
    if questions:
        rate(done, questions, config.model, evaluation, folder)
    return done


def rate(
    run: Run | None, questions: Sequence[Question], model: ModelSpec, evaluation: EvalSpec, folder: Path
) -> pd.DataFrame:
    """Answers of a run's adapter (None: the untrained base) with ratings, kept under `folder/runs`."""
    import pandas as pd

    from .evaluation import ref_answers, ref_scores
    from .judge import ReferenceJudge
    from .models import base_fingerprint, initial_state, set_adapter_state
    from .report import write_text

    judge = ReferenceJudge()
    template = run.config.train.template if run else "alpaca"
    basis = [asdict(evaluation), judge.name, template, [asdict(q) for q in questions]]
    if run is None:
        basis += [asdict(model), base_fingerprint(model.name)]
    key = hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()[:12]
    path = (run.folder if run else folder / "runs" / "base") / f"ref-{key}.jsonl"
    if not path.exists():
        loaded = loaded_model(model)
        set_adapter_state(loaded.model, run.adapter if run else initial_state(loaded.model, 0))
        answers = ref_answers(loaded.model, loaded.tokenizer, questions, template=template, evaluation=evaluation)
        scores = ref_scores(questions, answers, judge)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, scores.to_json(orient="records", lines=True, force_ascii=False, double_precision=15))
    # Read back also what was just written, so that a later call gives the same to the last digit.
    text = {"id": str, "instruction": str, "answer": str, "reference": str}
    kept = pd.read_json(path, lines=True, dtype=text, precise_float=True)
    kept.attrs.update(judge=judge.name, unrated=int(kept["score"].isna().sum()))
    return kept
