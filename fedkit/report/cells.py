"""Texts of people, models and servers on their way into a table: none of them becomes a tag, a script or a link.

`as_table` is the one place where a notebook makes a table's HTML, `markdown_text` the one for a table's Markdown.
pandas' Styler escapes nothing by itself and is not used.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from ..common.console import printable

if TYPE_CHECKING:
    import pandas as pd

_TABLE = """<table class="tex2jax_ignore mathjax_ignore">
<thead><tr>
{% for name, side in heads %}
<th dir="auto" style="text-align: {{ side }}">{{ name }}</th>
{% endfor %}
</tr></thead>
<tbody>
{% for line in lines %}
<tr>
{% for text, side in line %}
<td dir="auto" style="text-align: {{ side }}; white-space: pre-wrap">{{ text }}</td>
{% endfor %}
</tr>
{% endfor %}
</tbody>
</table>"""
# What Markdown gives a meaning within a line; an underscore only at a word's edge, a colon only in an address.
_MARKS = re.compile(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)|:(?=//)")


class HtmlTable:
    """A table at the end of a cell; every text in it, names of columns too, is shown as it was written.

    heads, lines: texts, each with the side (start, end) that it is set to.
    """

    def __init__(self, heads: list[tuple[str, str]], lines: list[list[tuple[str, str]]]) -> None:
        self.heads, self.lines = heads, lines

    def _repr_html_(self) -> str:
        import jinja2

        environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        return environment.from_string(_TABLE).render(heads=self.heads, lines=self.lines)

    def __repr__(self) -> str:
        return "\n".join("  ".join(text for text, _ in line) for line in (self.heads, *self.lines))


def as_table(
    frame: pd.DataFrame, *, index: bool = False, number: str | Callable[[float], str] | None = None
) -> HtmlTable:
    """A frame to look at, whole: its texts escaped, its numbers set to the right, what is missing left empty.

    index: show it too, as the first columns. number: the form of numbers, such as "{:.1%}", or a function; None: whole
    numbers whole, others to three digits.
    """
    levels = range(frame.index.nlevels) if index else range(0)
    names = [str(frame.index.names[i] or "") for i in levels]
    names += [" ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in frame.columns]
    form = number.format if isinstance(number, str) else number or cell
    columns = [*(frame.index.get_level_values(i) for i in levels), *(column for _, column in frame.items())]
    table = [[_entry(value, form) for value in column] for column in columns]
    sides = [column[0][1] if column else "start" for column in table]
    heads = [(printable(name), side) for name, side in zip(names, sides, strict=True)]
    return HtmlTable(heads, [list(line) for line in zip(*table, strict=True)])


def _entry(value: Any, form: Callable[[float], str]) -> tuple[str, str]:
    import pandas as pd

    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "", "end" if isinstance(value, Real) else "start"
    if isinstance(value, Real) and not isinstance(value, bool):
        return form(value), "end"
    return printable(str(value)), "start"


def cell(value: Any) -> str:
    """One entry of a plain table: whole numbers whole, others to three digits, nothing for what is missing."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, Real) and not isinstance(value, bool):
        if value != value:
            return ""
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"
    return printable(str(value))


def markdown_text(text: object) -> str:
    """`text` within a line or a cell of Markdown, shown as it was written: no mark, tag or line break of it works."""
    plain = html.escape(" ".join(printable(str(text)).split()), quote=False)
    return _MARKS.sub(lambda match: "\\" + match[0], plain)
