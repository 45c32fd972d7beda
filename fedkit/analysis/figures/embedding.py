"""Records in a plane, one colour and one number a client (FedLLM-Bench, Figure 4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import GREY


def islands(ax: Any, points: np.ndarray, owner: np.ndarray) -> None:
    """Points (records, 2) coloured by `owner` (records,), each client's number at the middle of its records.

    Ten colours, each with a marker of its own, so that no two clients differ in colour alone. Axes have no meaning in
    t-SNE and carry no ticks.
    """
    import matplotlib.patheffects as effects
    import seaborn as sns

    palette = sns.color_palette("colorblind", 10)
    clients = np.unique(owner)
    for i, client in enumerate(clients):
        own = points[owner == client]
        colour, marker = palette[i % 10], "osD^vP<X>*"[i % 10]
        ax.scatter(*own.T, s=16, color=colour, marker=marker, alpha=0.75, linewidth=0)
    halo = [effects.withStroke(linewidth=3, foreground="white")]
    for i, (x, y) in enumerate(_apart(ax, points, [_middle(points[owner == c]) for c in clients])):
        ax.text(x, y, str(i + 1), ha="center", va="center", fontsize=11, weight="bold", color="black").set_path_effects(
            halo
        )
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    for side in ax.spines.values():
        side.set(visible=True, color=GREY, linewidth=0.6)


def _middle(own: np.ndarray) -> np.ndarray:
    """Where a client's records lie densest: the record whose nearest third of the client's own is nearest."""
    far = np.sort(np.linalg.norm(own[:, None] - own[None], axis=2), axis=1)
    return own[far[:, : max(2, len(own) // 3)].sum(axis=1).argmin()]


def _apart(ax: Any, points: np.ndarray, places: list[np.ndarray], rounds: int = 200) -> np.ndarray:
    """Places of labels, moved from one another until none is nearer than a label is wide."""
    at = np.array(places, dtype=float)
    span = np.ptp(points, axis=0).max()
    gap, rng = 0.055 * span, np.random.default_rng(0)
    for _ in range(rounds):
        away = at[:, None] - at[None]
        far = np.linalg.norm(away, axis=2) + np.eye(len(at)) * span
        if far.min() >= gap:
            break
        close = far < gap
        push = np.where(close[..., None], (away + 1e-3 * span * rng.normal(size=away.shape)) / far[..., None], 0)
        at += 0.25 * gap * push.sum(axis=1)
    return at
