"""Distributions over clients: a row for each dataset, one dataset against chance, and single clients with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...common.seeds import generator
from . import GREY, colours

if TYPE_CHECKING:
    import pandas as pd

_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}  # behind words, so that no line runs through them
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
            bbox=_PAPER,
        )
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

    `values`: (clients,); `dealt`: (draws, clients), from `fedkit.analysis.spread.dealt_means`; `edges` of the bins
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
        _mark(ax, at)
        words = {"xytext": (4, 0), "textcoords": "offset points", "fontsize": 9, "color": GREY, "bbox": _PAPER}
        ax.annotate(note, (at, 1.2 * top), **words)
    ax.set(xlabel=x, ylabel="clients", ylim=(0, 1.34 * top))
    ax.grid(axis="x", visible=False)
    said = {"xycoords": "axes fraction", "ha": "right", "va": "center", "fontsize": 9, "fontweight": "bold"}
    ax.annotate(f"{len(known)} clients", (0.985, 0.95), color=colour, bbox=_PAPER, **said)
    ax.annotate("line: the same pairs, dealt at random", (0.985, 0.87), color="black", bbox=_PAPER, **said)


def intervals(ax: Any, frame: pd.DataFrame, *, x: str, at: float | None = None, fmt: str = ".2f") -> None:
    """`figures.dots` of single clients, and a dashed line at a value to compare them with."""
    from . import dots

    dots(ax, frame, x=x, fmt=fmt)
    for words in ax.texts:
        words.set_bbox(_PAPER)
    if at is not None:
        _mark(ax, at)


def controls(frame: pd.DataFrame, *, names: Mapping[str, str]) -> Any:
    """A figure of the table of `fedkit.analysis.views.heterogeneity_table`: a panel a view, a row a dataset.

    The dot is the value; the grey bar the middle 95 % of the iid control. A hollow dot is not above its control
    (p > 0.05). Panels in two columns, each with an axis of its own that shows 0. `names`: dataset -> what to write.
    """
    from . import axes

    parts = [frame[frame["view"] == view] for view in dict.fromkeys(frame["view"])]
    parts.sort(key=len, reverse=True)  # stable: views of all datasets first
    tall = [max(len(part) for part in parts[i : i + 2]) for i in range(0, len(parts), 2)]
    figure, ax = axes(0.27 * sum(tall) + 0.8 * len(tall))
    ax.remove()
    panels = figure.subplots(len(tall), 2, height_ratios=[n + 0.8 for n in tall], squeeze=False).ravel()
    for panel, part in zip(panels, parts, strict=False):
        _controls(panel, part, names)
    for panel in panels[len(parts) :]:
        panel.remove()
    return figure


def _controls(ax: Any, part: pd.DataFrame, names: Mapping[str, str]) -> None:
    colour = colours(["value"])["value"]
    at = np.arange(len(part))
    ax.hlines(at, part["control_low"], part["control_high"], color="#b0b0b0", linewidth=7)
    above = (part["p"] <= 0.05).to_numpy()
    ax.scatter(part["value"], at, s=38, facecolor=[colour if a else "white" for a in above], edgecolor=colour, zorder=3)
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.set_yticks(at, [names.get(name, name) for name in part["dataset"]], fontsize=9)
    ax.set(ylim=(len(part) - 0.4, -0.6))
    ax.set_title(f"{part['view'].iloc[0]}\n{part['measure'].iloc[0]}", fontsize=9)
    ax.tick_params(axis="x", labelsize=8)
    ax.locator_params(axis="x", nbins=5)
    ax.grid(axis="y", visible=False)
    ax.margins(x=0.08)


def _mark(ax: Any, at: float) -> None:
    ax.axvline(at, color=GREY, linewidth=1.2, linestyle="--", zorder=0.5)
