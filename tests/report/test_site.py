"""The results page: all that a results folder holds, nothing from elsewhere, nothing that is not there."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from hostile_texts import ALL, dangers, in_browser
from matplotlib.figure import Figure

from fedkit.common.errors import FedkitError
from fedkit.report.site import index_html, minutes
from fedkit.report.tables import COLUMNS, ResultsTable, save_figure
from fedkit.report.verdicts import COLUMNS as CLAIM_COLUMNS
from fedkit.report.verdicts import verdicts, write_verdicts


class Page(HTMLParser):
    """Tags that are open, and everything that an attribute points to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.targets, self.ids, self.words = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href"):
                self.targets.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def filled(folder):
    table = ResultsTable("41_table2_fed_aya", "chrF reference (offline)", "score 1-10")
    for k, row in enumerate(("Base Model", "Local Training (ar)", "FedAvg", "SCAFFOLD")):
        for metric in ("ar", "en", "Average"):
            table.add(row, metric, [k + 1.0, k + 1.1, k + 1.2], [0, 1, 2])
    table.write(folder / "tables")
    write_verdicts(folder, verdicts(table), profile="mini")
    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([1, 2])
    save_figure(figure, folder / "figures", "41_by_language")
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "41_table2_fed_aya.html").write_text("<p>executed</p>")
    status = [
        {"number": "31", "title": "FedAvg", "status": "failed", "seconds": 3, "html": "", "error": "a < b & c"},
        {
            "number": "41",
            "title": "Table 2",
            "status": "ok",
            "seconds": 75.2,
            "html": "notebooks/41_table2_fed_aya.html",
        },
        {"number": "42", "title": "Next", "status": "skipped", "seconds": None, "html": "notebooks/gone.html"},
    ]
    (folder / "status.json").write_text(json.dumps(status))
    summary = {
        "profile": "mini",
        "commit": "0123456789abcdef",
        "versions": {"torch": "2.13.0"},
        "seeds": [0, 1, 2],
        "started": "2026-01-02T03:04:05+00:00",
        "wall_seconds": 1234.5,
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_a_full_folder(tmp_path):
    path = index_html(filled(tmp_path))
    assert path == tmp_path / "index.html"
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    text = " ".join(" ".join(page.words).split())
    for expected in (
        "0123456789ab",
        "20 min 34 s",
        "2026-01-02 03:04 UTC",
        "torch 2.13.0",
        "most FL methods beat local training on average",
        "holds",
        "undecided",
        "4.97",  # the paper's SCAFFOLD
        "FedYogi",  # in the paper only
        "not run here",
        "Ours is rated by: chrF reference (offline), which is not GPT-4.",
        "not on one scale",
        "over seeds. In italics the paper's number . In bold the highest of a column.",
        "1 min 15 s",
        "a < b & c",
    ):
        assert expected in text, expected
    assert "notebooks/gone.html" not in page.targets
    for target in page.targets:
        assert "://" not in target and not target.startswith("//")
        assert target[1:] in page.ids if target.startswith("#") else (tmp_path / target).is_file(), target


def test_the_page_needs_nothing_from_outside(tmp_path):
    text = index_html(filled(tmp_path)).read_text(encoding="utf-8")
    for outside in ("http:", "https:", "<script", "@import", "url("):
        assert outside not in text


def test_an_empty_folder_says_so(tmp_path):
    page = Page(index_html(tmp_path).read_text(encoding="utf-8"))
    text = " ".join(page.words)
    for what in ("No claim has a verdict yet", "No table has been written yet", "No notebook has been run yet"):
        assert what in text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("status.json", "[", "holds no readable JSON list"),
        ("status.json", "{}", "holds no readable JSON list"),
        ("status.json", "[1]", "an entry is not an object"),
        ("summary.json", "[]", "holds no readable JSON dict"),
        ("claims.csv", "a,b\n1,2\n", "column 'id' is missing"),
        ("tables/x.csv", "", "cannot be read as CSV"),
        ("tables/x.csv", ",".join(COLUMNS) + "\nx,a,b,much,,,1,,u,none\n", "a cell is damaged .*much"),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, content, message):
    (tmp_path / "tables").mkdir()
    (tmp_path / name).write_text(content)
    with pytest.raises(FedkitError, match=f"{name}.*{message}"):
        index_html(tmp_path)
    assert not (tmp_path / "index.html").exists()


