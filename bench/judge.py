"""How the judge client and the sandbox hold up: `python bench/judge.py`.

Requests to a server on loopback, without faults, with 30 % faults and from the cache; HumanEval's published solutions
in each sandbox that works here. Torch is not imported.
"""

from __future__ import annotations

import itertools
import runpy
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _common import ROOT, Report, Row, Target, conclude, parser

SHARE = 0.3  # of requests that meet a fault
FAULTS = ("too many", "server error", "overloaded", "close", "half a document", "hang")
TIMEOUT = 2.0  # seconds, so that a hang costs little; a real judge gets JudgeSpec's default


def judged(items: int, cache: Path, share: float) -> tuple[Row, list[float | None], int]:
    """One run over all items: its row, the ratings, and how many requests the server saw."""
    from fedkit.common.seeds import generator
    from fedkit.evaluation.judges.client import OpenAIJudge
    from fedkit.evaluation.judges.judge import ref_item
    from fedkit.evaluation.judges.spec import JudgeSpec

    server_class = runpy.run_path(str(ROOT / "tools" / "loopback_judge.py"))["LoopbackServer"]  # not installed

    def fault(messages: Any, attempt: int) -> str | None:
        draw = generator(0, "benchmark fault", round=attempt, client=messages[-1]["content"]).random()
        return FAULTS[int(draw / share * len(FAULTS))] if draw < share else None

    pairs = [ref_item(f"question {n}?", f"answer {n}", f"reference {n}", id=str(n)) for n in range(items)]
    with server_class(lambda messages: "Good. Grade: [[7]]", fault, hang_seconds=2 * TIMEOUT) as server:
        spec = JudgeSpec(
            "loopback", server.base_url, key_variable="", concurrency=32, attempts=20, timeout=TIMEOUT, backoff=0.001
        )
        judge = OpenAIJudge(spec, cache=cache)
        began = time.perf_counter()
        ratings = judge.rate_all(pairs)
        seconds = time.perf_counter() - began
        judge.close()
        seen = sum(server.requests.values())
    row = {"seconds": round(seconds, 2), "items": items, "requests": seen, "each": f"{seconds / items * 1e3:.2f} ms"}
    return row, ratings, seen


def solutions(path: Path, count: int, name: str) -> tuple[Row, int]:
    """HumanEval's published solutions, one at a time, in one kind of sandbox: the row, and how many passed."""
    from fedkit.data.readers import read_file
    from fedkit.evaluation.benchmarks.human_eval import human_eval_pass

    problems = list(itertools.islice(read_file(path), count))
    began = time.perf_counter()
    ends = [human_eval_pass(problem, problem["canonical_solution"], sandbox=name) for problem in problems]
    seconds = time.perf_counter() - began
    each = f"{seconds / len(problems) * 1e3:.1f} ms"
    row = {"work": f"HumanEval solutions, {name}", "seconds": round(seconds, 2), "items": len(problems), "each": each}
    return row, sum(end.passed for end in ends) - len(problems)


def measure(options: Any) -> Report:
    """Three runs of the client and one of each sandbox."""
    from fedkit.evaluation.sandbox import backends

    rows: list[Row] = []
    targets: list[Target] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="fedkit-") as folder:
        faulty = Path(folder) / "faulty.jsonl"
        for what, cache, share in (
            ("requests without faults", Path(folder) / "plain.jsonl", 0.0),
            (f"requests, {SHARE:.0%} faults", faulty, SHARE),
            ("the same from the cache", faulty, SHARE),
        ):
            row, ratings, seen = judged(options.items, cache, share)
            rows.append({"work": what, **row})
        lines = faulty.read_text().count("\n")
    targets.append(Target("items without their rating", sum(r != 7.0 for r in ratings), "at most", 0))
    targets.append(Target("replies kept beyond one an item", lines - options.items, "at most", 0))
    targets.append(Target("requests for what is kept", seen, "at most", 0))
    problems = Path(options.data_dir) / "human_eval" / "HumanEval.jsonl.gz"
    for name in backends.BACKENDS:
        why = "HumanEval is not in --data-dir" if not problems.exists() else backends.fault(name)
        if why is not None:
            notes.append(f"{name} was not measured: {why}.")
            continue
        row, failed = solutions(problems, options.problems, name)
        rows.append(row)
        targets.append(Target(f"published solutions that fail, {name}", -failed, "at most", 0))
    data = {"seconds": {row["work"]: row["seconds"] for row in rows}}
    return Report(rows, {"items": options.items, "at a time": 32}, targets, notes, data)


def main() -> int:
    """About a minute."""
    options = parser(__doc__)
    options.add_argument("--items", type=int, default=1000)
    options.add_argument("--problems", type=int, default=164)
    options.add_argument(
        "--data-dir",
        default=str(ROOT.parent / "shared" / "data"),
        help="holds human_eval/HumanEval.jsonl.gz; else the sandbox is left out",
    )
    given = options.parse_args()
    return conclude("judge", given, lambda: measure(given))


if __name__ == "__main__":
    sys.exit(main())
