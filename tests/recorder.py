"""Writes down what fedkit does, as plain files, to prove that a large change of the code loses nothing.

Record before the change with the old code, after it with the new, and compare:

    PYTHONPATH=. python tests/recorder.py record OUT_DIR [--only PART ...]
    python tests/recorder.py compare A_DIR B_DIR

`record` writes OUT_DIR/<part>.json: data, training runs, resumed runs, scores, ratings, plans, public names, and the
tables and figures of all notebooks (profiles smoke and mini). `compare` prints every difference of two such folders and
exits with 1 if there is any. Adapters, histories and files are kept to the last bit, scores to six decimals.

What calls fedkit is in `recorder_tools.py`: a change of the interface changes that file, and no name of what is
written. Left out, since it is not the same twice: seconds, memory, versions, commit, hashes of source files; how often
a judge is asked again (a busy machine times out more often; replies do not depend on it); what notebooks
print.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recorder_tools import record_datasets, record_ratings, record_resume, record_runs, record_scores, short_hash

import fedkit

ROOT = Path(__file__).resolve().parents[1]
os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "COLUMNS": "100"}


def reproduce(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "reproduce.py", *words], cwd=ROOT, capture_output=True, text=True)


def record_plan() -> dict[str, Any]:
    calls = [["--help"], ["--list"], *(["--plan", "--profile", p] for p in ("smoke", "mini", "course", "paper"))]
    calls += [["--plan", "--profile", "paper", "--only", "41", "--seeds", "0", "1", "--offline"]]
    nowhere = str(Path(tempfile.gettempdir()) / "recorder-no-such-folder")
    done = {" ".join(words): reproduce(*words, "--results", nowhere) for words in calls}
    return {key: {"code": one.returncode, "lines": (one.stdout + one.stderr).split("\n")} for key, one in done.items()}


def record_names() -> dict[str, Any]:
    """Public top-level functions, classes and constants: name -> modules; and what `import fedkit` offers."""
    names: dict[str, list[str]] = {}
    for path in sorted((ROOT / "fedkit").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            assigned = isinstance(node, ast.Assign | ast.AnnAssign)
            stored = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
            for name in [node.name] if hasattr(node, "name") else stored * assigned:
                if not name.startswith("_") and module not in names.setdefault(name, []):
                    names[name].append(module)
    return {"names": names, "package": sorted(fedkit.__all__)}


def record_notebooks(results: Path) -> dict[str, Any]:
    """All notebooks in smoke, run anew: status, tables, claims, views and figures by content."""
    shutil.rmtree(results, ignore_errors=True)
    code = reproduce("--profile", "smoke", "--results", str(results)).returncode
    folder = results / "smoke"
    status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
    facts: dict[str, Any] = {"code": code, "status": {one["number"]: one["status"] for one in status}}
    for path in sorted([*(folder / "tables").iterdir(), folder / "claims.csv"]):
        facts[path.name] = path.read_text(encoding="utf-8").split("\n")
    for path in (folder / "views").glob("*.json"):
        facts[f"views/{path.name}"] = json.loads(path.read_text(encoding="utf-8"))["data"]
    figures = {path.name: path.read_bytes() for path in sorted((folder / "figures").iterdir())}
    return {**facts, "figures": {name: short_hash(b) for name, b in figures.items()}}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every number and text of nested data with the way to it."""
    if isinstance(value, dict | list) and value:
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, f"{path}/{key}")
    else:
        yield path, value


def compare(old: Path, new: Path) -> int:
    """Print the differences; how many there are."""
    count = 0
    for part in sorted({path.stem for folder in (old, new) for path in folder.glob("*.json")}):
        files = [folder / f"{part}.json" for folder in (old, new)]
        # A part that one folder lacks is one difference, not thousands.
        whole = all(file.is_file() for file in files)
        sides = [dict(leaves(json.loads(f.read_text("utf-8")) if whole else f.is_file())) for f in files]
        for key in dict.fromkeys([*sides[0], *sides[1]]):
            texts = [repr(side[key]) if key in side else "(absent)" for side in sides]
            if texts[0] != texts[1]:
                count += 1
                print(f"{part} {key}: {' -> '.join(t if len(t) <= 100 else f'{t[:97]}...' for t in texts)}")
    print(f"{count} differences")
    return count


_ALL = (record_names, record_plan, record_ratings, record_resume, record_datasets, record_runs, record_scores)
PARTS = {one.__name__.removeprefix("record_"): one for one in _ALL}
NOTEBOOKS = "notebooks"  # last, and slow


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("record", "compare"))
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--only", nargs="+", choices=(*PARTS, NOTEBOOKS), default=[*PARTS, NOTEBOOKS], metavar="PART")
    given = parser.parse_args()
    if len(given.folders) != (1 if given.command == "record" else 2):
        parser.error("record takes one folder, compare two")
    if given.command == "compare":
        return min(compare(*given.folders), 1)
    assert Path(fedkit.__file__).is_relative_to(ROOT), f"{fedkit.__file__} is another checkout; set PYTHONPATH={ROOT}"
    out = given.folders[0].resolve()
    out.mkdir(parents=True, exist_ok=True)
    for part in given.only:
        began = time.perf_counter()
        facts = record_notebooks(out / "results") if part == NOTEBOOKS else PARTS[part]()
        text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)
        (out / f"{part}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{part}: {time.perf_counter() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
