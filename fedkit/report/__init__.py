"""The papers' numbers beside ours: what they print, our tables, the verdicts on their claims, and pages.

- `paper`: tables, claims and set-ups as the papers print them (data: paper.toml, paper.csv)
- `tables`: our results as files, each value beside the paper's; `verdicts`: whether a claim holds on them
- `trials`: short runs of several methods beside one another
- `setups`: a profile's hyperparameters beside the papers'; `site`: the page on a results folder
"""

from __future__ import annotations

from ..common.door import front_door

__getattr__, __dir__, __all__ = front_door(
    __name__,
    {
        "paper": ("CLAIMS", "SETTINGS", "TABLE7", "TABLES", "label", "published"),
        "tables": ("ResultsTable", "read_csv", "save_figure"),
        "trials": ("Comparison",),
        "verdicts": ("Verdict", "verdict"),
    },
)
