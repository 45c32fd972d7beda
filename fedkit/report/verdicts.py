"""Whether a paper's claims hold here, and on the paper's own printed numbers: `claims.csv` of a results folder.

The verdict is by intervals over seeds and questions where a table keeps its answers' scores, and by seeds alone stands
beside it (`evidence`); at least three seeds are asked for. The same rule on the printed table says whether the paper's
own numbers bear its sentence out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..common.errors import FedkitError
from ..common.files import write_text
from ..common.locks import held
from .claims import CLAIMS, Claim
from .evidence import printed_scores, read_scores
from .paper import TABLES, key_of
from .rules import UNDECIDED, Outcome, decide
from .tables import ResultsTable, read_csv

_OWN = ("id", "paper", "place", "claim", "verdict", "evidence")
COLUMNS = (*_OWN, "by_seeds", "printed", "printed_evidence", "note", "profile", "table")  # of claims.csv


@dataclass(frozen=True)
class Verdict:
    """What a claim came to on our table of that name: holds, fails or undecided, and the evidence in a sentence.

    by_seeds: the outcome by seeds alone. printed: what the paper's own numbers say, None where it prints none.
    """

    claim: Claim
    outcome: str
    evidence: str
    by_seeds: str
    printed: Outcome | None
    table: str


def verdict(claim: Claim, table: ResultsTable) -> Verdict:
    """The verdict on a claim by our table; `FedkitError` for a table without values, or a rule that is unknown."""
    if not table.rows:
        raise FedkitError(f"claim {claim.id}: its table has no values; run the notebook that fills it first")
    scores = read_scores(table.by_seed(), table.by_item())
    own, by_seeds = decide(claim.rule, scores), decide(claim.rule, scores.by_seeds())
    return Verdict(claim, own.word, own.evidence, by_seeds.word, printed(claim), table.table)


def printed(claim: Claim) -> Outcome | None:
    """What the claim comes to on the numbers that the paper itself prints; None where it lacks some."""
    outcome = decide(claim.rule, printed_scores(TABLES[claim.table]))
    return None if outcome.word == UNDECIDED else outcome


def verdicts(table: ResultsTable) -> list[Verdict]:
    """The verdicts on all claims that the papers draw from the table that ours repeats."""
    return [verdict(claim, table) for claim in CLAIMS.values() if claim.table == key_of(table.table)]


def write_verdicts(results: str | Path, verdicts: Sequence[Verdict], *, profile: str) -> Path:
    """Put verdicts into `<results>/claims.csv`, a line a claim by id, in place of that claim's line of before.

    Read, changed and put in place under a lock, so that notebooks that run at once lose nothing of each other's.
    """
    import pandas as pd

    path = Path(results) / "claims.csv"
    lines = []
    for v in verdicts:
        own, told = v.claim, v.printed or Outcome("", "")
        sentence = (own.id, own.paper, own.place, own.text, v.outcome, v.evidence, v.by_seeds)
        lines.append((*sentence, told.word, told.evidence, own.note, profile, v.table))
    new = pd.DataFrame(lines, columns=list(COLUMNS))
    with held(path.with_name(".claims.lock"), str(path)):
        if path.exists():
            old = read_csv(path, COLUMNS)
            new = pd.concat([old[~old["id"].isin(new["id"])], new])
        write_text(path, new.sort_values("id", kind="stable").to_csv(index=False))
    return path
