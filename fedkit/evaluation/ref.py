"""From a model to scores: answers to reference questions, ratings, and the loss on known answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..common.errors import FedkitError
from ..data.builders.questions import Question
from .specs import AVERAGE

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from ..training.prompts import Template
    from .judges.judge import Judge
    from .specs import EvalSpec


def _template(template: str | Template) -> Template:
    from ..training.prompts import get_template

    return get_template(template) if isinstance(template, str) else template


def ref_answers(
    model: Any,
    tokenizer: Any,
    questions: Sequence[Question],
    *,
    template: str | Template,
    evaluation: EvalSpec,
    seed: int = 0,
    progress: bool = False,
) -> list[str]:
    """One answer a question, in order, asked in the template's form for the question's language."""
    from .generation import generate

    form = _template(template)
    return generate(
        model,
        tokenizer,
        [form.prompt(q.instruction, q.language) for q in questions],
        max_new_tokens=evaluation.max_new_tokens,
        batch_size=evaluation.batch_size,
        temperature=evaluation.temperature,
        seed=seed,
        progress=progress,
    )


def ref_scores(questions: Sequence[Question], answers: Sequence[str], judge: Judge) -> pd.DataFrame:
    """One line a question: id, language, instruction, answer, reference, score (1-10; missing where unrated).

    A judge that can (`rate_all`) rates many at a time; an answer without a reference is graded without one.

    The frame's `attrs` hold the judge's name (`judge`) and the number of unrated answers (`unrated`).
    """
    import pandas as pd

    from .judges import rate_all, ref_item

    if len(questions) != len(answers):
        raise FedkitError(f"{len(answers)} answers for {len(questions)} questions; give one answer a question")
    pairs = list(zip(questions, answers, strict=True))
    scores = rate_all(judge, [ref_item(q.instruction, answer, q.reference, q.id) for q, answer in pairs])
    lines = [
        {
            "id": q.id,
            "language": q.language,
            "instruction": q.instruction,
            "answer": answer,
            "reference": q.reference,
            "score": score,
        }
        for (q, answer), score in zip(pairs, scores, strict=True)
    ]
    frame = pd.DataFrame(lines, columns=["id", "language", "instruction", "answer", "reference", "score"])
    frame["score"] = frame["score"].astype("float64")
    frame.attrs.update(judge=judge.name, unrated=int(frame["score"].isna().sum()))
    return frame


def by_language(scores: pd.DataFrame) -> pd.Series:
    """Mean score of each language, in alphabetical order, and "Average": the mean over languages, as in Table 2.

    Unrated answers are left out of their language's mean. `FedkitError` where a language has no rated answer, since
    an average over the other languages would be another quantity.
    """
    means = scores.groupby("language", sort=True)["score"].mean()
    empty = list(means.index[means.isna()])
    if empty or means.empty:
        what = f"language {empty[0]!r}" if empty else "the table of scores"
        raise FedkitError(f"{what} has no rated answer; look at the judge's unrated count and at the references")
    means[AVERAGE] = means.mean()
    return means.rename("score")


def completion_loss(
    model: Any,
    tokenizer: Any,
    records: Sequence[Mapping[str, Any]],
    template: str | Template,
    max_length: int,
    batch_size: int = 16,
) -> dict[str, float]:
    """Mean negative log-likelihood (nats) of an answer token, end token included, over all answers of `records`.

    `loss` and `tokens` (answer tokens counted), `records` (used) and `skipped` (their prompt fills `max_length`).
    Each token weighs the same, so the value does not depend on `batch_size`. `FedkitError` where no answer is left.
    """
    import torch

    from ..training.prompts import IGNORED, encode
    from .generation import answering, merged_adapters

    encoded = encode(tokenizer, _template(template), records, max_length)
    order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i]["input_ids"]))
    device = next(model.parameters()).device
    total, count = 0.0, 0
    with answering(model), merged_adapters(model), torch.inference_mode():
        for start in range(0, len(order), batch_size):
            rows = [encoded[i] for i in order[start : start + batch_size]]
            width = len(rows[0]["input_ids"])
            ids = torch.zeros(len(rows), width, dtype=torch.long)
            labels = torch.full((len(rows), width), IGNORED)
            mask = torch.zeros(len(rows), width, dtype=torch.long)
            for i, row in enumerate(rows):
                n = len(row["input_ids"])
                ids[i, :n], labels[i, :n] = torch.tensor(row["input_ids"]), torch.tensor(row["labels"])
                mask[i, :n] = 1
            nll, tokens = _nll(model, ids.to(device), mask.to(device), labels.to(device))
            total += nll.item()
            count += int(tokens)
    return {"loss": total / count, "tokens": count, "records": len(encoded), "skipped": encoded.skipped}


def _nll(model: Any, ids: Tensor, mask: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Summed loss and number of answer tokens; by whole logits where a model transforms what its head gives."""
    import torch

    from ..training import losses

    if hasattr(model, "get_base_model") and losses.has_plain_head(model):
        return losses.answer_nll(model, ids, mask, labels)
    targets = labels[:, 1:]
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
    return torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="sum"), (targets >= 0).sum()
