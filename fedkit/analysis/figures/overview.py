"""Figures of clients as a crowd: lengths, quantities, the knob from iid to natural."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...common.console import HEADLESS
from ...common.seeds import generator
from . import colours

if TYPE_CHECKING:
    import pandas as pd

PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}  # behind text that lies on grid lines


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


def knob_curve(ax: Any, curve: pd.DataFrame, *, title: str, colour: Any) -> None:
    """One measure along the knob: the mean of its draws by split, the range as a band, natural apart as a square.

    `curve`: columns split, draw, value, splits in the knob's order, natural last.
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


def knob(show: Callable[[Any], None], stops: Sequence[tuple[str, Any]], *, still: Sequence[Any]) -> None:
    """A slider over stops (name, value) that calls `show(value)`; where nobody can move it, `still` instead."""
    if not live():
        for value in still:
            show(value)
        return
    from ipywidgets import SelectionSlider, interact

    def moved(split: Any) -> None:
        show(split)

    interact(moved, split=SelectionSlider(options=list(stops), value=stops[-1][1], continuous_update=False))


def _plain_log(ax: Any, values: np.ndarray) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_xscale("log")
    decades = np.log10(values.max() / values.min())
    subs = (1.0, 2.0, 5.0) if decades < 2 else (1.0, 3.0) if decades < 3 else (1.0,)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
