"""What the clients of every task share: one TRL trainer for a whole run, many clients through it.

Building a trainer for each client and round, as the reference systems do, costs more than ten steps of a small model.
Here the trainer is built once; for each client the adapter is written into the model, the optimizer made anew, the
round's rate and the client's number of steps set, and its batches put in. A reused trainer would get two things wrong:
its sampler is made sequential (a trainer keeps the order that it was built with, so the round's order is drawn here),
and loss values are not filtered (a NaN has to be seen).
"""

from __future__ import annotations

import contextlib
import gc
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ..algorithms.aggregators import State
from ..algorithms.base import Algorithm, Broadcast, LocalRule
from ..common.console import quiet
from ..common.seeds import generator, torch_seed
from ..data.federated import FederatedDataset
from . import lora  # noqa: F401 - before transformers' trainer, which imports peft
from .losses import has_plain_head
from .model_checks import check_length
from .models import Loaded, adapter_state, set_adapter_state, trainable
from .prompts import get_template
from .specs import TrainSpec

with quiet():
    from transformers import PrinterCallback, TrainerCallback

CACHED_TOKENS = 4_000_000  # tokens of encoded clients kept in memory, least recently used out first (16 MB)


class RuleMixin:
    """Lets a TRL trainer ask an algorithm's local rule before clipping; the callback asks it after the step."""

    rule: LocalRule | None = None
    parameters_by_name: dict[str, torch.nn.Parameter]

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """One micro-batch; on the last of an accumulation the rule may change the gradients."""
        loss = super().training_step(*args, **kwargs)  # type: ignore[misc]
        if self.rule is not None and self.accelerator.sync_gradients:  # type: ignore[attr-defined]
            with torch.no_grad():
                self.rule.on_gradient(self.parameters_by_name)
        return loss

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: the Trainer would walk over all parameters in every step."""
        return 0

    def _clip_grad_norm(self, model: Any) -> torch.Tensor:
        """Clip the adapter alone: the Trainer's own walks over all of the frozen model in every step."""
        limit = self.args.max_grad_norm  # type: ignore[attr-defined]
        return torch.nn.utils.clip_grad_norm_(self.parameters_by_name.values(), limit)


class _StepRule(TrainerCallback):
    def __init__(self, trainer: RuleMixin) -> None:
        self.trainer = trainer

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.trainer.rule is not None:
            with torch.no_grad():
                self.trainer.rule.on_step(self.trainer.parameters_by_name)


@dataclass(frozen=True)
class ClientResult:
    """A client's local adapter and what its training showed."""

    local: State
    loss: float  # mean over the steps; NaN where training diverged
    steps: int
    tokens: int  # tokens read, prompts included
    skipped: int  # records whose prompt fills max_length
    metrics: dict[str, float] = field(default_factory=dict)  # of the task, by name: means over the steps


@contextlib.contextmanager
def training_mode(model: Any) -> Iterator[None]:
    """Put a model into training mode once: the Trainer does it in every step, 4 % of a step of the embedded model."""
    model.train()
    model.train = lambda mode=True: model
    try:
        yield
    finally:
        del model.train


