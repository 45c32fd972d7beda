"""Drawings of training methods: the clients' drift in the plane, and runs by round beside a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from .style import GREY, colours, curves

if TYPE_CHECKING:
    import pandas as pd

    from ..toy import Played, Toy


def plane(ax: Any, toy: Toy, *, weighting: str = "samples", points: int = 60) -> None:
    """Level lines of F, a cross and a name at each client's optimum, a star at the optimum of F."""
    spots = torch.stack([toy.start, *(c.optimum for c in toy.clients.values())])
    low, high = spots.min(0).values - 0.6, spots.max(0).values + 0.6
    x, y = (torch.linspace(float(a), float(b), points, dtype=spots.dtype) for a, b in zip(low, high, strict=True))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    ax.contour(x, y, toy.loss(grid, weighting), levels=12, colors="#d8d8d8", linewidths=0.8)
    palette = colours(list(toy.clients))
    for k, client in toy.clients.items():
        ax.plot(*client.optimum, "x", color=palette[k], markeredgewidth=2)
        ax.annotate(k, client.optimum, xytext=(6, -4), textcoords="offset points", color=palette[k])
    ax.plot(*toy.optimum(weighting), "*", color="black", markerfacecolor="white", markersize=12, zorder=5)
    ax.set(aspect="equal")
    ax.grid(visible=False)


def drift(ax: Any, toy: Toy, played: Played, *, title: str, weighting: str = "samples") -> None:
    """The plane with the clients' paths of every round (coloured) and the server's points (black)."""
    plane(ax, toy, weighting=weighting)
    palette = colours(list(toy.clients))
    for paths in played.local:
        for k, path in paths.items():
            ax.plot(*path.T, color=palette[k], linewidth=0.8)
    ax.plot(*played.path.T, "k.-", markersize=5, linewidth=0.8)
    ax.set(title=title)


def away(toy: Toy, played: Mapping[str, Played], *, weighting: str = "samples") -> dict[str, tuple[range, list[float]]]:
    """Distance of the server's points to the optimum of F by round, as `curves` takes it."""
    best = toy.optimum(weighting)
    return {name: (range(len(p.path)), (p.path - best).norm(dim=1).tolist()) for name, p in played.items()}


def by_round(panels: Any, losses: pd.DataFrame, *, baseline: str) -> None:
    """Two panels of one column a run, one line a round: the training loss, and how far it lies from the baseline's.

    All runs of a seed draw the same clients and batches, so the difference is that of the methods.
    """
    left, right = panels
    lines = {name: (losses.index, losses[name].tolist()) for name in losses.columns}
    palette = colours(list(lines))
    for name, (x, y) in lines.items():
        left.plot(x, y, color=palette[name], linewidth=1.8)
    left.set(xlabel="round", ylabel="training loss (nats a token)", title="Loss by round")
    right.axhline(0, color=GREY, linewidth=0.8)
    curves(
        right,
        {name: (x, (losses[name] - losses[baseline]).tolist()) for name, (x, _) in lines.items()},
        x="round",
        y=f"loss less that of {baseline}",
    )
    right.set(title="Same clients, same batches")
    for ax in panels:
        ax.xaxis.get_major_locator().set_params(integer=True)
