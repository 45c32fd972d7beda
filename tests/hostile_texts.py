"""Texts of a stranger: each does something where a page, Markdown or a terminal obeys it instead of showing it."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from bs4 import BeautifulSoup

_ACT = "document.documentElement.setAttribute('data-pwned','1')"
HOSTILE = (
    f"<script>{_ACT}</script>",
    f'<img src=x onerror="{_ACT}">',
    f'<svg onload="{_ACT}"><style>*{{display:none}}</style>',
    f'"><iframe srcdoc="<script>parent.{_ACT}</script>"></iframe>',
    f"</td></table></pre></script></style><script>{_ACT}</script>",
    f"[press](javascript:{_ACT}) ![x](http://192.0.2.1/x.png) `</code><script>{_ACT}</script>`",
    f"a | b |\n\n<script>{_ACT}</script>\n\n```mermaid\n<script>{_ACT}</script>\n```\n",
    f"$\\href{{javascript:{_ACT}}}{{x}}$ {{{{ 7*7 }}}} {{% raw %}}",
    "\x1b]0;title\x07\x1b[2J\x1b]8;;http://192.0.2.1\x1b\\x \udcff \u202etxt.exe",
)
ALL = " ".join(HOSTILE)


def dangers(page):
    """What in a page's HTML could run, reach out, or hide the rest; none in a page that only shows."""
    soup = BeautifulSoup(page, "html.parser")
    bad = [str(tag)[:80] for tag in soup(["script", "iframe", "object", "embed", "svg", "form", "base", "link"])]
    for tag in soup(True):
        for name, value in tag.attrs.items():
            value = " ".join(value) if isinstance(value, list) else value
            asks = name in ("src", "srcdoc", "href") and (tag.name != "a" or ":" in value)
            reach = asks and not re.match(
                r"data:image/|https?:|#" if tag.name == "a" else "data:image/|figures/", value
            )
            if name.startswith("on") or reach or name == "data-pwned":
                bad.append(f"{tag.name} {name}={value[:60]}")
    controls = {char for char in page if (ord(char) < 32 and char not in "\n\t") or 0x7F <= ord(char) < 0xA0}
    return [*bad, *map(ascii, controls)]


def in_browser(path):
    """The document after headless Chromium has opened it and run what it lets itself run; skips without Chromium."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium); the parse tests beside this one need none")
    words = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    words += [f"--user-data-dir={path.parent / 'browser'}", "--virtual-time-budget=2000", "--dump-dom", path.as_uri()]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
