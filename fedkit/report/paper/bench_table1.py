"""FedLLM-Bench, Table 1: its four datasets. Spreads are standard deviations over clients."""

from .table import PaperTable, as_rows

_DATASETS = ("Fed-Aya", "Fed-ChatbotIT", "Fed-WildChat", "Fed-ChatbotPA")
_COLUMNS = (
    "clients",
    "samples",
    "samples a client",
    "samples a client (sd)",
    "instruction length",
    "instruction length (sd)",
    "response length",
    "response length (sd)",
    "quality",
    "quality (sd)",
)

TABLE1 = PaperTable(
    key="table1_datasets",
    paper="FedLLM-Bench",
    place="Table 1",
    title="The four datasets of FedLLM-Bench",
    unit="count; lengths and quality as the paper measures them",
    judge="none",
    metrics=_COLUMNS,
    rows=as_rows(
        _COLUMNS,
        dict(
            zip(
                _DATASETS,
                (
                    "38  25513 671 815 116 199 225 411 0.63 0.28",
                    "237  6166  26  33  68 119 211 176 0.67 0.22",
                    "100 52703 527 477 331 435 506 470 0.79 0.37",
                    "747  9508  13  21  69 124 218 178 0.68 0.21",
                ),
                strict=True,
            )
        ),
    ),
)
