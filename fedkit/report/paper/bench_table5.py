"""FedLLM-Bench, Table 5: Fed-ChatbotPA, preference alignment."""

from __future__ import annotations

from ...evaluation.specs import AVERAGE
from .table import PaperTable, as_rows

_COLUMNS = ("MT-Bench-1", "Vicuna", AVERAGE, "AdvBench", "MMLU")  # the average is of the two before it

TABLE5 = PaperTable(
    key="table5_chatbot_pa",
    paper="FedLLM-Bench",
    place="Table 5",
    title="Fed-ChatbotPA: local training and federated methods",
    unit="score 1-10; AdvBench and MMLU in per cent",
    judge="GPT-4 (MT-Bench, Vicuna); refusal phrases (AdvBench)",
    metrics=_COLUMNS,
    rows=as_rows(
        _COLUMNS,
        {
            "Base Model": "3.96 6.31 5.14 9.40 40.41",
            "Local Training": "4.12 6.62 5.37 11.0 38.26",
            "FedAvg": "4.44 7.06 5.75 16.2 39.70",
            "FedProx": "4.44 7.11 5.78 13.8 39.51",
            "SCAFFOLD": "4.53 7.01 5.77 16.0 39.94",
            "FedAvgM": "4.71 6.87 5.79 13.3 39.78",
            "FedYogi": "4.33 6.62 5.48 11.3 40.27",
            "FedAdagrad": "4.40 6.79 5.60 11.0 40.30",
            "FedAdam": "4.31 6.72 5.52 11.8 40.26",
        },
    ),
)
