"""Conversations, as one prompt and as token ids to train on, in the form of a template.

Vicuna v1.1 (Chiang et al. 2023) is made for conversations. Alpaca (Taori et al. 2023) has one instruction and one
response; a second turn repeats that pair below the first, its preamble said once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..common.errors import FedkitError, unknown
from .prompts import ALPACA_PREAMBLE, PLAIN, Encoded, Template, answer_ids, get_template, pack

Turn = Mapping[str, str]  # role ("user", "assistant") and content, as in Fed-WildChat's conversations


def turn_prompts(template: str | Template, turns: Sequence[Turn], language: str = "en") -> list[str]:
    """The text before each answer of a conversation whose turns alternate and begin with the user's.

    The first is `template.prompt`; each other follows an answer that its end token has closed. `FedkitError` for turns
    in another order or an unknown template.
    """
    form = get_template(template) if isinstance(template, str) else template
    if form.name not in _CHATS:
        raise unknown("template for conversations", form.name, _CHATS)
    for place, turn in enumerate(turns):
        wanted = ("user", "assistant")[place % 2]
        if turn["role"] != wanted:
            raise FedkitError(f"turn {place} of a conversation is by {turn['role']!r}; turns alternate, so {wanted!r}")
    asked = [turn["content"] for turn in turns[::2]]
    return [form.prompt(asked[0], language)] + [_CHATS[form.name].later(form, each, language) for each in asked[1:]]


def conversation_prompt(
    template: str | Template, turns: Sequence[Turn], language: str = "en", *, end: str | None = None
) -> str:
    """The text before the next answer. `turns` begin and end with the user's and alternate.

    For one turn it is `template.prompt`. `end` is the tokenizer's end token, which closed each answer in training
    (None: a line or a blank stands between turns). `FedkitError` for turns in another order or an unknown template.
    """
    form = get_template(template) if isinstance(template, str) else template
    first, *later = turn_prompts(form, turns, language)
    if len(turns) % 2 == 0:
        raise FedkitError(f"a conversation of {len(turns)} turns does not end with the user's; give what to answer")
    between = end or _CHATS[form.name].gap
    return first + "".join(
        answer["content"].strip() + between + text for answer, text in zip(turns[1::2], later, strict=True)
    )


def encode_conversations(
    tokenizer: Any, template: Template, records: Sequence[Mapping[str, Any]], max_length: int, *, where: str = "records"
) -> Encoded:
    """Tokenize records (field `conversation`: turns; optional `language`) to at most `max_length` tokens.

    The loss covers every answer and its end token, nothing else (FedLLM-Bench, Fed-WildChat multi-turn). A turn of the
    user that nothing answers is left out. A conversation whose first prompt fills `max_length` is skipped and counted;
    a longer one is cut. `FedkitError` where no record is left.
    """
    chats = [chat[: len(chat) // 2 * 2] for chat in (r["conversation"] for r in records)]
    if not chats or not all(chats):
        raise FedkitError(f"{where}: a conversation has no answer, or there is none; leave it out of the federation")
    texts = [turn_prompts(template, chat, r.get("language") or "en") for chat, r in zip(chats, records, strict=True)]
    asked = iter(tokenizer([text for each in texts for text in each], **PLAIN)["input_ids"])
    answers = iter(answer_ids(tokenizer, [turn["content"] for chat in chats for turn in chat[1::2]]))
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    rows = []
    for each in texts:
        row: list[tuple[Sequence[int], bool]] = []
        for _ in each:
            row += [(next(asked), False), (next(answers), True)]
        row[0] = ([*begin, *row[0][0]], False)
        rows.append(row)
    return pack(rows, max_length, where=where)


@dataclass(frozen=True)
class _Chat:
    """The text of a later turn, and what stands before it where no end token closed the answer."""

    later: Callable[[Template, str, str], str]
    gap: str


def _alpaca(form: Template, asked: str, language: str) -> str:
    whole = form.prompt(asked, language)
    return whole.removeprefix(next(p for p in ALPACA_PREAMBLE.values() if whole.startswith(p)))


def _vicuna(form: Template, asked: str, language: str) -> str:
    return form.prompt(asked, language).removeprefix(form.prompt("", language).partition("USER:")[0])


_CHATS: Mapping[str, _Chat] = MappingProxyType(
    {"alpaca": _Chat(_alpaca, ""), "alpaca_english": _Chat(_alpaca, ""), "vicuna_v1.1": _Chat(_vicuna, " ")}
)
