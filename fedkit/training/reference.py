"""Log-probabilities of a reference policy, computed once for each pair and kept.

The reference of federated DPO is the policy that the run starts from, so a pair's two numbers never change: 8 bytes a
pair in memory and, so that a resumed run goes on with the very same bits, in the run's folder.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..common.files import PRIVATE, new_file
from .models import GOES_ON


class ReferenceLogps:
    """Reference log-probabilities of clients' pairs, by client: float32 (pairs, 2), chosen and rejected, NaN: not yet.

    A pair's numbers are computed when it is first drawn. A long data set that is never read to its end (HH-RLHF in a
    run of the paper) costs no more than its pairs that are.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._kept: dict[int, np.ndarray] = {}
        for stray in folder.glob(".*.tmp") if folder else ():  # left half written by a kill
            stray.unlink(missing_ok=True)

    def get(self, client: int, pairs: int) -> np.ndarray:
        """The client's table, to be filled in place and then handed to `save`."""
        if client not in self._kept:
            table = self._read(client)
            fits = table is not None and table.shape == (pairs, 2) and table.dtype == np.float32
            self._kept[client] = table if fits else np.full((pairs, 2), np.nan, np.float32)
        return self._kept[client]

    def save(self, client: int) -> None:
        """Write a client's table, whole or not at all."""
        if self.folder is None:
            return
        with new_file(self._path(client), PRIVATE, remedy=GOES_ON) as part, open(part, "wb") as file:
            np.save(file, self._kept[client], allow_pickle=False)

    def _read(self, client: int) -> np.ndarray | None:
        """What is on disk; None where there is nothing, or nothing to be read: it is computed again then."""
        if self.folder is None:
            return None
        try:
            return np.load(self._path(client), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None

    def _path(self, client: int) -> Path:
        return self.folder / f"{client:07d}.npy"  # type: ignore[operator]
