"""lm-evaluation-harness (lm-eval) on a loaded model and on documents in memory; task files are in `tasks/`.

lm-eval makes prompts, metrics and choices; the model behind it is the one in hand, with its adapter. Text is generated
by `fedkit.evaluation.generation`, in batches with a cache, which is what makes hundreds of problems quick on a laptop.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, TextIO

from .base import Item, Subject

Task = dict[str, Any]  # a task's configuration: `load_task`, with task, documents and description put in


def load_task(name: str, **changed: Any) -> Task:
    """The configuration of `tasks/<name>.yaml`, with fields put in its place."""
    import yaml

    text = resources.files(__package__).joinpath("tasks", f"{name}.yaml").read_text(encoding="utf-8")
    return {**yaml.safe_load(text), **changed}


def stock_task(path: str) -> Task:
    """A task of lm-eval's own, e.g. "drop/default.yaml", its functions resolved."""
    import lm_eval.tasks
    from lm_eval.tasks._yaml_loader import load_yaml

    return dict(load_yaml(resources.files(lm_eval.tasks).joinpath(path)))


def run_tasks(
    subject: Subject, tasks: Sequence[tuple[Task, Mapping[str, Sequence[Item]]]]
) -> dict[str, list[dict[str, Any]]]:
    """Run tasks on documents by split: task's name -> one sample a document of `test`, in order.

    A sample has lm-eval's metrics of the document and `said` (what was generated, or the number of the likeliest
    option), and `cut`: the prompt was longer than the model reads, and its beginning was left out.
    """
    from datasets import Dataset, DatasetDict

    from ..generation import answering, merged_adapters

    made, bars = [], sys.stderr  # where the bars of the answers go; all else that lm-eval prints is of no use
    with _quiet():
        from lm_eval import simple_evaluate
        from lm_eval.api.task import ConfigurableTask
        from lm_eval.tasks import TaskManager

        for config, splits in tasks:
            kept = DatasetDict({name: Dataset.from_list(list(docs)) for name, docs in splits.items() if docs})
            made.append(ConfigurableTask(config={**config, "custom_dataset": lambda kept=kept, **_: kept}))
        lm = _language_model()(subject, bars)
        model = subject.loaded.model
        with answering(model), merged_adapters(model), _random_kept():
            # No seeds: lm-eval would set the global ones, and nothing here is drawn.
            found = simple_evaluate(
                model=lm,
                tasks=made,
                task_manager=TaskManager(include_defaults=False),  # lm-eval's 13,000 files take it seconds to read
                bootstrap_iters=0,
                log_samples=True,
                random_seed=None,
                numpy_random_seed=None,
                torch_random_seed=None,
            )
    return {
        name: [_sample(sample, lm) for sample in sorted(samples, key=lambda s: s["doc_id"])]
        for name, samples in found["samples"].items()
    }


def _sample(sample: Mapping[str, Any], lm: Any) -> dict[str, Any]:
    prompt, said = sample["arguments"][0][0], sample["filtered_resps"]
    if isinstance(said[0], list | tuple):  # options: (log-likelihood, is greedy) each
        values = [float(option[0]) for option in said]
        said = values.index(max(values))
    else:
        said = str(said[0])
    metrics = {name: float(sample[name]) for name in sample["metrics"]}
    return {"said": said, "cut": prompt in lm.cut, **metrics}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """lm-eval's remarks and bars for every task are of no use to a reader."""
    from ...common.console import quiet

    log = logging.getLogger("lm_eval")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with quiet(), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        log.setLevel(level)


@contextlib.contextmanager
def _random_kept() -> Iterator[None]:
    """Put Python's global random state back: lm-eval shuffles with it."""
    import random

    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


@cache
def _language_model() -> type:
    """HFLM on a model in hand; made at the first use, since lm-eval takes seconds to import."""
    from lm_eval.models.huggingface import HFLM

    from ...training.prompts import encode_prompt
    from ..generation import generate

    class LoadedModel(HFLM):
        """The loaded model; prompts begin with the begin token, as in training; `cut` holds those too long for it."""

        def __init__(self, subject: Subject, bars: TextIO) -> None:
            loaded = subject.loaded
            super().__init__(
                pretrained=loaded.model,
                tokenizer=loaded.tokenizer,
                device=str(loaded.device),
                batch_size=subject.evaluation.batch_size,
                max_length=getattr(loaded.model.config, "max_position_embeddings", None),
            )
            self.subject, self.bars = subject, bars
            self.cut: set[str] = set()

        def tok_encode(self, string: str, **options: Any) -> Any:
            return self.tokenizer(string, add_special_tokens=False)["input_ids"]

        def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
            """Prompt and option tokenized apart, as prompts and answers are in training; lm-eval's own method would
            move the blanks that a template ends in to the option. The blank that a task puts between them
            (`target_delimiter`) is the option's already."""
            return encode_prompt(self.tokenizer, context), self.tok_encode(continuation)

        def loglikelihood(self, requests: list[Any], **options: Any) -> Any:
            for request in requests:
                context, continuation = request.args
                whole = sum(map(len, self._encode_pair(context, continuation)))
                if whole > self.max_length + 1:
                    self.cut.add(context)
            with contextlib.redirect_stderr(self.bars):
                return super().loglikelihood(requests, disable_tqdm=not self.subject.progress)

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            spec, texts = self.subject.evaluation, [""] * len(requests)
            groups: dict[int, list[int]] = {}
            for i, request in enumerate(requests):
                limit = min(request.args[1].get("max_gen_toks", spec.max_new_tokens), spec.max_new_tokens)
                groups.setdefault(limit, []).append(i)
            for limit, places in groups.items():
                prompts = [requests[i].args[0] for i in places]
                room = self.max_length - limit
                self.cut.update(p for p in prompts if len(encode_prompt(self.tokenizer, p)) > room)
                with _no_warnings(), contextlib.redirect_stderr(self.bars):
                    said = generate(
                        self.model,
                        self.tokenizer,
                        prompts,
                        max_new_tokens=limit,
                        batch_size=spec.batch_size,
                        progress=self.subject.progress,
                        merge=False,  # it is done around the whole run
                    )
                for i, text in zip(places, said, strict=True):
                    for stop in requests[i].args[1].get("until", ()):
                        text = text.partition(stop)[0]
                    texts[i] = text.strip()
            return texts

    return LoadedModel


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cut prompts are counted and said in the score
        yield
