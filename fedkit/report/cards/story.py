"""What a card says in words: one TOML file a dataset, checked when it is read."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ...common.errors import FedkitError, unknown

FOLDER = Path(__file__).parent / "stories"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Strict):
    """One part of a dataset and the terms it comes under."""

    name: str
    licence: str
    terms: str


class Story(_Strict):
    """The words of a card, in the order of its sections. Lists may not be empty."""

    title: str
    paper: str  # which paper made it, and where it says so
    what: str
    hub: str  # id of the source on the Hugging Face Hub
    url: str
    version: str
    licence: str  # identifier for the front matter
    parts: tuple[Part, ...]
    tasks: tuple[str, ...]  # the Hub's task categories
    clients: str
    dropped: str
    harms: str
    privacy: str
    citation: str


def stories() -> tuple[str, ...]:
    """The datasets that have a story, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def read_story(name: str) -> Story:
    """The story of a dataset; `FedkitError` where there is none, or where a field is missing or empty."""
    path = FOLDER / f"{name}.toml"
    if not path.is_file():
        raise unknown("dataset with a card", name, stories())
    try:
        story = Story.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise FedkitError(f"{path.name}: {str(error).splitlines()[0]}; mend the story") from error
    for field, value in story:
        if not value:
            raise FedkitError(f"{path.name}: {field} is empty; write it")
    return story
