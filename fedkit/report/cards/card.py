"""A card as Markdown: front matter for the Hub, and the same sections in the same order for every dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .numbers import measure, size_category
from .story import read_story

if TYPE_CHECKING:
    from ...data.builders import Built
    from ...profiles import Profile

_TEMPLATE = Path(__file__).with_name("card_template.md")


def render_card(name: str, built: Built, profile: Profile) -> str:
    """The card of a built dataset. `FedkitError` for a dataset without a story."""
    import jinja2

    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    page = template.render(
        name=name,
        story=read_story(name),
        numbers=measure(built, profile),
        size=size_category(built.dataset.n_records),
        read=built.drops.read,
        kept=built.drops.kept,
    )
    return page.rstrip() + "\n"
