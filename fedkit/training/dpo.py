"""Federated preference alignment: TRL's DPOTrainer behind the client loop of `client_base`.

Rafailov et al. 2023, equation 7: for a prompt x, a chosen answer c and a rejected one r,

    loss = -log sigmoid( beta [ (log p(c|x) - log p_ref(c|x)) - (log p(r|x) - log p_ref(r|x)) ] )

The reference is the policy that the run starts from, for all rounds and clients (FedLLM-Bench section 4, OpenFedLLM
section 3.3), so its log-probabilities are computed once for each pair and kept. They come from the model carrying the
initial adapter: with the adapter switched off it would be another policy wherever a run starts from a tuned one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor

from ..common.console import quiet
from ..common.errors import FedkitError
from .client_base import LoraClient, RuleMixin
from .encoding import IGNORED, EncodedPairs, encode_pairs
from .losses import answer_logps
from .models import set_adapter_state
from .reference import ReferenceLogps

with quiet():
    from trl import DPOConfig, DPOTrainer

METRICS = {"margin": "rewards/margins", "accuracy": "rewards/accuracies"}  # ours -> TRL's


class _Trainer(RuleMixin, DPOTrainer):
    answer_only = False

    def _prepare_dataset(self, dataset: Any, *args: Any) -> Any:
        """Pairs come tokenized."""
        return dataset

    def logps(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        """log p of all answers of a batch, chosen ones first: (2 pairs,).

        Where TRL's fused head would score every position, the answer positions alone.
        """
        ids, mask, answer = inputs["input_ids"], inputs["attention_mask"], inputs["completion_mask"]
        if self.answer_only:
            return answer_logps(model, ids, mask, answer)
        labels = ids.masked_fill(answer == 0, IGNORED)
        out = model(input_ids=ids, attention_mask=mask, use_cache=False, labels=labels, fused_lm_head=True)
        return out.log_probs.sum(dim=1)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss, or the same number by `answer_logps`, with TRL's two metrics that are reported."""
        if not self.answer_only or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        chosen, rejected = self.logps(model, inputs).chunk(2)
        rewards = chosen - inputs["ref_chosen_logps"], rejected - inputs["ref_rejected_logps"]
        margins = self.beta * (rewards[0] - rewards[1])
        self._metrics["train"]["rewards/margins"].append(margins.detach().mean().item())
        self._metrics["train"]["rewards/accuracies"].append((margins.detach() > 0).float().mean().item())
        return -torch.nn.functional.logsigmoid(margins).mean()


class DPOClient(LoraClient):
    """Federated DPO on one device. It needs `start`, the adapter of the initial policy, which is the reference.

    A client reports `margin`, the mean over its steps of beta times the bracket above, and `accuracy`, the share of
    pairs with a margin above 0. At the start every margin is 0, which counts as wrong, as in TRL. With `keep` off the
    reference is computed anew for every batch, as a trainer alone would: a measure of what keeping saves.
    """

    task = "dpo"
    reads = (("instruction", "chosen", "rejected"),)
    metrics = tuple(METRICS)
    keeps_start = True
    keep = True

    def _new_trainer(self) -> _Trainer:
        if self.start is None:
            raise FedkitError("DPO needs the adapter that the run starts from, as its reference: pass `start`")
        model = self.loaded.model
        # TRL switches dropout off, as both reference systems have it; `close` switches it on again.
        self._dropout = [(m, m.p) for m in model.modules() if isinstance(m, torch.nn.Dropout)]
        placeholder = Dataset.from_dict({"prompt_ids": [[0]], "chosen_ids": [[0]], "rejected_ids": [[0]]})
        trainer = _Trainer(
            model=model,
            args=DPOConfig(**self._arguments(), beta=self.spec.beta, disable_dropout=True),
            train_dataset=placeholder,
            processing_class=self.loaded.tokenizer,
        )
        # TRL copies the adapter of this moment as its reference and refuses a second copy on the same model. Ours
        # stands in the records, so the copy goes, and TRL is told to read the records.
        model.delete_adapter("ref")
        trainer.precompute_ref_logps = True
        self._reference = ReferenceLogps(self.folder and self.folder / "reference")
        return trainer

    def _encode(self, client: str) -> EncodedPairs:
        return encode_pairs(
            self.loaded.tokenizer,
            self.template,
            self.dataset.records(client),
            self.spec.max_length,
            where=f"client {client} of {self.dataset.name}",
        )

    def batches(self, client: str, round: int) -> list[dict[str, Any]]:
        """The round's pairs in order, each with `ref_chosen_logps` and `ref_rejected_logps`.

        Leaves the initial adapter in the model where a pair was new.
        """
        encoded, order = self.encoded(client), self.order(client, round)
        place = self.dataset.position(client)
        kept = self._reference.get(place, len(encoded))
        if self._fill(kept, encoded, order) and self.keep:
            self._reference.save(place)
        names = ("ref_chosen_logps", "ref_rejected_logps")
        return [encoded[i] | dict(zip(names, kept[i].tolist(), strict=True)) for i in order]

    def _fill(self, kept: np.ndarray, encoded: EncodedPairs, order: list[int]) -> bool:
        """Compute what is missing of the pairs in `order`; whether there was anything.

        In the batches of the training itself, so that in the first step of a run policy and reference agree to the
        bit.
        """
        size, new_pairs = self.spec.batch_size, False
        for start in range(0, len(order), size):
            drawn = dict.fromkeys(order[start : start + size])
            new = [i for i in drawn if not self.keep or np.isnan(kept[i, 0])]
            if not new:
                continue
            if not new_pairs:
                set_adapter_state(self.loaded.model, self.start)
                new_pairs = True
            kept[new] = self.reference_logps([encoded[i] for i in new])
        return new_pairs

    def reference_logps(self, rows: list[dict[str, Any]]) -> np.ndarray:
        """log p of chosen and rejected answers by the model as it stands, in one batch: float32 (pairs, 2)."""
        model, trainer = self.loaded.model, self._trainer
        batch = {k: v.to(self.loaded.device) for k, v in trainer.data_collator(rows).items()}
        was = model.training
        model.eval()
        with torch.no_grad():
            logps = trainer.logps(model, batch)
        model.train(was)
        return torch.stack(logps.chunk(2), dim=1).float().cpu().numpy()

    def _tokens(self, row: dict[str, Any]) -> int:
        return 2 * len(row["prompt_ids"]) + len(row["chosen_ids"]) + len(row["rejected_ids"])

    def _metrics(self, logged: dict[str, float]) -> dict[str, float]:
        return {ours: float(logged[theirs]) for ours, theirs in METRICS.items()}

    def close(self) -> None:
        """As for any client, and the model's dropout is back."""
        super().close()
        for module, p in self._dropout:
            module.p = p
