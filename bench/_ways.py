"""Three ways to take the same local steps: fedkit's simulation, a bare torch loop, a fresh trainer for each client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any


class Fedkit:
    """A running simulation whose rounds can be taken one at a time."""

    def __init__(self, folder: Path, batch_size: int, clients: int, steps: int, rounds: int) -> None:
        from _federation import build

        from fedkit.algorithms.registry import make_algorithm
        from fedkit.common import console
        from fedkit.common.seeds import generator
        from fedkit.privacy.base import Method
        from fedkit.profiles import PROFILES
        from fedkit.training.models import load_model
        from fedkit.training.runs import RunConfig
        from fedkit.training.simulation import Simulation

        profile = PROFILES["mini"]
        data = build("fed_aya", profile).dataset
        chosen = generator(0, "benchmark clients").choice(len(data), clients, replace=False)
        self.data = data.select(chosen.tolist())
        train = profile.dataset("fed_aya").train
        train = replace(train, rounds=rounds, clients_per_round=clients, local_steps=steps, batch_size=batch_size)
        self.config = RunConfig(data.name, "benchmark", "fedavg", profile.model, train)
        loaded = load_model(profile.model)
        self.simulation = Simulation(self.config, self.data, Method(make_algorithm("fedavg")), folder, loaded)
        self.bar = console.progress(disable=True)

    def round(self, number: int, *, cold: bool = False) -> None:
        """One whole round; a round may be taken again, and then has the same clients and batches."""
        if cold:
            self.simulation.client._encoded.clear()
        self.simulation.one_round(number, self.bar)

    def records(self, number: int) -> list[list[dict[str, list[int]]]]:
        """The token ids and labels that each client reads in a round, in order."""
        return [self.simulation.client.batches(client, number) for client in self.data.clients]

    def collated(self, records: list[list[dict[str, list[int]]]]) -> list[list[dict[str, Any]]]:
        """Each client's batches as the trainer's own collator makes them."""
        collate, size = self.simulation.client._trainer.data_collator, self.config.train.batch_size
        return [[collate(own[i : i + size]) for i in range(0, len(own), size)] for own in records]

    def mean(self, states: list[dict[str, Any]]) -> dict[str, Any]:
        """The average of the clients' adapters by their records, as FedAvg takes it."""
        total = float(self.data.sizes.sum())
        return {
            name: sum(s[name] * (float(n) / total) for s, n in zip(states, self.data.sizes, strict=True))
            for name in states[0]
        }


class Bare:
    """What a client does, in a dozen lines of torch: AdamW made anew, gradients clipped, nothing else."""

    def __init__(self, config: Any, loss: Callable[[Any, dict[str, Any]], Any]) -> None:
        from fedkit.training.models import load_model, trainable

        self.model = load_model(config.model).model
        self.parameters = list(trainable(self.model).values())
        self.clip, self.loss = config.train.max_grad_norm, loss

    def round(self, start: dict[str, Any], batches: list[list[dict[str, Any]]], lr: float) -> list[dict[str, Any]]:
        """The adapter of each client after its steps from `start`."""
        import torch

        from fedkit.training.models import adapter_state, set_adapter_state

        states = []
        for own in batches:
            set_adapter_state(self.model, start)
            optimizer = torch.optim.AdamW(self.parameters, lr=lr, weight_decay=0.0)
            self.model.train()
            for batch in own:
                optimizer.zero_grad()
                self.loss(self.model, batch).backward()
                torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
                optimizer.step()
            states.append(adapter_state(self.model))
        return states


def answer_only(model: Any, batch: dict[str, Any]) -> Any:
    """Mean negative log-likelihood of the answer tokens, projecting nothing else."""
    from fedkit.training.losses import answer_nll

    nll, tokens = answer_nll(model, batch["input_ids"], batch["attention_mask"], batch["labels"])
    return nll / tokens


def every_position(model: Any, batch: dict[str, Any]) -> Any:
    """The same number from logits of the whole batch, as `model(labels=...)` computes it."""
    return model(**batch, use_cache=False).loss


class Fresh:
    """The reference systems' client: data set, trainer and tokenization made anew in every round."""

    def __init__(self, config: Any, folder: Path) -> None:
        from fedkit.training.models import load_model

        self.loaded, self.train, self.folder = load_model(config.model), config.train, folder

    def texts(self, records: list[list[dict[str, list[int]]]]) -> list[list[dict[str, str]]]:
        """The very records, as the texts that they came from."""
        from fedkit.training.encoding import IGNORED

        def text(ids: list[int]) -> str:
            return self.loaded.tokenizer.decode(ids, skip_special_tokens=True)

        texts = []
        for own in records:
            prompts = [r["labels"].count(IGNORED) for r in own]
            parts = [(r["input_ids"][:n], r["input_ids"][n:]) for r, n in zip(own, prompts, strict=True)]
            texts.append([{"prompt": text(before), "completion": text(after)} for before, after in parts])
        return texts

    def round(self, start: dict[str, Any], texts: list[list[dict[str, str]]], lr: float) -> list[dict[str, Any]]:
        """The adapter of each client after its steps from `start`."""
        from datasets import Dataset
        from transformers import PrinterCallback
        from trl import SFTConfig, SFTTrainer

        from fedkit.common.console import quiet
        from fedkit.training.models import adapter_state, set_adapter_state

        states = []
        for own in texts:
            set_adapter_state(self.loaded.model, start)
            with quiet():
                config = SFTConfig(
                    output_dir=str(self.folder),
                    max_steps=self.train.local_steps,
                    per_device_train_batch_size=self.train.batch_size,
                    learning_rate=lr,
                    lr_scheduler_type="constant",
                    optim="adamw_torch",
                    max_grad_norm=self.train.max_grad_norm,
                    max_length=self.train.max_length,
                    train_sampling_strategy="sequential",
                    gradient_checkpointing=False,
                    bf16=False,
                    use_cpu=True,
                    dataloader_pin_memory=False,
                    logging_strategy="no",
                    save_strategy="no",
                    report_to="none",
                    disable_tqdm=True,
                )
                trainer = SFTTrainer(
                    model=self.loaded.model,
                    args=config,
                    train_dataset=Dataset.from_list(own),
                    processing_class=self.loaded.tokenizer,
                )
                trainer.remove_callback(PrinterCallback)
                trainer.train()
            states.append(adapter_state(self.loaded.model))
            self.loaded.model.get_base_model().__dict__.pop("forward", None)  # TRL's wrap, else wrapped once more
        return states
