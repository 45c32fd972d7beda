"""FedLLM-Bench, Table 3: Fed-ChatbotIT, five metrics.

The copy of the paper read here has this table as a picture, so its numbers are not here: no row is better than a row
from memory. Columns are those that section 4.1 and 3.4 name.
"""

from __future__ import annotations

from .table import PaperTable

_COLUMNS = ("MT-Bench-1", "Vicuna", "Ref", "MMLU", "HumanEval")

TABLE3 = PaperTable(
    key="table3_chatbot_it",
    paper="FedLLM-Bench",
    place="Table 3",
    title="Fed-ChatbotIT: local training and federated methods (numbers not legible in the copy read here)",
    unit="score 1-10; MMLU and HumanEval in per cent",
    judge="GPT-4 (MT-Bench, Vicuna, Ref-GPT4)",
    metrics=_COLUMNS,
    rows={},
)
