"""One training run and its rating, in whatever process: the part of a session that worker processes import."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.federated import FederatedDataset
from ..training.specs import ModelSpec
from .specs import EvalSpec

if TYPE_CHECKING:
    import pandas as pd

    from ..data.builders.questions import Question
    from ..training.models import Loaded
    from ..training.runs import Run, RunConfig
    from .judges import JudgeChoice


@functools.lru_cache(maxsize=1)
def loaded_model(spec: ModelSpec) -> Loaded:
    """The model of a spec, loaded once in a process."""
    from ..training.models import load_model

    return load_model(spec)


def train_and_rate(
    config: RunConfig,
    *,
    folder: Path,
    data: Path,
    questions: tuple[Question, ...],
    evaluation: EvalSpec,
    show: bool,
    judge: JudgeChoice | None = None,
) -> Run:
    """Train a run, or take it from `folder/runs`, on the dataset saved at `data`; rate its answers to `questions`."""
    from ..training.simulation import run

    done = run(config, FederatedDataset.load(data), folder / "runs", loaded=loaded_model(config.model), progress=show)
    if questions:
        rate(done, questions, config.model, evaluation, folder, judge)
    return done


def rate(
    run: Run | None,
    questions: Sequence[Question],
    model: ModelSpec,
    evaluation: EvalSpec,
    folder: Path,
    judge: JudgeChoice | None = None,
) -> pd.DataFrame:
    """Answers of a run's adapter (None: of the untrained base) with ratings, both kept under `folder/runs`.

    judge: None is the offline `ReferenceJudge`. `attrs["judging"]` says what an API's judge cost, where it was asked.
    """
    import pandas as pd

    from ..common.files import write_text
    from ..training.models import base_fingerprint, initial_state, set_adapter_state
    from . import cache as kept
    from .judges.judge import ReferenceJudge
    from .ref import ref_answers, ref_scores

    rater = judge.judge("ref", folder / "evaluations" / kept.REPLIES) if judge else ReferenceJudge()
    template = run.config.train.template if run else "alpaca"
    basis = [asdict(evaluation), template, [asdict(q) for q in questions], kept.answer_code()]
    if run is None:
        basis += [asdict(model), base_fingerprint(model.name)]
    home, key = run.folder if run else folder / "runs" / "base", kept.hash_of(basis)[:12]
    by_judge = kept.hash_of([kept.judge_identity(rater), kept.judge_code()])[:12]
    path = home / f"ref-{key}-{by_judge}.jsonl"

    def ask(some: Sequence[Question]) -> list[str]:
        loaded = loaded_model(model)
        set_adapter_state(loaded.model, run.adapter if run else initial_state(loaded.model, 0))
        return ref_answers(loaded.model, loaded.tokenizer, some, template=template, evaluation=evaluation)

    said = ""
    if not path.exists():
        answered = home / f"answers-{key}.json"
        if judge and not answered.exists():
            rater.check()  # a missing key is told before the answers are made, not after
        scores = ref_scores(questions, kept.answers(answered, questions, ask), rater)
        if judge:
            said = rater.report.describe()
            rater.close()
        write_text(path, scores.to_json(orient="records", lines=True, force_ascii=False, double_precision=15))
    # Read back also what was just written, so that a later call gives the same to the last digit.
    text = {"id": str, "instruction": str, "answer": str, "reference": str}
    found = pd.read_json(path, lines=True, dtype=text, precise_float=True)
    found.attrs.update(judge=rater.name, unrated=int(found["score"].isna().sum()), judging=said)
    return found
