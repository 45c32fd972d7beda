"""FedLLM-Bench, Table 2: Fed-Aya, eight languages, Ref-GPT4; and what section 4.1 concludes from it."""

from ...evaluation.specs import AVERAGE
from .table import Claim, PaperTable, as_rows

LANGUAGES = ("ar", "en", "es", "fr", "pt", "ru", "te", "zh")
_COLUMNS = (*LANGUAGES, AVERAGE)

TABLE2 = PaperTable(
    key="table2_fed_aya",
    paper="FedLLM-Bench",
    place="Table 2",
    title="Fed-Aya: local training and federated methods, by language",
    unit="score 1-10",
    judge="GPT-4 (Ref-GPT4)",
    metrics=_COLUMNS,
    rows=as_rows(
        _COLUMNS,
        {
            "Local Training (ar)": "2.55 7.55 4.85 5.10 3.95 4.55 1.55 3.35 4.18",
            "Local Training (en)": "2.55 7.20 5.35 4.60 5.35 4.75 1.60 3.55 4.37",
            "Local Training (es)": "1.90 7.80 5.55 5.60 4.50 5.20 1.30 5.05 4.62",
            "Local Training (fr)": "1.85 7.90 4.75 4.20 4.25 5.05 1.30 3.95 4.16",
            "Local Training (pt)": "1.95 5.95 4.20 5.45 3.85 5.15 1.55 3.95 4.01",
            "Local Training (ru)": "1.60 7.80 6.05 4.80 4.00 4.50 1.75 4.90 4.43",
            "Local Training (te)": "2.10 3.70 3.75 3.50 3.05 4.10 1.25 3.60 3.13",
            "Local Training (zh)": "2.30 8.10 5.45 5.80 4.80 4.30 1.60 4.95 4.66",
            "FedAvg": "2.50 8.00 5.50 5.35 4.95 5.65 2.00 5.25 4.90",
            "FedProx": "3.20 7.10 5.90 5.65 4.85 5.20 1.60 5.80 4.92",
            "SCAFFOLD": "2.65 7.75 6.30 5.35 5.00 6.35 1.45 4.90 4.97",
            "FedAvgM": "3.00 7.80 5.35 5.00 5.30 5.65 1.90 5.00 4.86",
            "FedYogi": "2.00 8.45 6.15 4.55 3.85 6.30 1.65 4.93 4.73",
            "FedAdagrad": "2.50 7.85 5.15 5.25 4.45 5.75 1.55 5.50 4.75",
            "FedAdam": "2.40 8.50 5.25 4.70 4.35 5.40 1.90 5.20 4.71",
        },
    ),
)

CLAIMS = (
    Claim(
        id="bench_t2_fl_beats_local",
        paper="FedLLM-Bench",
        place="section 4.1, Table 2, (1)",
        text="most FL methods beat local training on average",
        table=TABLE2.key,
    ),
    Claim(
        id="bench_t2_no_best_everywhere",
        paper="FedLLM-Bench",
        place="section 4.1, Table 2, (2)",
        text="no method is best in every language",
        table=TABLE2.key,
    ),
    Claim(
        id="bench_t2_fedavg_fedprox_lead",
        paper="FedLLM-Bench",
        place="section 4.1, Table 2, (3)",
        text="FedAvg and FedProx are the two most effective methods",
        table=TABLE2.key,
        note="the paper's own Table 2 gives SCAFFOLD the highest average, 4.97",
    ),
)
