"""The map of the notebooks, for notebook 00 and for anyone who wants it as a table."""

from __future__ import annotations

from pathlib import Path

from ..session import project_root
from .notebooks import read_notebook


def notebook_map(folder: str | Path | None = None) -> list[dict[str, str]]:
    """One line a notebook: number, its title, minutes in `mini`, its datasets and algorithms (solutions left out)."""
    home = Path(folder) if folder else project_root() / "notebooks"
    return [
        {
            "notebook": n.number,
            "title": n.title,
            "minutes": f"{n.minutes.get('mini', float('nan')):g}",
            "datasets": ", ".join(n.datasets),
            "algorithms": ", ".join(n.algorithms),
        }
        for n in map(read_notebook, sorted(home.glob("[0-9][0-9]_*.ipynb")))
    ]
