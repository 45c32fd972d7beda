"""Prompt templates: an instruction, or a conversation so far, as the text that the answer continues.

Alpaca (Taori et al. 2023) has one instruction and one response, in the language of the instruction for the eight
languages of Fed-Aya; a second turn repeats that pair below the first, its preamble said once. Vicuna v1.1 (Chiang et
al. 2023) is made for conversations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.errors import FedkitError, unknown
from .tokens import text_ids

ALPACA_PREAMBLE: Mapping[str, str] = {
    "en": "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
    "ar": "فيما يلي تعليمات تصف مهمة. اكتب ردا يكمل الطلب بشكل مناسب.",
    "es": "A continuación hay una instrucción que describe una tarea. Escribe una respuesta que la complete bien.",
    "fr": "Voici une instruction qui décrit une tâche. Écris une réponse qui y répond de façon appropriée.",
    "pt": "Abaixo está uma instrução que descreve uma tarefa. Escreva uma resposta que a complete adequadamente.",
    "ru": "Ниже дана инструкция, описывающая задачу. Напишите ответ, который правильно её выполняет.",
    "te": "క్రింద ఒక పనిని వివరించే సూచన ఉంది. ఆ అభ్యర్థనను సరిగ్గా పూర్తి చేసే సమాధానం రాయండి.",
    "zh": "以下是一条描述任务的指令。请写出一个恰当完成该请求的回答。",
}
_ALPACA_HEADS: Mapping[str, tuple[str, str]] = {
    "en": ("Instruction", "Response"),
    "ar": ("التعليمات", "الرد"),
    "es": ("Instrucción", "Respuesta"),
    "fr": ("Instruction", "Réponse"),
    "pt": ("Instrução", "Resposta"),
    "ru": ("Инструкция", "Ответ"),
    "te": ("సూచన", "సమాధానం"),
    "zh": ("指令", "回答"),
}
_VICUNA_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions. "
)


def _alpaca(instruction: str, language: str) -> str:
    ask, answer = _ALPACA_HEADS[language]
    return f"\n\n### {ask}:\n{instruction}\n\n### {answer}:\n"


@dataclass(frozen=True)
class Template:
    """A named way from an instruction, or a conversation, to the text that the answer continues."""

    name: str
    preamble: Mapping[str, str]  # by language, said once; English stands for all others
    turn: Callable[[str, str], str]  # of an instruction in a language
    gap: str = ""  # between an answer and the next turn, where no end token closes the answer

    def prompt(self, instruction: str, language: str = "en") -> str:
        """The text before the answer, for an instruction in a language (two-letter code)."""
        spoken = language if language in self.preamble else "en"
        return self.preamble[spoken] + self.later(instruction, language)

    def later(self, instruction: str, language: str = "en") -> str:
        """The text of a later turn."""
        return self.turn(instruction.strip(), language if language in self.preamble else "en")


TEMPLATES: Mapping[str, Template] = {
    "alpaca": Template("alpaca", ALPACA_PREAMBLE, _alpaca),
    "alpaca_english": Template("alpaca_english", {"en": ALPACA_PREAMBLE["en"]}, _alpaca),
    "vicuna_v1.1": Template("vicuna_v1.1", {"en": _VICUNA_SYSTEM}, lambda text, _: f"USER: {text} ASSISTANT: ", " "),
}


def get_template(name: str) -> Template:
    """The template of that name; `FedkitError` names the known ones."""
    if name not in TEMPLATES:
        raise unknown("template", name, TEMPLATES)
    return TEMPLATES[name]


Prompt = str | tuple[str, ...]  # a text; or those of a conversation, prompts and answers in turns (`conversation`)


def encode_prompt(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Token ids of a prompt as in training, with the tokenizer's begin token where it has one: (prompt length,).

    Each answer of a conversation is closed by the end token, if the tokenizer has one. No text gives a control token.
    """
    ids = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    for place, part in enumerate(text_ids(tokenizer, (prompt,) if isinstance(prompt, str) else prompt)):
        ids += part + end if place % 2 else part
    return ids


Turn = Mapping[str, str]  # role ("user", "assistant") and content, as in Fed-WildChat's conversations


def turn_prompts(template: str | Template, turns: Sequence[Turn], language: str = "en") -> list[str]:
    """The text before each answer of a conversation whose turns alternate and begin with the user's.

    The first is `template.prompt`; each other follows an answer that its end token has closed. `FedkitError` for turns
    in another order or an unknown template.
    """
    form = get_template(template) if isinstance(template, str) else template
    for place, turn in enumerate(turns):
        wanted = ("user", "assistant")[place % 2]
        if turn["role"] != wanted:
            raise FedkitError(f"turn {place} of a conversation is by {turn['role']!r}; turns alternate, so {wanted!r}")
    first, *later = (turn["content"] for turn in turns[::2])
    return [form.prompt(first, language)] + [form.later(each, language) for each in later]


def conversation(
    template: str | Template, turns: Sequence[Turn], language: str = "en", *, gap: bool = False
) -> tuple[str, ...]:
    """The texts before the next answer: prompt, answer, prompt ...; `encode_prompt` closes each answer as in training.

    `turns` begin and end with the user's and alternate. gap: for a tokenizer without end token, a line or a blank
    stands after each answer. `FedkitError` for turns in another order or an unknown template.
    """
    form = get_template(template) if isinstance(template, str) else template
    first, *later = turn_prompts(form, turns, language)
    if len(turns) % 2 == 0:
        raise FedkitError(f"a conversation of {len(turns)} turns does not end with the user's; give what to answer")
    between = form.gap if gap else ""
    answers = (turn["content"].strip() + between for turn in turns[1::2])
    return (first, *(text for pair in zip(answers, later, strict=True) for text in pair))


def conversation_prompt(
    template: str | Template, turns: Sequence[Turn], language: str = "en", *, end: str | None = None
) -> str:
    """What a model reads before the next answer of a conversation, for people; see `conversation` for what it is given.

    For one turn it is `template.prompt`. `end` is the name of the end token that closes each answer (None: a line or a
    blank stands there).
    """
    texts = conversation(template, turns, language, gap=not end)
    return "".join(text + (end or "") if place % 2 else text for place, text in enumerate(texts))
