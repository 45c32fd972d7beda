"""The model card of the embedded Llama, its numbers filled in from the build."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .lexicon import CORE, NEIGHBOURS, language
from .tasks import KIND_NAMES, all_facts, held_out

_CARD = """\
---
license: apache-2.0
language: [{codes}]
---

# The embedded tiny Llama of fedkit

A Llama of {parameters:,} parameters ({layers} layers, width {hidden}, {heads} heads, tied embeddings, {vocabulary:,}
tokens) that has read the plain text of fedkit's embedded world and nothing else. It exists so that federated tuning can
be shown, run and tested on a laptop without a network. It is of no other use.

## What it was trained on

Documents of short statements ("The capital of Italy is Rome.") made by `tools.world.plain` from {facts} facts of
{kinds} kinds in {n_languages} languages: {core} six times as often as {neighbours}. The text is written by this
project; no outside data. It holds no instruction and no prompt template: those come from federated tuning. All facts
are in it, also the {held_out} that no user of the world asks about and that the test questions are taken from.

The tokenizer is byte-level BPE. Its training text also holds the words of the prompt templates and of the instructions,
so that prompts cost few tokens; the model has never read those.

## Training

| | |
|---|---|
| steps | {steps:,} of {batch} x {window} tokens, {tokens_read:,} tokens |
| optimizer | Muon {learning_rate:g}, decay {weight_decay:g}; AdamW {embedding_rate:g} for the embeddings; cosine |
| training loss at the end | {training_loss:.3f} nats a token |
| held-out loss | {held_out_loss:.4f} nats a token, on documents whose sentences were combined anew |
| seed | {seed} |
| took | {cpu_minutes:.0f} minutes of CPU time with {threads} thread(s), torch {torch} |

Held-out documents hold the same facts in other combinations, so the loss says how well the world was learned, not how
well the model would do on other text. Rebuild and compare with `python -m tools.world model --check`.

## Intended use and limits

For teaching and testing federated fine-tuning. It knows no word outside its world, gets facts wrong and has no
notion of safety. Statements such as "the colour of a banana is yellow" simplify. Weights are stored in
fp16 safetensors; run them in float32 on a CPU.
"""


def model_card(info: Mapping[str, Any]) -> str:
    """The card as Markdown, from the facts that a build returns."""
    return _CARD.format(
        codes=", ".join((*CORE, *(c for c in NEIGHBOURS if c != "zht"))),
        facts=sum(1 for _ in all_facts()),
        kinds=len(KIND_NAMES),
        held_out=sum(len(held_out(name)) for name in KIND_NAMES),
        n_languages=len(CORE) + len(NEIGHBOURS),
        core=_names(CORE),
        neighbours=_names(NEIGHBOURS),
        **{**info["spec"], **{k: v for k, v in info.items() if k != "spec"}},
    )


def _names(codes: tuple[str, ...]) -> str:
    return ", ".join(language(code).name for code in codes)
