"""Writes what `--save` kept into README.md: `python bench/readme.py`. No number there is typed by hand.

The text between the two marks is made anew from bench/results/*.json; a benchmark without a file is named as not
measured yet. Without any file README.md is left as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from _common import RESULTS, Row, cells, goal, sentence, verdict

from fedkit.common.errors import FedkitError
from fedkit.common.files import write_text

BEGIN, END = "<!-- measured: begin (python bench/readme.py writes this part) -->", "<!-- measured: end -->"
HERE = Path(__file__).resolve().parent
NO_BENCHMARK = ("readme",)


def names() -> list[str]:
    """The benchmarks, by their scripts."""
    return sorted(path.stem for path in HERE.glob("[a-z]*.py") if path.stem not in NO_BENCHMARK)


def read(folder: Path) -> dict[str, Row]:
    """The saved records by name; `FedkitError` for a file that is no record."""
    records = {}
    for name in names():
        path = folder / f"{name}.json"
        if not path.is_file():
            continue
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            record["rows"], record["targets"], record["machine"]  # noqa: B018 (looked up to see that they are there)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FedkitError(f"{path}: no record of a benchmark ({error}); delete it and measure again") from error
        records[name] = record
    return records


def section(name: str, record: Row | None) -> str:
    """One benchmark in Markdown."""
    if record is None:
        return f"### {name}\n\nNot measured yet: `python bench/{name}.py --save`.\n"
    header, lines = cells(record["rows"])
    numeric = [all(_number(line[i]) for line in lines) for i in range(len(header))]
    rule = ["---:" if right else "---" for right in numeric]
    table = "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in (header, rule, *lines))
    machine, kit = record["machine"], record["versions"]
    where = (
        f"{record['measured'][:10]}, commit {record['commit']}, {machine['cpu']}, {machine['cores']} cores,"
        f" torch {kit['torch']}, Python {kit['python']}; load {machine['load_before']} before."
    )
    settings = sentence(record["settings"])
    parts = [f"### {name}", f"{settings[:1].upper()}{settings[1:]}.", table]
    parts += ["\n".join(f"- **{verdict(t)}**: {t['what']}: {goal(t)}" for t in record["targets"])]
    parts += [*record["notes"], f"*{where}*"]
    return "\n\n".join(part for part in parts if part) + "\n"


def _number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "", 1).lstrip("+-").isdigit() or not cell


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def rewrite(readme: Path, records: dict[str, Row]) -> str:
    """README.md's text with the measured part made anew; `FedkitError` where the marks are missing."""
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise FedkitError(f"{readme}: the marks of the measured part are missing; restore it from version control")
    sections = "\n".join(section(name, records.get(name)) for name in names())
    return f"{before}{BEGIN}\n\n{sections}\n{END}{after}"


def main() -> int:
    """Rewrite, or with `--check` only compare (1: README.md is behind)."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--results", default=str(RESULTS), help="folder of the saved records")
    options.add_argument("--readme", default=str(HERE / "README.md"))
    options.add_argument("--check", action="store_true", help="write nothing; exit code 1 where it would change")
    given = options.parse_args()
    try:
        records, readme = read(Path(given.results)), Path(given.readme)
        if not records:
            print(f"{given.results} holds no saved record; measure with --save first")
            return 0
        new = rewrite(readme, records)
        changed = new != readme.read_text(encoding="utf-8")
        if changed and not given.check:
            write_text(readme, new)
    except FedkitError as error:
        print(f"readme: {error}", file=sys.stderr)
        return 2
    state = ("is behind" if given.check else "was written") if changed else "is up to date"
    print(f"{readme.name} {state}: {len(records)} of {len(names())} benchmarks")
    return int(changed and given.check)


if __name__ == "__main__":
    sys.exit(main())
