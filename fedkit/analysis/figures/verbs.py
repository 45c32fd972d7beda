"""Verbs and nouns of instructions as figures: shares by client (Figure 2), two-ring sunbursts (Figures 7, 9-12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .style import WIDTH, axes

if TYPE_CHECKING:
    import pandas as pd

REST = "#d5d5d5"
# Radii of the two rings, the outer edge is 1; the inner ring is the wider one where it alone is named.
_NAMED, _BARE = (0.20, 0.58), (0.16, 0.76)
_LINE = 1.15  # height of a line over the font size


def palette(verbs: Sequence[str]) -> dict[str, Any]:
    """A colour for each verb, for the first ten of them ones that the colour-blind can tell apart, none of them grey.

    Later verbs take the ten again, paler: neighbours differ, and each carries its name.
    """
    import seaborn as sns

    colours = [c for i, c in enumerate(sns.color_palette("colorblind", 10)) if i != 7] + [(0.33, 0.25, 0.20)]
    rounds = [colours, [tuple(0.45 + 0.55 * x for x in c) for c in colours]]
    return {verb: rounds[i // 10 % 2][i % 10] for i, verb in enumerate(verbs)}


def verb_bars(panels: Mapping[str, pd.DataFrame], *, columns: int = 2) -> Any:
    """One panel a dataset, in it one horizontal bar a client, its parts the shares of verbs, all other verbs grey.

    `panels`: title -> frame as `fedkit.analysis.verb_shares` gives it (the last column is the rest). A part
    carries its verb where that fits; all verbs stand below their panel. Clients are numbered in the order of rows.
    """
    rows = max(1, -(-len(panels) // columns))
    figure, first = axes(rows * 4.0)
    first.remove()
    cells = [figure.add_subplot(rows, columns, i + 1) for i in range(len(panels))]
    room = 0.82 * WIDTH * 72 / columns  # points of a bar, about
    for ax, (title, shares) in zip(cells, panels.items(), strict=True):
        _bars(ax, shares, title, room)
    return figure


def _bars(ax: Any, shares: pd.DataFrame, title: str, room: float) -> None:
    from matplotlib.patches import Patch

    *verbs, rest = shares.columns
    colours = {**palette(verbs), rest: REST}
    at, foot = np.arange(len(shares)), np.zeros(len(shares))
    for verb in shares.columns:
        part = shares[verb].to_numpy(dtype=float)
        ax.barh(at, part, left=foot, height=0.82, color=colours[verb], linewidth=0)
        fits = (part * room > _width(verb, 7) + 4) & (verb != rest)
        for i in np.flatnonzero(fits):
            ax.text(foot[i] + part[i] / 2, i, verb, ha="center", va="center", fontsize=7, color=_ink(colours[verb]))
        foot += part
    ax.set_yticks(at, [str(i + 1) for i in at], fontsize=8)
    ax.set(xlim=(0, 1), ylim=(max(len(shares), 1) - 0.4, -0.6), title=title)
    ax.set_ylabel("client", fontsize=9)
    ax.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"], fontsize=8)
    ax.grid(visible=False)
    handles = [Patch(color=colours[verb], label=verb) for verb in shares.columns]
    spacing = {"handlelength": 0.9, "handletextpad": 0.4, "columnspacing": 0.9}
    place = {"loc": "upper center", "bbox_to_anchor": (0.47, -0.09), "ncols": 4}
    ax.legend(handles=handles, frameon=False, fontsize=7.5, **place, **spacing)


def sunburst(ax: Any, pairs: pd.DataFrame, *, title: str = "", fontsize: float = 7.5, nouns: bool = True) -> int:
    """Two rings: verbs inside, outside each verb's nouns; an angle is a share of the records shown.

    `pairs`: columns verb, noun, count, in drawing order (`fedkit.analysis.verb_nouns`). A wedge is named where
    its name fits at `fontsize` points without touching the next one; `nouns=False` names verbs alone. Gives the number
    of wedges that stay without a name, for the caption. An empty frame draws a note.
    """
    _frame(ax, title, fontsize)
    ax.figure.draw_without_rendering()  # places the axes, whose size decides which names fit
    return _rings(ax, pairs, fontsize, nouns)


def _frame(ax: Any, title: str, fontsize: float) -> None:
    ax.set_title(title, fontsize=fontsize + 2, loc="center", pad=3)
    ax.set(xlim=(-1.01, 1.01), ylim=(-1.01, 1.01), aspect="equal")
    ax.axis("off")


def _rings(ax: Any, pairs: pd.DataFrame, fontsize: float, nouns: bool) -> int:
    total = int(pairs["count"].sum())
    if not total:
        ax.text(0, 0, "no verb with a noun", ha="center", va="center", fontsize=fontsize)
        return 0
    scale = ax.get_window_extent().width / ax.figure.dpi * 72 / 2.02
    tints = palette(list(dict.fromkeys(pairs["verb"])))
    inner, middle = _NAMED if nouns else _BARE
    nameless, start = 0, 0.0
    for verb, group in pairs.groupby("verb", sort=False):
        shares = group["count"].to_numpy() / total
        nameless += _wedge(ax, start, shares.sum(), (inner, middle), tints[verb], str(verb), fontsize, scale)
        for i, (noun, share) in enumerate(zip(group["noun"], shares, strict=True)):
            tint = tuple(c + (1 - c) * (0.35 + 0.15 * (i % 2)) for c in tints[verb][:3])
            nameless += _wedge(ax, start, share, (middle, 1.0), tint, noun if nouns else "", fontsize, scale)
            start += share
    return nameless


def sunbursts(
    panels: Mapping[str, pd.DataFrame], *, columns: int = 4, fontsize: float = 7.5, nouns: bool = True
) -> tuple[Any, int]:
    """A grid of sunbursts, `columns` of them in a notebook's width: (figure, number of wedges without a name).

    `panels`: title -> frame; the rest as for `sunburst`.
    """
    rows = max(1, -(-len(panels) // columns))
    figure, first = axes(rows * (WIDTH / columns + 0.22))
    first.remove()
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.02, wspace=0.0, hspace=0.01)
    cells = [figure.add_subplot(rows, columns, i + 1) for i in range(rows * columns)]
    for ax, title in zip(cells, [*panels, *[""] * (len(cells) - len(panels))], strict=True):
        _frame(ax, title, fontsize)
    figure.draw_without_rendering()  # once for all: it places the axes
    return figure, sum(_rings(ax, pairs, fontsize, nouns) for ax, pairs in zip(cells, panels.values(), strict=False))


def _wedge(
    ax: Any,
    start: float,
    share: float,
    radii: tuple[float, float],
    colour: Any,
    name: str,
    fontsize: float,
    scale: float,
) -> int:
    """A part of a ring, clockwise from the top, its name along the radius if that fits; 1 if it stays without one.

    `start` and `share` of the circle; `scale` points on paper for a radius of 1. A name stands at the outer edge of
    the inner ring, where a wedge is widest, and must be no higher than the wedge at the name's inner end.
    """
    from matplotlib.patches import Wedge

    inner, outer = radii
    high = 90 - 360 * start
    low = high - 360 * share
    ax.add_patch(Wedge((0, 0), outer, low, high, width=outer - inner, facecolor=colour, edgecolor="white", lw=0.6))
    length = _width(name, fontsize) / scale if name else 0.0
    room = outer - inner - 0.05
    at = outer - 0.035 - length / 2 if outer < 1 else (inner + outer) / 2
    height = 2 * (at - length / 2) * np.tan(np.pi * min(share, 0.49))
    if not name or length > room or height * scale < _LINE * fontsize:
        return 1
    middle = np.deg2rad((low + high) / 2)
    turn = np.rad2deg(middle) % 360
    turn = turn - 180 if 90 < turn < 270 else turn
    place = {"rotation": turn, "rotation_mode": "anchor", "ha": "center", "va": "center_baseline"}
    ax.text(at * np.cos(middle), at * np.sin(middle), name, fontsize=fontsize, color=_ink(colour), **place)
    return 0


def _width(word: str, fontsize: float) -> float:
    """Points that a word takes on paper."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), word, prop=FontProperties(size=fontsize)).get_extents().width)


def _ink(colour: Any) -> str:
    """Black or white, whichever stands out more on a colour (relative luminance of sRGB)."""
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = float(np.dot([0.2126, 0.7152, 0.0722], linear))
    return "black" if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else "white"
