"""A conversation as one prompt, in the form of the template that a model was trained with.

Vicuna v1.1 (Chiang et al. 2023) is made for conversations. Alpaca (Taori et al. 2023) has one instruction and one
response; a second turn repeats that pair below the first, its preamble said once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from .errors import FedkitError, unknown
from .prompts import ALPACA_PREAMBLE, Template, get_template

Turn = Mapping[str, str]  # role ("user", "assistant") and content, as in Fed-WildChat's conversations


def conversation_prompt(
    template: str | Template, turns: Sequence[Turn], language: str = "en", *, end: str | None = None
) -> str:
    """The text before the next answer. `turns` begin and end with the user's and alternate.

    For one turn it is `template.prompt`. `end` is the tokenizer's end token, which closed each answer in training
    (None: a line or a blank stands between turns). `FedkitError` for turns in another order or an unknown template.
    """
    form = get_template(template) if isinstance(template, str) else template
    if form.name not in _NEXT:
        raise unknown("template for conversations", form.name, _NEXT)
    for place, turn in enumerate(turns):
        wanted = ("user", "assistant")[place % 2]
        if turn["role"] != wanted:
            raise FedkitError(f"turn {place} of a conversation is by {turn['role']!r}; turns alternate, so {wanted!r}")
    if len(turns) % 2 == 0:
        raise FedkitError(f"a conversation of {len(turns)} turns does not end with the user's; give what to answer")
    text = form.prompt(turns[0]["content"], language)
    for answer, asked in zip(turns[1::2], turns[2::2], strict=True):
        text += answer["content"].strip() + _NEXT[form.name](form, asked["content"], language, end or "")
    return text


def _alpaca(form: Template, asked: str, language: str, end: str) -> str:
    whole = form.prompt(asked, language)
    preamble = next(p for p in ALPACA_PREAMBLE.values() if whole.startswith(p))
    return f"{end}{whole.removeprefix(preamble)}"


def _vicuna(form: Template, asked: str, language: str, end: str) -> str:
    system = form.prompt("", language).partition("USER:")[0]
    return f"{end or ' '}{form.prompt(asked, language).removeprefix(system)}"


_NEXT: Mapping[str, Callable[[Template, str, str, str], str]] = MappingProxyType(
    {"alpaca": _alpaca, "alpaca_english": _alpaca, "vicuna_v1.1": _vicuna}
)
