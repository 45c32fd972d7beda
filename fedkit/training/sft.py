"""Federated instruction tuning: TRL's SFTTrainer behind the client loop of `client_base`.

One thing that a reused SFTTrainer would get wrong is handled here: its data set must already hold `labels` (else the
loss covers the prompt too).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from datasets import Dataset

from ..common.console import quiet
from .client_base import LoraClient, RuleMixin
from .encoding import Encoded, encode, encode_conversations
from .losses import answer_nll

with quiet():
    from trl import SFTConfig, SFTTrainer


# How records become token ids, by the columns that they have: one exchange, or a conversation.
ENCODERS: Mapping[tuple[str, ...], Callable[..., Encoded]] = MappingProxyType(
    {("instruction", "response"): encode, ("conversation",): encode_conversations}
)


class _Trainer(RuleMixin, SFTTrainer):
    answer_only = False

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss; where its fused head would score every position, the answer positions alone."""
        if not self.answer_only or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        nll, tokens = answer_nll(model, inputs["input_ids"], inputs["attention_mask"], inputs["labels"])
        return nll / (tokens if num_items_in_batch is None else num_items_in_batch)


class SFTClient(LoraClient):
    """Federated instruction tuning on one device: every client of a run trains through this one object."""

    task = "sft"
    reads = tuple(ENCODERS)

    def _new_trainer(self) -> _Trainer:
        placeholder = Dataset.from_dict({"input_ids": [[0, 0]], "labels": [[0, 0]]})
        config = SFTConfig(**self._arguments(), dataset_kwargs={"skip_prepare_dataset": True})
        return _Trainer(
            model=self.loaded.model, args=config, train_dataset=placeholder, processing_class=self.loaded.tokenizer
        )

    def _encode(self, client: str) -> Encoded:
        columns = set(self.dataset.table.column_names)
        encoder = next(encoder for needed, encoder in ENCODERS.items() if columns.issuperset(needed))
        return encoder(
            self.loaded.tokenizer,
            self.template,
            self.dataset.records(client),
            self.spec.max_length,
            where=f"client {client} of {self.dataset.name}",
        )
