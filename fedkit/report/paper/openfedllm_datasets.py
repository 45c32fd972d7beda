"""OpenFedLLM, sections 4.2 to 4.6: its training sets as the experiments use them.

The conference paper leaves its table of the eight datasets (numbers of samples, mean lengths) to the full paper; these
are the numbers that its text prints. Samples are those of all clients together, rounded as printed (20k, 62k ...).
Section 4.4 does not say how many of its four clients train in a round; the medical set is in the full paper only.
"""

from .table import PaperTable, as_rows

_COLUMNS = ("clients", "clients a round", "samples")

OPENFEDLLM_DATASETS = PaperTable(
    key="openfedllm_datasets",
    paper="OpenFedLLM",
    place="sections 4.2 to 4.6",
    title="The training sets of OpenFedLLM and their splits",
    unit="count",
    judge="none",
    metrics=_COLUMNS,
    rows=as_rows(
        _COLUMNS,
        {
            "alpaca_gpt4": "20 2  20000",
            "fingpt": "50 5  10000",
            "domains": " 4 -  20000",
            "ultrafeedback": " 5 2  62000",
            "hh_rlhf": " 5 2 161000",
        },
    ),
)
