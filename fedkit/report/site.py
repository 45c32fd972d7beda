"""One page on a results folder: what ran, what the claims came to, tables, figures, notebooks.

Everything on it is read from files that the notebooks and the runner wrote; the page needs no network and no script.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ..common.console import printable
from ..common.errors import FedkitError
from ..common.files import read_json, visible, write_text
from ..data.origins import origins_of, sentence
from . import paper
from .cells import cell
from .tables import COLUMNS, decimals, read_csv, source_note, wide
from .verdicts import COLUMNS as CLAIM_COLUMNS

_PAGE = Path(__file__).with_name("site_page.html")

# Words that the runner writes, and the colour each gets; another word is shown in grey.
TONES = {
    "holds": "good",
    "fails": "bad",
    "undecided": "open",
    "ok": "good",
    "passed": "good",
    "cached": "good",
    "failed": "bad",
    "error": "bad",
    "refused": "bad",
    "interrupted": "bad",
    "running": "open",
    "skipped": "open",
}


def index_html(results: str | Path) -> Path:
    """Write `index.html` into a results folder (`results/<profile>`) and return its path.

    Reads `summary.json`, `status.json`, `claims.csv`, `tables/*.csv`, `figures/*.png` and `notebooks/*.html`, each
    only where it is there. `FedkitError` for one that cannot be read.
    """
    import jinja2

    results = Path(results)
    if not results.is_dir():
        raise FedkitError(f"{results}: no such results folder; run reproduce.py first")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(minutes=minutes, number=number, date=date)
    page = environment.from_string(_PAGE.read_text(encoding="utf-8"))
    return write_text(results / "index.html", printable(page.render(**collect(results), tones=TONES)))


def collect(results: Path) -> dict[str, Any]:
    """What the page shows, read from a results folder: summary, counts, claims, tables, figures, notebooks."""
    summary = _summary(_json(results / "summary.json", dict))
    notebooks = [_notebook(entry, results) for entry in _json(results / "status.json", list)]
    claims, tables = _claims(results), visible(results / "tables", "*.csv")
    return {
        "summary": summary,
        "profile": summary.get("profile", results.resolve().name),
        "notebooks": notebooks,
        "counts": dict(Counter(n["status"] for n in notebooks)),
        "claims": claims,
        "verdicts": dict(Counter(c["verdict"] for c in claims)),
        "tables": [_table(path) for path in tables if not path.stem.endswith("_seeds")],
        "figures": [
            {"name": path.stem, "title": title(path.stem), "src": f"figures/{path.name}", "vector": _beside(path)}
            for path in visible(results / "figures", "*.png")
        ],
    }


def _summary(read: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of summary.json that the page shows; one of another kind than the runner writes is left out."""
    kinds = {
        "profile": str,
        "commit": str,
        "versions": dict,
        "seeds": list,
        "started": str,
        "wall_seconds": int | float,
    }
    return {name: read[name] for name, kind in kinds.items() if isinstance(read.get(name), kind)}


def _table(path: Path) -> dict[str, Any]:
    frame = read_csv(path, ())
    if not {"table", "metric"} & set(frame.columns):
        return _plain(path.stem, frame)
    frame = read_csv(path, [column for column in COLUMNS if column != "source"])  # tables of before have none
    try:
        return _judged(path, frame)
    except (ValueError, TypeError, OverflowError) as error:  # a word where a number stands
        raise FedkitError(f"{path}: a cell is damaged ({error}); delete it and run its notebook again") from error


def _judged(path: Path, frame: Any) -> dict[str, Any]:
    name = path.stem
    if frame.empty:
        return {"name": name, "title": title(name), "metrics": [], "rows": []}
    first = frame.iloc[0]
    printed = paper.published(str(first["table"]))
    metrics, rows = wide(frame)
    seeds = sorted({int(n) for n in frame["seeds"]})
    return {
        "name": name,
        "title": printed.title if printed else title(name),
        "place": f"{printed.paper}, {printed.place}" if printed else "",
        "metrics": metrics,
        "decimals": decimals(metrics, rows, str(first["judge"])),
        "rows": rows,
        "best": _best(rows, metrics) if first["judge"] != "none" else {},
        "unit": first["unit"],
        "note": source_note(str(first["judge"]), printed),
        "seeds": f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}",
        "sources": list(dict.fromkeys(frame["source"].dropna().astype(str))) if "source" in frame else [],
        "has_interval": bool(frame["low"].notna().any()),
        "has_paper": any(row["paper"] for row in rows),
    }


def _plain(name: str, frame: Any) -> dict[str, Any]:
    """A table of other columns, such as the numbers of heterogeneity: shown as it is."""
    rows = [[cell(value) for value in line] for line in frame.itertuples(index=False)]
    return {"name": name, "title": title(name), "columns": [title(str(c)) for c in frame.columns], "lines": rows}


def _best(rows: list[dict[str, Any]], metrics: list[str]) -> dict[str, dict[str, float]]:
    """The highest value of each metric, of ours and of the paper's: what the page sets in bold."""
    ours = {m: [r["ours"][m][0] for r in rows if r["ours"].get(m, (None,))[0] is not None] for m in metrics}
    printed = {m: [r["paper"][m] for r in rows if m in r["paper"]] for m in metrics}
    return {k: {m: max(v) for m, v in group.items() if v} for k, group in (("ours", ours), ("paper", printed))}


def _claims(results: Path) -> list[dict[str, Any]]:
    path = results / "claims.csv"
    if not path.exists():
        return []
    claims = read_csv(path, CLAIM_COLUMNS).astype(object).fillna("")
    return claims.sort_values(["paper", "place"], kind="stable").to_dict("records")


def _notebook(entry: Any, results: Path) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise FedkitError(f"{results / 'status.json'}: an entry is not an object; delete it and run reproduce.py again")
    known = {key: str(entry.get(key) or "") for key in ("number", "title", "status", "error")}
    html = f"notebooks/{Path(str(entry.get('html') or '')).name}"  # no other place is linked, whatever the file says
    seconds = entry.get("seconds")
    return known | {
        "html": html if (results / html).is_file() else "",
        "status": known["status"] or "unknown",
        "seconds": seconds if isinstance(seconds, int | float) and 0 <= seconds < 1e9 else None,
        "origins": sentence(origins_of(entry.get("origins"))),
    }


def _json(path: Path, kind: type) -> Any:
    value = read_json(path) if path.exists() else kind()
    if not isinstance(value, kind):
        raise FedkitError(f"{path}: holds no readable JSON {kind.__name__}; delete it and run reproduce.py again")
    return value


def _beside(path: Path) -> str:
    vector = path.with_suffix(".svg")
    return f"figures/{vector.name}" if vector.exists() else ""


def title(stem: str) -> str:
    """A file's stem as words: `41_table2_fed_aya` is "41 table2 fed aya"."""
    return re.sub(r"[_\-]+", " ", stem).strip()


def minutes(seconds: float | None) -> str:
    """A duration as read: 42 s, 3 min 20 s, 1 h 5 min; nothing where there is none."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def date(value: Any) -> str:
    """A moment (ISO text or seconds since 1970) to the minute, with its zone; other text as it is."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else datetime.fromtimestamp(value).astimezone()
    except (ValueError, TypeError, OverflowError, OSError):
        return str(value)
    return f"{moment:%Y-%m-%d %H:%M %Z}".strip()


def number(value: float, digits: int = 2) -> str:
    """A number of a table: two digits after the point below 1,000, none and thousands marked above."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}f}"