def test_fields_of_another_kind_are_left_out(tmp_path):
    (tmp_path / "summary.json").write_text(
        '{"profile": 1, "commit": 5, "versions": [], "seeds": 3, "wall_seconds": "x"}'
    )
    (tmp_path / "status.json").write_text(
        '[{"number": 3, "status": ["ok"], "seconds": "long", "html": 7, "error": {}}]'
    )
    assert "['ok']" in " ".join(Page(index_html(tmp_path).read_text(encoding="utf-8")).words)


def test_rows_called_as_pandas_calls_what_is_missing(tmp_path):
    table = ResultsTable("41_table2_fed_aya", "none", "count")
    for row in ("NA", "null", "None"):
        table.add(row, "nan", 1.0)
    table.write(tmp_path / "tables")
    text = " ".join(Page(index_html(tmp_path).read_text(encoding="utf-8")).words)
    assert all(f" {name} " in " ".join(text.split()) for name in ("NA", "null", "None", "nan"))


def test_no_folder(tmp_path):
    with pytest.raises(FedkitError, match="no such results folder"):
        index_html(tmp_path / "none")


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.42, "0.4 s"), (42.4, "42 s"), (200, "3 min 20 s"), (3900, "1 h 5 min")]
)
def test_durations(seconds, text):
    assert minutes(seconds) == text


def test_a_table_of_other_columns_is_shown_as_it_is(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "24_views.csv").write_text(
        "dataset,value,p,records\nFed-Aya,0.123456,,3702\nFed-X,1.0,0.005,12\n"
    )
    page = Page(index_html(tmp_path).read_text(encoding="utf-8"))
    assert page.open == []
    text = " ".join(" ".join(page.words).split())
    assert "24 views" in text and "dataset value p records Fed-Aya 0.123 3,702 Fed-X 1 0.005 12" in text
    assert "tables/24_views.csv" in page.targets


def test_hostile_texts_in_each_file_are_shown_and_not_obeyed(tmp_path):
    """In the names of files too; with `#`, `%` and `?` in one, its link still leads to it."""
    results = hostile_results(tmp_path / "a b#c%20")
    page = index_html(results).read_text(encoding="utf-8")
    assert dangers(page) == []
    text = BeautifulSoup(page, "html.parser").get_text()
    assert text.count("<script>document") > 15
    targets = [
        tag[name] for tag in BeautifulSoup(page, "html.parser")(True) for name in ("src", "href") if name in tag.attrs
    ]
    for target in targets:
        if not target.startswith("#"):
            assert (results / unquote(target)).is_file(), target
    ids = {tag["id"] for tag in BeautifulSoup(page, "html.parser")(True) if "id" in tag.attrs}
    assert {unquote(target[1:]) for target in targets if target[0] == "#" and "script" not in target} <= ids


def test_a_browser_runs_nothing_of_it(tmp_path):
    path = index_html(hostile_results(tmp_path / "results"))
    path.write_text(re.sub(r"<meta http-equiv=[^>]*>", "", path.read_text(encoding="utf-8"), count=1), encoding="utf-8")
    opened = in_browser(path)
    assert 'data-pwned="1"' not in opened.partition("<body")[0] and dangers(opened) == []


def hostile_results(folder):
    """A results folder with a hostile text in each field of each file, and hostile names."""
    (folder / "notebooks").mkdir(parents=True)
    name = "x\" onerror=alert(1) #?%41<b>&'"
    text = ALL.replace("\udcff", "")  # a file holds no half a character; JSON, with its escapes, does
    table = ResultsTable("41_table2_fed_aya", text, text)
    table.add(text, text, [1.0, 2.0, 3.0], [0, 1, 2])
    table.write(folder / "tables")
    pd.DataFrame({text: [text]}).to_csv(folder / "tables" / f"{name}.csv", index=False)
    figure = Figure(figsize=(1, 1))
    save_figure(figure, folder / "figures", name)
    pd.DataFrame([dict.fromkeys(CLAIM_COLUMNS, text)]).to_csv(folder / "claims.csv", index=False)
    (folder / "notebooks" / f"{name}.html").write_text("<p>executed</p>")
    fields = dict.fromkeys(("number", "title", "status", "error"), ALL)
    entries = [
        fields | {"seconds": 1.0, "html": html}
        for html in (f"notebooks/{name}.html", f"javascript:{ALL}", "/etc/passwd")
    ]
    (folder / "status.json").write_text(json.dumps(entries))
    summary = {"profile": ALL, "commit": ALL, "versions": {ALL: ALL}, "seeds": [ALL], "started": ALL, "wall_seconds": 1}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder
