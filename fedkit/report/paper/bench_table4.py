"""FedLLM-Bench, Table 4: Fed-WildChat, single-turn and multi-turn.

The printed table has both experiments side by side; here each is a table of its own, since both have a column MT-1.
"""

from __future__ import annotations

from .table import PaperTable, as_rows

_JUDGE = "GPT-4 (MT-Bench, Vicuna, Ref-GPT4)"
_SINGLE = ("MT-1", "Vicuna", "Ref")
_MULTI = ("MT-1", "MT-2", "MT-Bench", "Ref")

TABLE4_SINGLE = PaperTable(
    key="table4_wildchat",
    paper="FedLLM-Bench",
    place="Table 4, single-turn",
    title="Fed-WildChat, single-turn: local training and federated methods",
    unit="score 1-10",
    judge=_JUDGE,
    metrics=_SINGLE,
    rows=as_rows(
        _SINGLE,
        {
            "Local Training": "4.15 7.03 4.50",
            "FedAvg": "4.81 7.99 5.88",
            "FedProx": "4.86 7.93 5.74",
            "SCAFFOLD": "4.78 7.93 5.57",
            "FedAvgM": "4.52 8.07 5.85",
            "FedYogi": "4.78 8.04 5.48",
            "FedAdagrad": "4.76 7.76 5.93",
            "FedAdam": "4.54 8.03 5.68",
        },
    ),
)

TABLE4_MULTI = PaperTable(
    key="table4_wildchat_multi",
    paper="FedLLM-Bench",
    place="Table 4, multi-turn",
    title="Fed-WildChat, multi-turn: local training and federated methods",
    unit="score 1-10",
    judge=_JUDGE,
    metrics=_MULTI,
    rows=as_rows(
        _MULTI,
        {
            "Local Training": "3.99 2.56 3.27 4.68",
            "FedAvg": "4.84 3.15 3.99 5.86",
            "FedProx": "4.58 2.92 3.75 5.26",
            "SCAFFOLD": "4.46 3.13 3.79 5.25",
            "FedAvgM": "4.53 2.77 3.65 5.34",
            "FedYogi": "4.59 2.96 3.78 5.05",
            "FedAdagrad": "4.64 3.03 3.84 5.17",
            "FedAdam": "4.63 2.85 3.74 4.96",
        },
    ),
)
