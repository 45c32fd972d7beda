"""One style for every figure: notebook width, colour-blind-safe, labels at the lines instead of legends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 8.0  # inches, the width of a notebook's text
GREY = "#6b6b6b"
PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}  # behind words, so that no line runs through them


def axes(height: float = 4.0, columns: int = 1, rows: int = 1, **options: Any) -> tuple[Any, Any]:
    """A styled figure `WIDTH` inches wide with its axes (an array of them for several columns or rows)."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(
        context="notebook",
        style="whitegrid",
        palette="colorblind",
        rc={
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlelocation": "left",
            "axes.titlesize": 12,
            "figure.dpi": 110,
            "savefig.dpi": 150,
            "svg.fonttype": "none",
        },
    )
    return plt.subplots(rows, columns, figsize=(WIDTH, height), layout="constrained", **options)


def colours(names: Sequence[str]) -> dict[str, Any]:
    """A colour for each name, the same for the same list."""
    import seaborn as sns

    return dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))


def curves(ax: Any, lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, x: str, y: str) -> None:
    """Lines (name -> x values, y values), each named at its right end, names moved apart where they would meet."""
    palette = colours(list(lines))
    for name, (xs, ys) in lines.items():
        ax.plot(xs, ys, color=palette[name], linewidth=1.8)
    ax.set(xlabel=x, ylabel=y)
    ax.figure.canvas.draw()
    low, high = ax.get_ylim()
    gap = 0.055 * (high - low)
    ends = sorted(lines, key=lambda n: lines[n][1][-1])
    at = -np.inf
    for name in ends:
        xs, ys = lines[name]
        at = max(ys[-1], at + gap)
        place = {"xytext": (1.02, at), "textcoords": ("axes fraction", "data"), "annotation_clip": False}
        ax.annotate(name, (xs[-1], ys[-1]), color=palette[name], va="center", fontsize=10, **place)


def bars(ax: Any, names: Sequence[str], values: Sequence[float], *, x: str, colour: Any = None) -> None:
    """Horizontal bars, the first name on top, each with its value at its end."""
    at = np.arange(len(names))
    ax.barh(at, values, color=colour, height=0.7)
    ax.set_yticks(at, names)
    ax.invert_yaxis()
    ax.grid(visible=False)  # the values are written out
    ax.set(xlabel=x)
    for i, value in enumerate(values):
        ax.annotate(f"{value:g}", (value, i), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9)
    ax.margins(x=0.1)


def heatmap(ax: Any, frame: pd.DataFrame, *, label: str, centre: float | None = None) -> None:
    """A table of numbers as colours with the numbers in them; rows and columns named."""
    import seaborn as sns

    sns.heatmap(
        frame,
        ax=ax,
        annot=True,
        fmt=".2f",
        annot_kws={"fontsize": 9},
        cmap="cividis" if centre is None else "vlag",
        center=centre,
        linewidths=0.5,
        cbar_kws={"label": label},
    )
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="y", rotation=0)


def dots(ax: Any, frame: pd.DataFrame, *, x: str, fmt: str = ".2f", at: float | None = None) -> None:
    """One dot a row of `frame` (its index the names) at `value`, with a bar from `low` to `high` where it has them.

    `at`: a value to compare them with, marked by a dashed line.
    """
    rows = np.arange(len(frame))
    colour = colours(["dot"])["dot"]
    ax.hlines(rows, frame["low"], frame["high"], color=colour, linewidth=2.2, alpha=0.6)
    ax.plot(frame["value"], rows, "o", color=colour, markersize=6)
    for i, row in enumerate(frame.itertuples()):
        edge = row.value if np.isnan(row.high) else row.high
        place = {"xytext": (6, 0), "textcoords": "offset points", "va": "center", "fontsize": 9}
        ax.annotate(f"{row.value:{fmt}}", (edge, i), bbox=None if at is None else PAPER, **place)
    ax.set_yticks(rows, list(frame.index))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set(xlabel=x)
    ax.margins(x=0.12)
    if at is not None:
        mark(ax, at)


def mark(ax: Any, at: float) -> None:
    """A dashed upright line at a value, behind all else."""
    ax.axvline(at, color=GREY, linewidth=1.2, linestyle="--", zorder=0.5)


def stacked(ax: Any, frame: pd.DataFrame, palette: Mapping[Any, Any], *, x: str, y: str) -> None:
    """One upright bar a row of `frame`, its parts the columns in their order, each in its colour of `palette`."""
    at, foot = np.arange(len(frame)), np.zeros(len(frame))
    for name in frame.columns:
        part = frame[name].to_numpy(dtype=float)
        ax.bar(at, part, bottom=foot, width=0.9, color=palette[name], linewidth=0, label=name)
        foot += part
    ax.set(xlabel=x, ylabel=y, xlim=(-0.6, len(frame) - 0.4))
    ax.grid(axis="x", visible=False)
    ax.set_xticks([])
