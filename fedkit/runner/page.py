r"""An executed notebook as one HTML page that asks no other machine for anything and runs nothing.

What cells have put out holds texts of people, models and servers. Notebooks escape them (`fedkit.as_table`); here all
outputs are cut down once more to harmless tags, whatever made them, and the page forbids the browser every script.

Its formulas are MathML, which browsers draw themselves: a page needs no MathJax and no network.

nbconvert's Markdown parser finds the formulas ($..$, $$..$$, \begin{..}..\end{..}; not in code, not after a backslash)
and its renderer is replaced only in how it writes them. A formula that latex2mathml cannot convert stays as written.
"""

from __future__ import annotations

import copy
import functools
import re
from typing import Any
from xml.etree import ElementTree

import nbformat
from bs4 import BeautifulSoup
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath, MathBlockParser

from ..common.console import printable

_SCRIPT = re.compile(r"<script\b.*?</script>", re.IGNORECASE | re.DOTALL)  # the template's: no content holds one
_LINK = re.compile(r'href="(?:\.\./|\./)*(?:solutions/)?(\d\d)_[^"/#]*?(_solutions)?\.ipynb(#[^"]*)?"')

# No script, no frame, nothing from elsewhere: pictures lie in the page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_GUARD = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
# What an output may hold: kinds that are shown as they are, and the tags and attributes of its HTML.
_SHOWN = ("text/plain", "text/latex", "image/png", "image/jpeg", "image/svg+xml")  # an SVG becomes an <img>: no script
_TAGS = (
    *("p", "div", "span", "br", "hr", "b", "i", "em", "strong", "del", "sub", "sup", "code", "pre", "blockquote"),
    *("ul", "ol", "li", "dl", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "a", "img", "details", "summary"),
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"),
)
_STYLES = ("text-align", "white-space", "color", "background-color", "font-weight", "font-style")

# Fonts with large operators and stretching brackets, as systems name theirs; Linux browsers do not find them unasked.
_FONTS = ("Latin Modern Math", "STIX Two Math", "Cambria Math", "DejaVu Math TeX Gyre", "Noto Sans Math")
_STYLE = f"<style>math {{ font-family: {', '.join(map(repr, _FONTS))}, math; }}</style>"
# How many parts an element must have; latex2mathml writes fewer where an argument is missing.
_PARTS = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3}
# What TeX and browsers set differently: TeX leaves no space around ordinary symbols, and a bracket
# with an exponent stays a bracket, where a browser would take it for a binary operator.
_TIGHT = {"lspace": "0", "rspace": "0"}
_ATTRIBUTES = {
    **dict.fromkeys("|‖/∞", _TIGHT),
    **dict.fromkeys("([{⌊⌈⟨", {"form": "prefix"}),
    **dict.fromkeys(")]}⌋⌉⟩", {"form": "postfix"}),
}


def to_mathml(latex: str, display: bool = False) -> str | None:
    """`latex` (without its dollars) as one <math> element on one line; None where it cannot be converted faithfully."""
    try:
        text = convert(latex, display="block" if display else "inline")
        # HTML needs no namespace; a stray & or < is no XML
        root = ElementTree.fromstring(text.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "", 1))
    except Exception:  # the library's errors have no common base, and odd input also brings IndexError and the like
        return None
    for element in list(root.iter()):
        if len(element) != _PARTS.get(element.tag, len(element)) or "\\" in (element.text or ""):
            return None  # an argument is missing, or a command is unknown and was copied
        if element.tag == "mo":
            element.attrib.update(_ATTRIBUTES.get(element.text or "", {}))
        if element.tag in ("msub", "msup", "msubsup") and element[0].get("minsize"):
            row = ElementTree.Element("mrow")  # browsers size a big bracket with an exponent only in a row with more
            row.extend([element[0], ElementTree.Element("mi")])
            element[0] = row
    return ElementTree.tostring(root, encoding="unicode").replace("\n", " ")


class _Blocks(MathBlockParser):
    """Display formulas begin at a line's start; nbconvert also takes `$$` in the middle of a line, even in code."""

    SPECIFICATION = {
        **MathBlockParser.SPECIFICATION,
        "multiline_math": f"^[ ]{{0,3}}(?:{MathBlockParser.MULTILINE_MATH})",
    }


