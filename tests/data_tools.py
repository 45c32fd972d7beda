"""What the tests of datasets share: a dataset of a profile that may be changed, built and asked as a session does."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import replace
from typing import Any

from fedkit.data.datasets.built import Built
from fedkit.data.datasets.questions import Question
from fedkit.data.datasets.registry import questions_of
from fedkit.data.place import Located
from fedkit.profiles import Profile
from fedkit.session import Session


@functools.cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def session(profile: Profile, data_dir: Any = None, offline: bool = False) -> Session:
    """A session of the profile itself, so that a changed one serves too."""
    kit = Session(profile.name, data_dir=data_dir, offline=offline, results_dir=_scratch().name)
    kit.profile, kit.place = profile, replace(kit.place, embedded=profile.embedded)
    return kit


def build(name: str, profile: Profile, *, data_dir: Any = None, offline: bool = False, **params: Any) -> Built:
    """As `Session.build`, but with the Ref questions left in unless `excluded` names them."""
    kit = session(profile, data_dir, offline)
    if name.startswith("fed_"):
        params["excluded"] = tuple(params.get("excluded", ()))
    return kit.build(name, **params)


def excluded(name: str, profile: Profile, **where: Any) -> dict[str, tuple[str, ...]]:
    """What `build` is told so that no Ref question is trained on."""
    return {"excluded": tuple(question.instruction for question in questions(name, profile, **where))}


def questions(
    name: str, profile: Profile, *, per_language: int | None = None, answered: bool = False, **where: Any
) -> list[Question]:
    """The Ref questions; `answered` without a look at where the training records come from."""
    kit = session(profile, **where)
    own = questions_of(name)
    minimum = min(profile.dataset(dataset).minimum for dataset in own.datasets)
    wanted = profile.dataset(name).test_questions if per_language is None else per_language
    return own.read(kit.place, wanted, minimum, answered=answered)


def question_source(name: str, profile: Profile, **where: Any) -> Located:
    return session(profile, **where).question_source(name)


def test_records(name: str, profile: Profile, *, limit: int | None = None, **where: Any) -> tuple[Located, list]:
    located, records = session(profile, **where).test_records(name)
    return located, records[:limit]


test_records.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test