@contextlib.contextmanager
def frozen_gc() -> Iterator[None]:
    """Move what exists out of the collector's sight: `Trainer.train` ends in a full collection (0.3 s of modules)."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class LoraClient:
    """Federated training of one task on one device: every client of a run trains through this one object.

    `start`: the adapter that the run starts from, which some tasks refer to; `folder`: where a task may keep what it
    computes once, None for memory alone.
    """

    task: ClassVar[str] = ""
    reads: ClassVar[tuple[tuple[str, ...], ...]] = ()  # the columns that it needs; any one of these sets
    metrics: ClassVar[tuple[str, ...]] = ()  # what a client reports beside its loss
    keeps_start: ClassVar[bool] = False  # whether a client needs the initial adapter in later rounds too

    def __init__(
        self,
        loaded: Loaded,
        dataset: FederatedDataset,
        train: TrainSpec,
        *,
        seed: int,
        start: State | None = None,
        folder: Path | None = None,
    ) -> None:
        self.loaded, self.dataset, self.spec, self.seed = loaded, dataset, train, seed
        self.start, self.folder = start, folder
        self.template = get_template(train.template)
        check_length(loaded.model, train.max_length, "max_length")
        self._encoded: OrderedDict[str, Any] = OrderedDict()
        self._parameters = trainable(loaded.model)
        self._unwrapped = loaded.model.get_base_model().__dict__.get("forward")
        self._scratch = tempfile.TemporaryDirectory(prefix="fedkit-")  # the Trainer insists on an output folder
        with torch_seed(seed, "trainer"), _keep_numpy_and_python_state():
            self._trainer = self._build()

    def _build(self) -> Any:
        with quiet():
            trainer = self._new_trainer()
        for p in self._parameters.values():  # over a quantized base TRL casts them to bfloat16, whose grain
            p.data = p.data.float()  # of 2^-8 swallows the steps of a rate of 2e-5
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(_StepRule(trainer))
        trainer.parameters_by_name = self._parameters
        trainer.answer_only = self.loaded.device.type == "cpu" and has_plain_head(self.loaded.model)
        return trainer

    def _new_trainer(self) -> Any:
        """The task's TRL trainer, on a placeholder of its data."""
        raise NotImplementedError

    def _encode(self, client: str) -> Any:
        """A client's records as token ids: `len`, items by place, `tokens` (all of them) and `skipped`."""
        raise NotImplementedError

    def _arguments(self) -> dict[str, Any]:
        """Trainer arguments of all tasks."""
        spec = self.spec
        return {
            "output_dir": self._scratch.name,
            "max_steps": spec.local_steps,
            "per_device_train_batch_size": spec.batch_size,
            "gradient_accumulation_steps": spec.grad_accum,
            "learning_rate": spec.lr_first,
            "lr_scheduler_type": "constant",
            "optim": "adamw_torch",
            "weight_decay": 0.0,
            "max_grad_norm": spec.max_grad_norm,
            "max_length": None,
            "router_aux_loss_coef": 0.0,  # of experts: no part of either paper's loss, and not a sum over tokens
            "train_sampling_strategy": "sequential",
            "remove_unused_columns": False,
            "gradient_checkpointing": self.loaded.spec.gradient_checkpointing,
            "bf16": False,  # the model spec sets the precision; LoRA weights and their gradients stay float32
            "fp16": False,
            "use_cpu": self.loaded.device.type == "cpu",
            "dataloader_pin_memory": self.loaded.device.type == "cuda",
            "logging_strategy": "no",
            "logging_nan_inf_filter": False,
            "save_strategy": "no",
            "eval_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
        }

    def encoded(self, client: str) -> Any:
        """A client's records as token ids; tokenized at its first turn and kept."""
        if client in self._encoded:
            self._encoded.move_to_end(client)
            return self._encoded[client]
        new = self._encode(client)
        self._encoded[client] = new
        while len(self._encoded) > 1 and sum(len(e.tokens) for e in self._encoded.values()) > CACHED_TOKENS:
            self._encoded.popitem(last=False)
        return new

    def steps(self, client: str) -> int:
        """Optimizer steps of a client in one round."""
        size = int(self.dataset.sizes[self.dataset.position(client)])
        return self.spec.steps_of(size, len(self.dataset))

    def order(self, client: str, round: int) -> list[int]:
        """Places of the round's records: whole permutations, one after another, cut to steps x batch x accumulation.

        A client with enough records reads each at most once, as in the reference systems; a smaller one starts over.
        """
        usable = len(self.encoded(client))
        needed = self.steps(client) * self.spec.batch_size * self.spec.grad_accum
        rng = generator(self.seed, "batches", round=round, client=client)
        return np.concatenate([rng.permutation(usable) for _ in range(-(-needed // usable))])[:needed].tolist()

    def batches(self, client: str, round: int) -> list[dict[str, Any]]:
        """The round's records in order (see `order`), as the task's trainer reads them."""
        encoded = self.encoded(client)
        return [encoded[i] for i in self.order(client, round)]

    def train(self, client: str, message: Broadcast, algorithm: Algorithm, client_state: State) -> ClientResult:
        """Local steps of one client from the global adapter, with the algorithm's rule; AdamW made anew."""
        trainer, data = self._trainer, self.batches(client, message.round)
        set_adapter_state(self.loaded.model, message.adapter)
        trainer.rule = algorithm.local_rule(message, client_state, self.loaded.device)
        trainer.train_dataset = data
        trainer.args.learning_rate = message.lr
        trainer.args.max_steps = steps = self.steps(client)
        trainer.optimizer = trainer.lr_scheduler = None
        draw = torch_seed(self.seed, "train", round=message.round, client=client)
        with draw, quiet(), training_mode(self.loaded.model):
            output = trainer.train()
        trainer.optimizer = trainer.lr_scheduler = None
        trainer.rule = None
        return ClientResult(
            local=adapter_state(self.loaded.model),
            loss=float(output.training_loss),
            steps=steps,
            tokens=sum(self._tokens(row) for row in data),
            skipped=self.encoded(client).skipped,
            metrics=self._metrics(output.metrics),
        )

    def _tokens(self, row: dict[str, Any]) -> int:
        """Tokens that the model reads for one row."""
        return len(row["input_ids"])

    def _metrics(self, logged: dict[str, float]) -> dict[str, float]:
        """What a client reports beside its loss, from the trainer's last log line."""
        return {}

    def close(self) -> None:
        """Remove the trainer's scratch folder, and TRL's wrap of `forward` that the next trainer would wrap again."""
        self._scratch.cleanup()
        base = self.loaded.model.get_base_model()
        base.__dict__.pop("forward", None)
        if self._unwrapped is not None:
            base.forward = self._unwrapped


@contextlib.contextmanager
def _keep_numpy_and_python_state() -> Iterator[None]:
    """A TRL trainer's constructor seeds NumPy and `random` globally; put both back."""
    import random

    kept, kept_numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(kept)
        np.random.set_state(kept_numpy)
