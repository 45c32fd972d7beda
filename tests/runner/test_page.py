"""Formulas of exported pages are MathML, nothing else is touched, and the page needs no other machine."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from hostile_texts import ALL, HOSTILE, dangers, in_browser
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from fedkit.runner.page import to_html, to_mathml

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").rglob("[0-9]*.ipynb"))
FORMULA = re.compile(r"(?<!\\)\$\$(?P<display>.+?)\$\$|(?<![\\$])\$(?P<inline>[^$]+)\$", re.DOTALL)
CODE = re.compile(r"^```.*?^```|(`+)[^`].*?\1", re.DOTALL | re.MULTILINE)


def markdown(source):
    """The Markdown part of the page of a notebook with this one cell, as a soup."""
    page = to_html(new_notebook(cells=[new_markdown_cell(source)]), "t")
    return BeautifulSoup(page, "html.parser").select_one(".jp-MarkdownOutput")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_formula_of_the_notebooks_is_converted(path):
    notebook = nbformat.read(path, as_version=4)
    texts = [CODE.sub("", cell.source) for cell in notebook.cells if cell.cell_type == "markdown"]
    found = [match for text in texts for match in FORMULA.finditer(text)]
    before = nbformat.writes(notebook)
    page = BeautifulSoup(to_html(notebook, "t"), "html.parser")
    assert nbformat.writes(notebook) == before
    assert len(page.select('math[display="block"]')) == sum(match["display"] is not None for match in found)
    assert len(page.select('math[display="inline"]')) == sum(match["inline"] is not None for match in found)
    for cell in page.select(".jp-MarkdownOutput"):
        for code in cell.select("code, pre"):
            code.clear()
        assert "$" not in cell.get_text()


def test_the_notebooks_hold_formulas():
    assert sum(len(FORMULA.findall(path.read_text(encoding="utf-8"))) for path in NOTEBOOKS) > 50


def test_inline_and_display():
    cell = markdown(
        "The sum $a_1 * b_1 + c * d$ and *this*.\n\n$$\n\\frac{1}{n}\n\n\\sum_k x_k\n$$\n\n- item $x < y$\n"
    )
    first, display, last = cell.find_all("math")
    assert first["display"] == last["display"] == "inline" and display["display"] == "block"
    assert first.parent.name == display.parent.name == "p" and last.parent.name == "li"
    assert first.get_text() == "a1*b1+c*d" and first.find("em") is None and cell.find("em").get_text() == "this"
    assert [part.name for part in display.find("mfrac").children] == ["mrow", "mrow"] and display.find("munder")
    assert last.get_text() == "x<y" and "$" not in cell.get_text()


def test_display_within_a_line_and_a_named_environment():
    cell = markdown("so $$x = 1$$ holds\n\n\\begin{pmatrix} 1 & 0 \\\\ 0 & 1 \\end{pmatrix}\n")
    within, matrix = cell.find_all("math")
    assert within["display"] == matrix["display"] == "block" and len(matrix.find_all("mtr")) == 2


@pytest.mark.parametrize("code", ["$x$", "$$x$$", "$$", "\\begin{a}x\\end{a}"])
def test_code_is_untouched(code):
    cell = markdown(f"a `{code}` b `{code}` c\n\n```\n{code}\n```\n\n~~~sh\necho {code}\n~~~\n\n    {code}\n")
    assert cell.find("math") is None
    assert [one.get_text() for one in cell.select("p code")] == [code, code]
    assert [one.get_text().strip() for one in cell.select("pre")] == [code, f"echo {code}", code]


def test_escaped_dollars_are_untouched():
    cell = markdown("costs \\$5 and \\$6, \\$x\\$; but $y$, and one $ alone")
    assert [one.get_text() for one in cell.find_all("math")] == ["y"]
    assert cell.get_text().strip() == "costs $5 and $6, $x$; but y, and one $ alone"


@pytest.mark.parametrize("latex", [r"\frac{1}", r"\frac{", "x^", r"\left( x", "a^b^c", r"\nosuchcommand{x}", "a & b"])
def test_what_cannot_be_converted_stays_as_written(latex):
    assert to_mathml(latex) is None and to_mathml(latex, display=True) is None
    cell = markdown(f"before ${latex}$ after $z$\n\n$${latex}$$\n")
    assert cell.get_text().strip().splitlines()[0] == f"before ${latex}$ after z"
    assert f"$${latex}$$" in cell.get_text() and len(cell.find_all("math")) == 1


def test_a_formula_is_one_line():
    assert "\n" not in to_mathml("a\n\n+ b\n", display=True)
    assert "\N{NO-BREAK SPACE}" in to_mathml("a,\\ b")


def test_brackets_and_ordinary_symbols_are_set_as_tex_sets_them():
    marks = {one.get_text(): one for one in markdown(r"$\Big(|a|/b\Big)^2$").select("math mo")}
    assert marks["("]["form"] == "prefix" and marks[")"]["form"] == "postfix"
    assert marks["|"]["lspace"] == marks["/"]["rspace"] == "0"


def test_code_cells_and_their_dollars_are_untouched():
    page = BeautifulSoup(to_html(new_notebook(cells=[new_code_cell('"$x$"')]), "t"), "html.parser")
    assert page.find("math") is None and '"$x$"' in page.select_one(".jp-CodeCell").get_text()


def test_a_page_with_formulas_asks_no_other_machine():
    page = to_html(new_notebook(cells=[new_markdown_cell("$x$ and $\\frac{1}$\n\n$$y$$\n")]), "t")
    assert page.count("<math ") == 2
    soup = BeautifulSoup(page, "html.parser")
    loads = [tag.get(name, "") for tag in soup.find_all(True) for name in ("src", "href", "xlink:href", "data")]
    assert not [target for target in loads if re.match(r"\s*(https?:)?//", target)]
    assert not re.search(r"@import|url\(\s*[\"']?(https?:)?//", page)
    assert not soup.select("script[src]")
    for host in ("cdnjs", "unpkg", "jsdelivr", "mathjax.org"):
        assert host not in page.lower()


def test_html_links_lead_to_pages():
    text = "[a](31_fedavg.ipynb) [b](solutions/31_fedavg_solutions.ipynb#x) [c](../10_fed_aya.ipynb) [d](data.csv)"
    page = to_html(new_notebook(cells=[new_markdown_cell(text)]), "t")
    for link in ("31.html", "31s.html#x", "10.html", "data.csv"):
        assert f'href="{link}"' in page


def test_html_asks_no_other_machine():
    picture = new_output("display_data", {"image/png": "iVBORw0KGgo="})
    notebook = new_notebook(
        cells=[new_markdown_cell("# A $x^2$\n```mermaid\ngraph\n```"), new_code_cell("1", outputs=[picture])]
    )
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    page = to_html(notebook, "41 Table 2")
    assert "<title>41 Table 2</title>" in page and "data:image/png;base64,iVBORw0KGgo=" in page
    for reach in ("cdnjs", "unpkg", "jsdelivr", 'src="http', 'href="http', "@import"):
        assert reach not in page


def hostile_notebook(text):
    """A text in all that a cell can put out: by hand, as pandas does it, as an error does it."""
    import pandas as pd

    whole = text.replace("\udcff", "")  # Arrow holds no half a character
    frame = pd.DataFrame({whole: [whole]}, index=[whole])
    datas = (
        {"text/html": text, "text/plain": text},
        {"text/html": frame._repr_html_(), "text/plain": repr(frame)},
        {"text/html": frame.style.to_html()},  # what escapes nothing
        {"text/markdown": text},
        {"text/markdown": f"| a |\n|---|\n| {text} |\n\n# {text}\n"},
        {"text/latex": text},
        {"text/plain": text},
        {"image/svg+xml": f'<svg xmlns="http://www.w3.org/2000/svg">{text}</svg>'},
        {"application/javascript": "document.documentElement.setAttribute('data-pwned','1')"},
        {"text/vnd.mermaid": text},
        {"application/json": text},
        {"application/vnd.jupyter.widget-view+json": {"model_id": text}},
    )
    outputs = [new_output("display_data", data) for data in datas]
    outputs += [new_output("stream", text=text, name=name) for name in ("stdout", "stderr")]
    outputs.append(new_output("error", ename=text, evalue=text, traceback=[text]))
    return new_notebook(cells=[new_code_cell(f"# {text}", outputs=outputs)], metadata={"widgets": {"x": text}})


def test_no_output_of_a_cell_runs_or_reaches_out():
    page = to_html(hostile_notebook(ALL), ALL)
    assert dangers(page) == []
    shown = BeautifulSoup(page, "html.parser").get_text()
    assert shown.count("<script>document") >= 5  # title, source, plain text, streams, error: as they were written
    assert "(not shown: application/javascript)" in shown
    assert "script-src" in page or "default-src 'none'" in page
    page.encode("utf-8")


def test_a_browser_runs_nothing_of_it(tmp_path):
    """With the page's own rule against scripts taken out, so that it is the escaping that is tried."""
    page = to_html(hostile_notebook(ALL), ALL)
    path = tmp_path / "page.html"
    path.write_text(re.sub(r"<meta http-equiv=[^>]*>", "", page, count=1), encoding="utf-8")
    opened = in_browser(path)
    assert 'data-pwned="1"' not in opened.partition("<body")[0] and dangers(opened) == []
    # the probe works: the same browser does run an unescaped text
    path.write_text(f"<html><body>{HOSTILE[0]}</body></html>", encoding="utf-8")
    assert 'data-pwned="1"' in in_browser(path).partition("<body")[0]