class _Renderer(IPythonRenderer):
    def block_mermaidjs(self, code: str) -> str:
        return self.block_code(code)  # it would take a script to draw it

    def block_math(self, body: str) -> str:
        return to_mathml(body, display=True) or super().block_math(body)

    def inline_math(self, body: str) -> str:
        return to_mathml(body) or super().inline_math(body)

    def latex_environment(self, name: str, body: str) -> str:
        formula = to_mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", display=True)
        return formula or super().latex_environment(name, body)


class _MathExporter(HTMLExporter):
    """nbconvert's HTML exporter with formulas as MathML."""

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """The template's Markdown filter; as nbconvert's own but for the renderer and the block parser."""
        renderer = _Renderer(
            escape=False,
            attachments=context.get("cell", {}).get("attachments", {}),
            embed_images=self.embed_images,
            path=context.get("resources", {}).get("metadata", {}).get("path", ""),
            anchor_link_text=self.anchor_link_text,
            exclude_anchor_links=self.exclude_anchor_links,
        )
        return MarkdownWithMath(renderer=renderer, block=_Blocks()).render(source)


class _Output(IPythonRenderer):
    """Markdown of an output: tags in it are text, and no picture is read from this machine or another."""

    def __init__(self) -> None:
        super().__init__(escape=True, embed_images=False, exclude_anchor_links=True)

    def block_mermaidjs(self, code: str) -> str:
        return self.block_code(code)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return text


@functools.cache
def _cleaner() -> Any:
    from bleach.css_sanitizer import CSSSanitizer
    from bleach.sanitizer import Cleaner

    def allowed(tag: str, name: str, value: str) -> bool:
        if name == "src":
            return re.match(r"data:image/(png|jpeg|gif|webp|svg\+xml);base64,", value) is not None
        if name == "href":
            return tag == "a" and re.match(r"(https?:|mailto:|#|[^:]*$)", value, re.IGNORECASE) is not None
        own = {"a": ("title",), "img": ("alt", "width", "height"), "ol": ("start",)}
        return name in ("style", "dir", "colspan", "rowspan", *own.get(tag, ()))

    css = CSSSanitizer(allowed_css_properties=_STYLES)
    return Cleaner(_TAGS, allowed, protocols=("http", "https", "mailto", "data"), css_sanitizer=css)


def _clean(text: str) -> str:
    """HTML of an output without what could run, reach out or restyle the page; tags that are not known become text."""
    soup = BeautifulSoup(text, "html.parser")
    for element in soup(["style", "script"]):  # pandas puts a <style> before its tables
        element.decompose()
    return str(_cleaner().clean(str(soup)))


def _whole(text: str) -> str:
    """`text` with halves of characters (a file's name that is not UTF-8) as escapes: no file can hold them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _shown(data: Any) -> dict[str, Any]:
    """What of an output's data comes into the page: by MIME type, all of it harmless."""
    data = {kind: _whole(value) if isinstance(value, str) else value for kind, value in data.items()}
    kept = {kind: value for kind, value in data.items() if kind in _SHOWN}
    if isinstance(html := data.get("text/html"), str):
        return kept | {"text/html": _clean(html)}
    if isinstance(source := data.get("text/markdown"), str):
        return kept | {"text/html": _clean(MarkdownWithMath(renderer=_Output(), block=_Blocks()).render(source))}
    return kept or {"text/plain": f"(not shown: {', '.join(data)})"}


def to_html(notebook: Any, title: str) -> str:
    """The page, with its images inside; `notebook` itself stays as it is.

    Links to other notebooks lead to their pages in the same folder: `31_fedavg.ipynb` to `31.html`.
    """
    exporter = _MathExporter(embed_images=True)
    exporter.require_js_url = exporter.jquery_url = exporter.mathjax_url = ""
    notebook = copy.deepcopy(notebook)
    notebook.metadata = {key: value for key, value in notebook.metadata.items() if key != "widgets"}
    notebook.metadata["title"] = title
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "data" in output:
                output.data = nbformat.from_dict(_shown(output.data))
    page, _ = exporter.from_notebook_node(notebook)
    page = page.replace("<head>", f"<head>\n{_GUARD}", 1).replace("</head>", f"{_STYLE}\n</head>", 1)
    page = _LINK.sub(lambda m: f'href="{m[1]}{"s" if m[2] else ""}.html{m[3] or ""}"', page)
    return printable(_SCRIPT.sub("", page).replace("\r", "\n"))
