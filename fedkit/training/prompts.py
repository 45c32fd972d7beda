"""Prompt templates, and records as token ids whose labels cover exactly the answer.

A template turns an instruction into the text before the answer. Prompt and answer are tokenized apart and joined, so
the boundary is a token boundary by construction and no merge can run across it. Alpaca: Taori et al. 2023, in the
language of the instruction for the eight languages of Fed-Aya; Vicuna v1.1: Chiang et al. 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.errors import FedkitError, unknown

# Texts longer than the model reads are cut afterwards, without the tokenizer's warning.
PLAIN: Mapping[str, bool] = {"add_special_tokens": False, "verbose": False}
IGNORED = -100  # the label of a token outside the loss, as torch's cross entropy has it

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
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)


def _alpaca(instruction: str, language: str) -> str:
    if language not in ALPACA_PREAMBLE:  # the neighbours of Fed-Aya's languages, and anything else
        language = "en"
    ask, answer = _ALPACA_HEADS[language]
    return f"{ALPACA_PREAMBLE[language]}\n\n### {ask}:\n{instruction}\n\n### {answer}:\n"


def _alpaca_english(instruction: str, language: str) -> str:
    return _alpaca(instruction, "en")


def _vicuna(instruction: str, language: str) -> str:
    return f"{_VICUNA_SYSTEM} USER: {instruction} ASSISTANT: "


@dataclass(frozen=True)
class Template:
    """A named way from an instruction to the text that the answer continues."""

    name: str
    _prompt: Any

    def prompt(self, instruction: str, language: str = "en") -> str:
        """The text before the answer, for an instruction in a language (two-letter code)."""
        return self._prompt(instruction.strip(), language)


TEMPLATES: Mapping[str, Template] = {
    "alpaca": Template("alpaca", _alpaca),
    "alpaca_english": Template("alpaca_english", _alpaca_english),
    "vicuna_v1.1": Template("vicuna_v1.1", _vicuna),
}


def get_template(name: str) -> Template:
    """The template of that name; `FedkitError` names the known ones."""
    if name not in TEMPLATES:
        raise unknown("template", name, TEMPLATES)
    return TEMPLATES[name]


def encode_prompt(tokenizer: Any, prompt: str) -> list[int]:
    """Token ids of a prompt, with the tokenizer's begin token where it has one: (prompt length,)."""
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    return ids if tokenizer.bos_token_id is None else [tokenizer.bos_token_id, *ids]


def prompt_ids(
    tokenizer: Any, template: Template, records: Sequence[Mapping[str, Any]], *, where: str
) -> list[list[int]]:
    """Token ids before the answer of each record (fields `instruction`, optional `language`), all tokenized at once.

    `FedkitError` where there is no record.
    """
    if not records:
        raise FedkitError(f"{where}: it has no records; leave it out of the federation")
    texts = [template.prompt(r["instruction"], r.get("language") or "en") for r in records]
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    return [begin + ids for ids in tokenizer(texts, **PLAIN)["input_ids"]]


def answer_ids(tokenizer: Any, answers: Sequence[str]) -> list[list[int]]:
    """Token ids of answers, each with the end token; `FedkitError` where the tokenizer has none."""
    if tokenizer.eos_token_id is None:
        raise FedkitError("the tokenizer has no end token; set tokenizer.eos_token so that answers can end")
    ids = tokenizer([answer.strip() for answer in answers], **PLAIN)["input_ids"]
    return [each + [tokenizer.eos_token_id] for each in ids]


def no_room(heads: Sequence[Sequence[int]], max_length: int, where: str) -> FedkitError:
    """What is said where every prompt fills `max_length`."""
    return FedkitError(
        f"{where}: max_length {max_length} leaves no answer token in any of {len(heads)} records; "
        f"raise max_length to at least {min(map(len, heads)) + 1} tokens"
    )


@dataclass(frozen=True)
class Encoded:
    """A client's records as token ids, kept flat: record i is `tokens[offsets[i]:offsets[i + 1]]`."""

    tokens: np.ndarray  # int32, all records end to end
    answered: np.ndarray  # bool, as long: the tokens that the loss covers
    offsets: np.ndarray  # int64, (records + 1,)
    skipped: int  # records whose prompt leaves no room for an answer token

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        """`input_ids` and `labels` of one record; labels are `IGNORED` where nothing is answered."""
        part = slice(self.offsets[index], self.offsets[index + 1])
        ids = self.tokens[part]
        return {"input_ids": ids.tolist(), "labels": np.where(self.answered[part], ids, IGNORED).tolist()}

    @property
    def prompt_lengths(self) -> np.ndarray:
        """Tokens before the first answer of each record: int64 (records,)."""
        ends = zip(self.offsets[:-1], self.offsets[1:], strict=True)
        return np.array([self.answered[a:b].argmax() for a, b in ends], dtype=np.int64)


Parts = Sequence[tuple[Sequence[int], bool]]  # pieces of a record in order: token ids, and whether they are an answer


def pack(rows: Sequence[Parts], max_length: int, *, where: str) -> Encoded:
    """Records from their pieces, each cut at `max_length`; a first prompt that fills it skips the record.

    `FedkitError` where no record is left.
    """
    kept = [row for row in rows if len(row[0][0]) < max_length]
    if not kept:
        raise no_room([row[0][0] for row in rows], max_length, where)
    tokens, answered, ends = list[int](), list[bool](), [0]
    for row in kept:
        for ids, answer in row:
            part = ids[: max_length - (len(tokens) - ends[-1])]
            tokens += part
            answered += [answer] * len(part)
        ends.append(len(tokens))
    return Encoded(
        np.array(tokens, dtype=np.int32),
        np.array(answered, dtype=bool),
        np.array(ends, dtype=np.int64),
        len(rows) - len(kept),
    )


def encode(
    tokenizer: Any, template: Template, records: Sequence[Mapping[str, Any]], max_length: int, *, where: str = "records"
) -> Encoded:
    """Tokenize records (fields `instruction`, `response`, optional `language`) to at most `max_length` tokens.

    The answer ends in the end token unless truncation takes it; a prompt that fills `max_length` leaves no answer
    token, so the record is skipped and counted. `FedkitError` where no record at all is left.
    """
    heads = prompt_ids(tokenizer, template, records, where=where)
    answers = answer_ids(tokenizer, [r["response"] for r in records])
    rows = [((head, False), (answer, True)) for head, answer in zip(heads, answers, strict=True)]
    return pack(rows, max_length, where=where)
