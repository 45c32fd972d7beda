"""Clients in one figure: as a crowd, a histogram, a row for each dataset, beside chance, or as islands in a plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...common.seeds import generator
from .style import GREY, PAPER, colours, mark

_ROW = 0.62  # height of the tallest bar of a row, rows one apart


def ridges(ax: Any, groups: Mapping[str, np.ndarray], *, x: str, fmt: str = ".2f", bins: int = 40) -> None:
    """One row a dataset, the first on top: a histogram of its clients over a strip of them, mean and sd written out.

    `groups`: name -> one value a client, NaN left out. All rows share their bins; each is scaled to its own tallest
    bar, so rows compare in place and shape, not in height. Dots are jittered upright for the eye alone.
    """
    known = {name: values[np.isfinite(values)] for name, values in groups.items()}
    pooled = np.concatenate(list(known.values()))
    edges = np.linspace(pooled.min(), pooled.max() if np.ptp(pooled) else pooled.min() + 1, bins + 1)
    palette = colours(list(known))
    for row, (name, values) in enumerate(known.items()):
        foot, colour = -float(row), palette[name]
        heights = np.histogram(values, edges)[0]
        heights = _ROW * heights / max(1, heights.max())
        ax.stairs(foot + heights, edges, baseline=foot, fill=True, color=colour, alpha=0.35)
        ax.stairs(foot + heights, edges, baseline=foot, color=colour, linewidth=1.2)
        jitter = generator(0, "figures/jitter", client=name).uniform(-0.24, -0.08, size=len(values))
        ax.plot(values, foot + jitter, ".", color=colour, markersize=3.5, alpha=0.7, markeredgewidth=0)
        ax.plot([values.mean()] * 2, [foot - 0.26, foot + _ROW], color="black", linewidth=1.4)
        said = f"{values.mean():{fmt}} ± {values.std():{fmt}}, {len(values)} clients"
        place = {"xycoords": ("axes fraction", "data"), "xytext": (-2, 0), "textcoords": "offset points"}
        ax.annotate(said, (1, foot + 0.5 * _ROW), ha="right", va="center", fontsize=9, bbox=PAPER, **place)
    ax.set_yticks([-row for row in range(len(known))], list(known))
    ax.set(xlabel=x, ylim=(-len(known) + 0.62, 0.8))
    ax.grid(axis="y", visible=False)
    ax.margins(x=0.02)
    low, high = ax.get_xlim()
    ax.set_xlim(low, high + 0.3 * (high - low))  # room for the words at the right


def against_chance(
    ax: Any,
    values: np.ndarray,
    dealt: np.ndarray,
    *,
    x: str,
    edges: np.ndarray | None = None,
    at: float | None = None,
    note: str = "",
) -> None:
    """A histogram of clients, and as a line that of the same records dealt at random (mean over draws).

    `values`: (clients,); `dealt`: (draws, clients), from `fedkit.analysis.dealt_means`; `edges` of the bins
    (default: 25 bins over all); `at`: a value to mark by a dashed line, `note` its words.
    """
    known = values[np.isfinite(values)]
    if edges is None:
        low, high = min(known.min(), dealt.min()), max(known.max(), dealt.max())
        edges = np.linspace(low, high if high > low else low + 1, 26)
    colour = colours(["clients"])["clients"]
    real = np.histogram(known, edges)[0]
    chance = np.histogram(dealt, edges)[0] / len(dealt)
    ax.stairs(real, edges, fill=True, color=colour, alpha=0.5)
    ax.stairs(chance, edges, color="black", linewidth=1.4)
    top = max(real.max(), chance.max())
    if at is not None:
        mark(ax, at)
        words = {"xytext": (4, 0), "textcoords": "offset points", "fontsize": 9, "color": GREY, "bbox": PAPER}
        ax.annotate(note, (at, 1.2 * top), **words)
    ax.set(xlabel=x, ylabel="clients", ylim=(0, 1.34 * top))
    ax.grid(axis="x", visible=False)
    said = {"xycoords": "axes fraction", "ha": "right", "va": "center", "fontsize": 9, "fontweight": "bold"}
    ax.annotate(f"{len(known)} clients", (0.985, 0.95), color=colour, bbox=PAPER, **said)
    ax.annotate("line: the same pairs, dealt at random", (0.985, 0.87), color="black", bbox=PAPER, **said)


def crowds(ax: Any, values: Mapping[str, np.ndarray], *, x: str, log: bool = False) -> None:
    """A row for each name: one dot a client, moved up and down at random to be seen, and the median with its value.

    `values`: name -> (clients,). `log`: a logarithmic axis, where zeros cannot be drawn and must not occur.
    """
    palette = colours(list(values))
    rng = generator(0, "figures/crowds")
    for at, (name, points) in enumerate(values.items()):
        alpha = float(np.clip(12 / np.sqrt(len(points)), 0.3, 0.8))
        offset = rng.uniform(-0.24, 0.24, len(points))
        ax.plot(points, at + offset, "o", color=palette[name], markersize=3.5, alpha=alpha, markeredgewidth=0)
        middle = float(np.median(points))
        ax.plot([middle, middle], [at - 0.34, at + 0.34], color="black", linewidth=1.6)
        ax.annotate(f"{middle:.0f}", (middle, at - 0.36), ha="center", va="bottom", fontsize=9)
    ax.set_yticks(range(len(values)), list(values))
    ax.set(xlabel=x, ylim=(len(values) - 0.5, -0.65))
    ax.grid(axis="y", visible=False)
    if log:
        _plain_log(ax, np.concatenate([np.asarray(v) for v in values.values()]))


def histogram(ax: Any, sizes: np.ndarray, *, x: str, colour: Any, bins: int = 40) -> None:
    """How many clients hold how much, mean and median marked and named; below the bars a tick for each client, so that
    one client far out is seen beside bars of hundreds. `sizes`: records (clients,)."""
    from matplotlib.ticker import MaxNLocator

    ax.hist(sizes, bins=np.linspace(0, sizes.max(), bins + 1), color=colour, edgecolor="white", linewidth=0.4)
    ax.grid(axis="x", visible=False)
    top = ax.get_ylim()[1]
    ax.plot(sizes, np.full(len(sizes), -0.06 * top), "|", color=colour, markersize=6, alpha=0.8)
    ax.set(xlabel=x, ylabel="clients", ylim=(-0.12 * top, 1.12 * top))
    ax.set_yticks([tick for tick in MaxNLocator(5, integer=True).tick_values(0, top) if tick <= 1.12 * top])
    for value, style in ((float(np.median(sizes)), "-"), (float(sizes.mean()), "--")):
        ax.axvline(value, color="black", linewidth=1, linestyle=style)
    lines = f"median {np.median(sizes):g} (solid)\nmean {sizes.mean():.0f} (dashed)"
    ax.text(0.97, 0.94, lines, transform=ax.transAxes, ha="right", va="top", fontsize=9.5, bbox=PAPER)


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


def _plain_log(ax: Any, values: np.ndarray) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_xscale("log")
    decades = np.log10(values.max() / values.min())
    subs = (1.0, 2.0, 5.0) if decades < 2 else (1.0, 3.0) if decades < 3 else (1.0,)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
