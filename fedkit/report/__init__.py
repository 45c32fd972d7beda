"""The papers' numbers beside ours: what they print, our tables, the verdicts on their claims, and pages.

- `paper`: tables and set-ups as the papers print them (data: paper.toml, paper.csv)
- `tables`: our results as files, each value beside the paper's
- `claims`: the papers' conclusions (data: claims.toml); `evidence`: differences between cells, with intervals;
  `rules`: the words that claims are said in; `verdicts`: whether a claim holds on our table, and on the paper's own
- `cells`: what a notebook shows of data, every text escaped
- `trials`: short runs of several methods beside one another
- `setups`: a profile's hyperparameters beside the papers'; `site`: the page on a results folder
"""

from __future__ import annotations

from ..common.door import front_door

__getattr__, __dir__, __all__ = front_door(
    __name__,
    {
        "cells": ("as_table",),
        "claims": ("CLAIMS", "Claim"),
        "paper": ("SETTINGS", "TABLE7", "TABLES", "label", "published"),
        "tables": ("ResultsTable", "read_csv", "save_figure"),
        "trials": ("Comparison", "gains_over_local", "yardstick_rows"),
        "verdicts": ("Verdict", "printed", "verdict"),
    },
)
