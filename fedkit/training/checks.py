"""What is refused before a run takes its first step, and what keeps a run that went wrong from ending as a success."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..common.errors import FedkitError, unknown
from ..data.federated import FederatedDataset
from ..privacy.base import Method
from .encoding import NoRoomError
from .registry import check_columns
from .specs import WITHOUT_ROOM, TrainSpec

if TYPE_CHECKING:
    from .client_base import LoraClient

# Rates that single precision can work with: Adam divides them by 1 - 0.9 and SCAFFOLD divides by them, and both must
# stay well within 1e-38 to 3e38.
RATES = (1e-30, 1e30)


def check(train: TrainSpec, dataset: FederatedDataset, method: Method) -> None:
    """Refuse settings that cannot run, before anything is written (`FedkitError`)."""
    n = len(dataset)
    for name in ("rounds", "clients_per_round", "local_steps", "batch_size", "grad_accum", "max_length"):
        value = getattr(train, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise FedkitError(f"{name} is {value!r}; it must be a whole number of at least 1")
    for name in ("lr_first", "lr_last", "max_grad_norm", "beta", "dynamic_epochs", "max_update_norm"):
        value = getattr(train, name)
        if name in ("dynamic_epochs", "max_update_norm") and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise FedkitError(f"{name} is {value!r}; it must be a number above 0")
        if not RATES[0] <= value <= RATES[1]:
            raise FedkitError(
                f"{name} is {value!r}, which single precision cannot work with; it must lie between {RATES[0]:g} and"
                f" {RATES[1]:g}"
            )
    if train.without_room not in WITHOUT_ROOM:
        raise unknown("setting of without_room", train.without_room, WITHOUT_ROOM)
    if train.clients_per_round > n:
        raise FedkitError(
            f"a round samples {train.clients_per_round} clients, but {dataset.name} has {n}; "
            "lower clients_per_round or the minimum of records a client needs"
        )
    check_columns(train.task, dataset)
    method.algorithm.check(n, train.clients_per_round)
    method.mechanism.check(n, train.clients_per_round)


def without_room(client: LoraClient, places: Iterable[int]) -> frozenset[int]:
    """Those of the clients, by place, that have no record to train on within `max_length`.

    All are tokenized for it, as they are at their first turn. `FedkitError` where there is one, unless
    `TrainSpec.without_room` says that they are left out, or where no other is left.
    """
    full, others, first = [], 0, None
    for place in places:
        try:
            client.encoded(client.dataset.ids[place].as_py())
            others += 1
        except NoRoomError as error:
            full.append(place)
            first = first or error
    if first is not None and (client.spec.without_room == "refuse" or not others):
        more = f" (and {len(full) - 1} clients more that the run draws)" if len(full) > 1 else ""
        leave = ", or set without_room to 'leave_out'" if others else ""
        raise FedkitError(f"{first}{more}{leave}") from first
    return frozenset(full)


def reason(line: dict[str, Any]) -> str | None:
    """Why a round of history did not count; None for one that did. One to which chance drew nobody counts."""
    if line["dropped"] is not None:
        return f"its result was dropped: {line['dropped']}"
    if line["clients"] and not line["reported"]:
        return f"all of its clients were left out: {line['clients'][0]['left_out']}"
    return None


def check_end(rounds: Sequence[str | None]) -> None:
    """Refuse to call a run finished none of whose last rounds counted (`FedkitError`).

    rounds: the `reason` of each. The last ones are a quarter of all, and at least two where there are as many.
    """
    last = rounds[-max(2, math.ceil(len(rounds) / 4)) :]
    if all(why is not None for why in last):
        raise FedkitError(
            f"none of the last {len(last)} of {len(rounds)} rounds counted (the last: {last[-1]}), so the run is not"
            " taken for a finished one; lower the rates, or bound what a client may change (max_update_norm)"
        )
