"""Quality as FedLLM-Bench measures it (section 3.3 (3), B.3, Figure 3): instruction-following difficulty, IFD.

Li et al. 2023, "From Quantity to Quality": IFD(Q, A) = s(A|Q) / s(A), where s is the mean negative log-likelihood of
the answer's tokens, given the instruction in its template above, given nothing below. Below 1 the instruction helps the
model to the answer; near 1 it tells nothing; above 1 it misleads. (Superfiltering, Li et al. 2024, takes the ratio of
the perplexities exp(s) instead; `AnswerLosses` holds both losses, so either can be had.)

Conventions, where the paper leaves a choice:

- The answer alone stands behind the tokenizer's begin token, which predicts its first token. A tokenizer without one
  cannot score that token, and it is left out above and below. (Li et al.'s program puts "### Response:" before it.)
- The same tokens are scored above and below. Prompt and answer are cut to `max_length` tokens together, as in
  training; what is cut off the answer is not scored below either.
- The end token is not scored, as in Li et al.: it belongs to the format, not to the answer.
- No ratio is clipped or left out for being above 1.

Undefined, NaN, and counted by reason: an empty answer, a prompt that fills `max_length`, an answer whose only token
cannot be scored, and a loss of exactly 0 below.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common.errors import FedkitError, unknown
from ..evaluation.likelihood import Row, continuation_nll
from ..training.tokens import text_ids

if TYPE_CHECKING:
    from ..training.models import Loaded
    from ..training.prompts import Template
    from .client_texts import Texts

EMPTY, NO_ROOM = "empty answer", "the prompt fills max_length"
ONE_TOKEN, NO_LOSS = "one token and no begin token before it", "the answer alone has no loss"


@dataclass(frozen=True)
class AnswerLosses:
    """The two losses of each answer, in nats a token, float64 (records,); NaN where `reason` is not blank.

    `tokens`: int64 (records,), answer tokens scored, the same number above and below.
    """

    given: np.ndarray
    alone: np.ndarray
    tokens: np.ndarray
    reason: tuple[str, ...]

    @property
    def ifd(self) -> np.ndarray:
        """Given over alone, float64 (records,); NaN where undefined."""
        return self.given / self.alone

    def undefined(self) -> dict[str, int]:
        """Records without an IFD, by reason."""
        return dict(Counter(reason for reason in self.reason if reason))


def ifd(loaded: Loaded, texts: Texts, **options: Any) -> np.ndarray:
    """IFD of each record, float64 (records,); NaN where undefined. `options` as for `answer_losses`."""
    return answer_losses(loaded, texts, **options).ifd


def answer_losses(
    loaded: Loaded,
    texts: Texts,
    *,
    template: str = "alpaca",
    max_length: int | None = None,
    cache: str | Path | None = None,
    which: str = "response",
    batch_tokens: int = 2048,
    progress: bool = False,
) -> AnswerLosses:
    """The loss of each answer given its instruction and alone, by the model with the adapter that it carries.

    `which`: "response" (of a preference pair the chosen answer) or "rejected". `max_length` in tokens, prompt and
    answer together; None: all that the model reads. `cache`: a folder for the log-likelihoods, so that a run which
    was stopped goes on where it was, and no text is scored twice. Of a conversation, all turns of the user are the
    instruction and all of the assistant the answer. `FedkitError` for an unknown `which`, rejected answers that the
    dataset has not, or more tokens than the model reads.
    """
    from ..training.prompts import get_template

    rows, owners, tokens, reason = _rows(loaded, texts, _answers(texts, which), get_template(template), max_length)
    sums = continuation_nll(loaded, rows, cache=cache, batch_tokens=batch_tokens, progress=progress).reshape(2, -1)
    given, alone = np.full((2, len(texts)), np.nan)
    with np.errstate(divide="ignore"):
        given[owners], alone[owners] = sums / tokens[owners]
    for at in np.flatnonzero(alone == 0):
        given[at] = alone[at] = np.nan
        reason[at] = NO_LOSS
    return AnswerLosses(given, alone, tokens, tuple(reason))


def _answers(texts: Texts, which: str) -> list[str]:
    known = {"response": texts.response, "rejected": texts.rejected}
    if which not in known:
        raise unknown("answer", which, known)
    answers = known[which]
    if answers is None:
        raise FedkitError(f"{texts.name} has no rejected answers; use a dataset of preference pairs")
    return answers


def _rows(
    loaded: Loaded, texts: Texts, answers: list[str], template: Template, max_length: int | None
) -> tuple[list[Row], np.ndarray, np.ndarray, list[str]]:
    """All rows to score (first every answer given its instruction, then every answer alone), the records that they
    belong to, and for all records the tokens scored and the reason why none is."""
    room = _room(loaded, max_length)
    tokenizer = loaded.tokenizer
    questions = [template.prompt(q, to or "en") for q, to in zip(texts.instruction, texts.language, strict=True)]
    prompts = text_ids(tokenizer, questions)
    replies = text_ids(tokenizer, [answer.strip() for answer in answers])
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    unscored = 0 if begin else 1  # answer tokens that nothing predicts when the answer stands alone
    above: list[Row] = []
    below: list[Row] = []
    owners, reason = [], [""] * len(answers)
    tokens = np.zeros(len(answers), dtype=np.int64)
    for at, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
        head = begin + prompt
        cut = reply[: max(0, room - len(head))]
        if not reply or not cut:
            reason[at] = NO_ROOM if reply else EMPTY
        elif len(cut) == unscored:
            reason[at] = ONE_TOKEN
        else:
            owners.append(at)
            tokens[at] = len(cut) - unscored
            above.append((head + cut, len(head) + unscored))
            below.append((begin + cut, 1))
    return above + below, np.array(owners, dtype=np.int64), tokens, reason


def _room(loaded: Loaded, max_length: int | None) -> int:
    positions = getattr(loaded.model.config, "max_position_embeddings", None)
    if max_length is None and positions is None:
        raise FedkitError("the model does not say how many tokens it reads; give max_length")
    if max_length is not None and (max_length < 2 or (positions or max_length) < max_length):
        raise FedkitError(f"max_length {max_length} is not between 2 and the {positions} tokens that the model reads")
    return max_length or positions
