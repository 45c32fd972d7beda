"""People's text as token ids: whatever it says, it is read as text and never as a control token.

Tokenizers look for the names of their control tokens (`</s>`, `<|im_end|>`) in any text that they are given, so that a
record, a question or a model's answer that holds such a name would end turns and answers, in prompt and loss. Templates
here hold no control token; begin and end tokens are put in by id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..common.errors import FedkitError

# Texts longer than the model reads are cut afterwards, without the tokenizer's warning.
PLAIN: Mapping[str, bool] = {"add_special_tokens": False, "verbose": False}


def text_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, none of them a control token's; of a text that names none, what the tokenizer gives.

    `FedkitError` for a tokenizer that cannot read a text as text.
    """
    if not texts:
        return []
    rows = tokenizer(list(texts), **PLAIN)["input_ids"]
    control = control_tokens(tokenizer)
    return [
        _as_text(tokenizer, text, control) if _obeyed(tokenizer, text, row, control) else row
        for text, row in zip(texts, rows, strict=True)
    ]


def control_tokens(tokenizer: Any) -> dict[int, str]:
    """The tokens that steer a model, by id: the special ones, and added ones that the chat template writes."""
    written = tokenizer.chat_template or ""
    written = written if isinstance(written, str) else "\n".join(written.values())
    added = tokenizer.added_tokens_decoder.items()
    return {
        **dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)),
        # Blanks (Gemma's "\n") stand in templates as text.
        **{i: t.content for i, t in added if t.special or (t.content in written and not t.content.isspace())},
    }


def _obeyed(tokenizer: Any, text: str, row: Sequence[int], control: Mapping[int, str]) -> bool:
    """Whether a text's ids hold a control token. A token unknown to the vocabulary is one only by its name."""
    unknown = tokenizer.unk_token_id
    return any(i != unknown or control[i] in text for i in control.keys() & set(row))


def _as_text(tokenizer: Any, text: str, control: Mapping[int, str]) -> list[int]:
    """Ids of a text that names control tokens: by the tokenizer's own way, else with each name cut in two."""
    row = tokenizer(text, **PLAIN, split_special_tokens=True)["input_ids"]
    if not _obeyed(tokenizer, text, row, control):
        return row
    named = [(place, name) for name in control.values() if len(name) > 1 and (place := text.find(name)) >= 0]
    if not named:
        raise FedkitError(
            f"the tokenizer reads a control token out of the text {text[:60]!r}, which does not name one; use a model"
            " with another tokenizer, or leave the record out"
        )
    cut = min(named)[0] + 1
    return [i for part in (text[:cut], text[cut:]) for i in _as_text(tokenizer, part, control)]
