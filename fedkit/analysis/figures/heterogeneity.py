"""Figures of heterogeneity: numbers beside their iid controls, and from iid over Dirichlet to the natural split."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...common.console import HEADLESS
from .style import GREY, PAPER, axes, colours

if TYPE_CHECKING:
    import pandas as pd


def controls(frame: pd.DataFrame, *, names: Mapping[str, str]) -> Any:
    """A figure of the table of `fedkit.analysis.heterogeneity_table`: a panel a view, a row a dataset.

    The dot is the value; the grey bar the middle 95 % of the iid control. A hollow dot is not above its control
    (p > 0.05). Panels in two columns, each with an axis of its own that shows 0. `names`: dataset -> what to write.
    """
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


def split_curve(ax: Any, curve: pd.DataFrame, *, title: str, colour: Any) -> None:
    """One measure from iid to natural: the mean of its draws by split, the range as a band, natural apart as a square.

    `curve`: columns split, draw, value, splits in order, natural last.
    """
    by = curve.groupby("split", sort=False)["value"].agg(["mean", "min", "max"])
    at = np.arange(len(by))
    ax.fill_between(at[:-1], by["min"][:-1], by["max"][:-1], color=colour, alpha=0.25, linewidth=0)
    ax.plot(at[:-1], by["mean"][:-1], "o-", color=colour, linewidth=1.8, markersize=5, clip_on=False)
    natural = float(by["mean"].iloc[-1])
    ax.axhline(natural, color="black", linewidth=0.8, linestyle=":")
    ax.plot(at[-1:], [natural], "s", color="black", markersize=7)
    note = ax.annotate(f"{natural:.2f}", (at[-1], natural), xytext=(0, 7), textcoords="offset points", ha="center")
    note.set(fontsize=9, bbox=PAPER)
    ax.set_xticks(at, list(by.index))
    ax.set(title=title, ylim=(0, 1.2 * float(by["max"].max())))
    ax.grid(axis="x", visible=False)


def live() -> bool:
    """Whether a reader is there to move a slider: a notebook's kernel with ipywidgets, not run by reproduce.py."""
    from importlib.util import find_spec

    if os.environ.get(HEADLESS) or find_spec("ipywidgets") is None or find_spec("IPython") is None:
        return False
    from IPython import get_ipython

    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def slider(show: Callable[[Any], None], stops: Sequence[tuple[str, Any]], *, still: Sequence[Any]) -> None:
    """A slider over stops (name, value) that calls `show(value)`; where nobody can move it, `still` instead."""
    if not live():
        for value in still:
            show(value)
        return
    from ipywidgets import SelectionSlider, interact

    def moved(split: Any) -> None:
        show(split)

    interact(moved, split=SelectionSlider(options=list(stops), value=stops[-1][1], continuous_update=False))
