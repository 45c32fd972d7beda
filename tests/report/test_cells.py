"""Tables of notebooks show texts as they were written: nothing in them becomes HTML, Markdown or a command."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from hostile_texts import HOSTILE, dangers
from mistune import html as rendered

from fedkit import as_table
from fedkit.common.console import printable, say
from fedkit.common.errors import FedkitError
from fedkit.common.files import read_json, write_json
from fedkit.report.cells import markdown_text
from fedkit.report.tables import ResultsTable


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_shown_wherever_it_stands(text):
    index = pd.Index([text] * 3, name=text, dtype=object)  # Arrow, pandas' own, holds no half a character
    frame = pd.DataFrame({"a": pd.Series([text, [text], {text: text}], index=index, dtype=object)})
    frame.columns = pd.Index([text], dtype=object)
    table = as_table(frame, index=True)
    assert dangers(table._repr_html_()) == []
    cells = [cell.get_text() for cell in BeautifulSoup(table._repr_html_(), "html.parser").select("td, th")]
    shown = printable(text)
    listed, mapped = printable(str([text])), printable(str({text: text}))
    assert cells == [shown, shown, shown, shown, shown, listed, shown, mapped]
    assert not {"\x1b", "\udcff"} & set(repr(table))


def test_forms_of_entries():
    frame = pd.DataFrame({"n": [1, 2345], "x": [0.12345, None], "ok": [True, False], "t": ["a\nb", None]})
    table = as_table(frame)
    assert [[text for text, _ in line] for line in table.lines] == [
        ["1", "0.123", "True", "a\nb"],
        ["2,345", "", "False", ""],
    ]
    assert [side for _, side in table.heads] == ["end", "end", "start", "start"]
    shares = as_table(pd.DataFrame({"x": [0.5]}, index=["all"]), index=True, number="{:.1%}")
    assert [text for text, _ in shares.lines[0]] == ["all", "50.0%"]
    assert as_table(pd.DataFrame({"x": []})).lines == []


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_it_too(text):
    page = rendered(f"| a | b |\n|---|---|\n| {markdown_text(text)} | c |\n")
    assert dangers(page) == [] and not BeautifulSoup(page, "html.parser")(["a", "img", "code", "em"])
    cells = [cell.get_text() for cell in BeautifulSoup(page, "html.parser")("td")]
    assert cells == [" ".join(printable(text).split()), "c"]


def test_plain_names_stay_as_they_are_in_markdown():
    for name in ("Local Training (ar)", "fed_aya", "IFD, a ratio; 0.5 - 1", "samples a client (sd)", "Größe 北京"):
        assert markdown_text(name) == name


def test_a_results_table_with_hostile_rows_metrics_unit_judge_and_note():
    text = HOSTILE[4] + HOSTILE[5]
    table = ResultsTable("41_table2_fed_aya", text, text)
    table.add(text, text, [1.0, 2.0], [0, 1])
    table.note = text
    assert dangers(rendered(table.markdown())) == []
    assert rendered(table.markdown()).count("javascript:") == 5  # judge, unit, row, metric, note: seen, not obeyed


def test_printable():
    assert printable("a\tb\r\nc\x1b[31m\x85\udcff\u202e") == "a\tb\nc\\x1b[31m\\x85\\udcff\\u202e"
    assert printable("ümläut العربية 北京 😀\u200f") == "ümläut العربية 北京 😀\u200f"


def test_say_writes_on_any_stream():
    """A stream of an old encoding, or one that a test or a pager puts in its place; no escape of a text is obeyed."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    say("北京 \x1b[31m\udcff", stream)
    assert raw.getvalue() == b"\\u5317\\u4eac \\x1b[31m\\udcff\n"
    plain = io.StringIO()
    say("北京", plain)
    assert plain.getvalue() == "北京\n"


def test_an_error_is_one_line_and_commands_nothing():
    error = FedkitError("the file a\nb\x1b]0;x\x07\udcff\x9b is none")
    assert str(error) == "the file a\\nb\\x1b]0;x\\x07\\udcff\\x9b is none"
    assert str(FedkitError(str(error))) == str(error)


def test_files_hold_names_that_are_no_utf8(tmp_path):
    path = write_json(tmp_path / "x.json", {"name": "\udcff"})
    assert path.read_bytes() == b'{\n  "name": "\\udcff"\n}\n' and read_json(path) == {"name": "\udcff"}
