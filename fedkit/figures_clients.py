"""Distributions over clients: a row for each dataset, one dataset against chance, and single clients with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .figures import GREY, colours
from .seeds import generator

if TYPE_CHECKING:
    import pandas as pd

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
        ax.annotate(
            said,
            (1, foot + 0.5 * _ROW),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=9,
        )
    ax.set_yticks([-row for row in range(len(known))], list(known))
    ax.set(xlabel=x, ylim=(-len(known) + 0.62, 0.8))
    ax.grid(axis="y", visible=False)
    ax.margins(x=0.02)
    low, high = ax.get_xlim()
    ax.set_xlim(low, high + 0.3 * (high - low))  # room for the words at the right


def against_chance(
    ax: Any, values: np.ndarray, dealt: np.ndarray, *, x: str, bins: int = 25, at: float | None = None, note: str = ""
) -> None:
    """A histogram of clients, and as a line that of the same records dealt at random (mean over draws).

    `values`: (clients,); `dealt`: (draws, clients), from `fedkit.analysis.spread.dealt_means`; `at`: a value to mark
    by a dashed line, `note` its words.
    """
    known = values[np.isfinite(values)]
    low, high = min(known.min(), dealt.min()), max(known.max(), dealt.max())
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    colour = colours(["clients"])["clients"]
    real = np.histogram(known, edges)[0]
    chance = np.histogram(dealt, edges)[0] / len(dealt)
    ax.stairs(real, edges, fill=True, color=colour, alpha=0.5)
    ax.stairs(chance, edges, color="black", linewidth=1.4)
    top = max(real.max(), chance.max())
    if at is not None:
        ax.axvline(at, color=GREY, linewidth=1.2, linestyle="--")
        ax.annotate(note, (at, 1.17 * top), xytext=(4, 0), textcoords="offset points", fontsize=9, color=GREY)
    ax.set(xlabel=x, ylabel="clients", ylim=(0, 1.27 * top))
    ax.grid(axis="x", visible=False)
    handles = [(f"{len(known)} clients", colour), ("same pairs, dealt at random", "black")]
    for line, (text, shade) in enumerate(handles):
        ax.annotate(
            text,
            (0.985, 0.9 - 0.075 * line),
            xycoords="axes fraction",
            ha="right",
            va="center",
            fontsize=9,
            color=shade,
            fontweight="bold",
        )


def intervals(ax: Any, frame: pd.DataFrame, *, x: str, at: float | None = None, fmt: str = ".2f") -> None:
    """`figures.dots` of single clients, and a dashed line at a value to compare them with."""
    from .figures import dots

    dots(ax, frame, x=x, fmt=fmt)
    if at is not None:
        ax.axvline(at, color=GREY, linewidth=1.2, linestyle="--", zorder=0)
