"""Models in hand: one base model in memory, which handles with an adapter each use in turns."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

from ..common.errors import FedkitError
from ..data.datasets.registry import get_dataset
from ..training.models import Loaded, State, adapter_state, initial_state, load_model, set_adapter_state
from ..training.runs import Run
from ..training.specs import ModelSpec

if TYPE_CHECKING:
    from ..profiles.specs import Profile


class Shared:
    """One base model under LoRA in memory, and the handle whose adapter it carries."""

    def __init__(self, spec: ModelSpec) -> None:
        self.loaded = load_model(spec)
        self.holder: Handle | None = None


@functools.lru_cache(maxsize=1)
def shared(spec: ModelSpec) -> Shared:
    """The model of a spec, loaded once in a process."""
    return Shared(spec)


class Handle(Loaded):
    """A model that knows what it is: base and LoRA (`spec`), template, the dataset that it is about, and an adapter.

    It is loaded when it is first used. All handles of a spec share one base model: `model` puts this handle's adapter
    into it, after keeping for the handle before what its adapter had become. So take `handle.model` anew after another
    handle was used. `FedkitError` where the adapter is of another shape.
    """

    def __init__(self, spec: ModelSpec, state: State | None = None, *, template: str = "alpaca", dataset: str = ""):
        self.spec, self.template, self.dataset = spec, template, dataset
        self._state = state  # None: the untrained adapter of seed 0, which changes nothing

    def __repr__(self) -> str:
        return f"Handle({self.spec.name!r}, template {self.template!r}, dataset {self.dataset!r})"

    @functools.cached_property
    def _shared(self) -> Shared:
        return shared(self.spec)

    @property
    def model(self) -> Any:  # type: ignore[override]
        """The PEFT model with this handle's adapter in it."""
        base = self._shared
        if base.holder is not self:
            if base.holder is not None:
                base.holder._state = adapter_state(base.loaded.model)
            base.holder = None  # should the adapter not fit, nobody's is in it
            set_adapter_state(
                base.loaded.model, initial_state(base.loaded.model, 0) if self._state is None else self._state
            )
            base.holder = self
        return base.loaded.model

    @property
    def tokenizer(self) -> Any:  # type: ignore[override]
        """The base model's tokenizer."""
        return self._shared.loaded.tokenizer

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """Where the model is."""
        return self._shared.loaded.device

    def carried(self) -> State | None:
        """The adapter as it is now, without loading the model for it; None for the untrained one."""
        mine = "_shared" in self.__dict__ and self._shared.holder is self
        return adapter_state(self._shared.loaded.model) if mine else self._state


def handle_of(run: Run) -> Handle:
    """The model of a run with its final adapter."""
    return Handle(run.config.model, run.adapter, template=run.config.train.template, dataset=run.config.dataset)


def handle_for(profile: Profile, model: Run | str | None, adapter: State | None = None) -> Handle:
    """The model of a run, or a profile's for a dataset's name (None: for any), untrained; see `Session.loaded`."""
    if isinstance(model, Run):
        handle = handle_of(model)
    elif model is None:
        handle = Handle(profile.model)
    elif isinstance(model, str):
        spec = profile.dataset(get_dataset(model).name)
        handle = Handle(spec.model or profile.model, template=spec.train.template, dataset=model)
    else:
        raise FedkitError(
            f"a {type(model).__name__} is no model; give a run or a dataset's name, and an adapter as adapter=..."
        )
    if adapter is not None:
        handle = Handle(handle.spec, adapter, template=handle.template, dataset=handle.dataset)
        _ = handle.model  # an adapter that does not fit is told here
    return handle
