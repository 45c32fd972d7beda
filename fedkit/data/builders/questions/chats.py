"""The Ref questions of the datasets made from chats: 50 in all, whatever their language.

In this order: FedLLM-Bench's own file in the data folder, which has no reference answers, so that the offline judge
rates none; questions of users whom the minimum keeps out, where the data folder holds the raw records; the embedded
world's, where the profile is embedded; else those of such users from the Hub, the first by the hash of their text.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ....common.errors import FedkitError
from ....profiles import Profile
from ...sources import SOURCES, Located, find_files, locate, raw_records
from ..chatbot import build_fed_chatbot_it, build_fed_chatbot_pa
from ..checks import fault
from ..drops import DropReport
from ..languages import language_code
from ..recipe import Recipe
from ..wildchat import build_fed_wildchat, build_fed_wildchat_multi
from .question import DataDir, Question, QuestionSet, draw_key, embedded


@dataclass(frozen=True)
class Chats:
    """A family of datasets that share their questions.

    `test`: the source of its test file. `recipe`: reads a raw record as instruction and response. `datasets`: those
    that train on the records; a user below the minimum of all of them is in none.
    """

    prefix: str
    test: str
    recipe: Recipe
    datasets: tuple[str, ...]

    def find(self, profile: Profile, data_dir: DataDir, offline: bool) -> Located:
        """Where the questions come from; `FedkitError` where a folder holds a release alone, which names no others."""
        raw = self.recipe.sources[0]
        local = [name for name in (self.test, raw) if data_dir and find_files(SOURCES[name], data_dir)]
        if local or not profile.embedded:
            return locate(local[0] if local else raw, data_dir=data_dir, offline=offline)
        return locate(self.test, data_dir=data_dir, offline=offline, embedded=True)

    def find_answered(self, data_dir: DataDir, offline: bool) -> Located:
        """The raw records, whose users below the minimum have answers to their questions."""
        return locate(self.recipe.sources[0], data_dir=data_dir, offline=offline)

    def read(self, located: Located, profile: Profile, data_dir: DataDir, offline: bool, wanted: int) -> list[Question]:
        """`wanted` questions, or all where there are fewer; `FedkitError` where there is none."""
        if located.kind == "embedded":
            return embedded(located)[:wanted]
        if located.source.name == self.test:
            return self._released(located)[:wanted]
        rows = self._small_users(located, min(profile.dataset(name).minimum for name in self.datasets))
        found = heapq.nsmallest(wanted, rows, key=draw_key)
        if not found:
            raise FedkitError(
                f"every {self.recipe.who} of {located.source.name} is trained on, so none is left to ask questions;"
                f" put {SOURCES[self.test].files[0]} in the data folder, or raise the minimum"
            )
        return [
            Question(f"{self.prefix}-{i:03d}", row["language"], row["instruction"], row["response"])
            for i, row in enumerate(found)
        ]

    def _released(self, located: Located) -> list[Question]:
        found = []
        for i, raw in enumerate(raw_records(located)):
            why = fault(raw, located.source.fields)
            if why is not None:
                raise FedkitError(
                    f"question {i + 1} of {located.files[0]} is malformed ({why}); mend it or fetch the file anew"
                )
            reference = raw.get("reference")
            reference = reference if isinstance(reference, str) else ""
            found.append(
                Question(f"{self.prefix}-{i:03d}", language_code(raw.get("language")), raw["instruction"], reference)
            )
        if not found:
            raise FedkitError(f"{located.files[0]} holds no question; fetch the file anew")
        return found

    def _small_users(self, located: Located, minimum: int) -> Iterator[dict[str, Any]]:
        """Rows of users with fewer than `minimum`; the records are read twice, so that few are ever held."""
        sizes = Counter(row["client_id"] for row in self._rows(located))
        return (row for row in self._rows(located) if sizes[row["client_id"]] < minimum)

    def _rows(self, located: Located) -> Iterator[dict[str, Any]]:
        form = self.recipe.form(located)
        return (row for raw in raw_records(located) if (row := form.read(raw, DropReport())) is not None)

    def questions(self) -> QuestionSet:
        """The set, for the registry."""
        return QuestionSet((self.test, *self.recipe.sources[:1]), None, self.find, self.read, self.find_answered)


CHATBOT = Chats(
    "chatbot", "chatbot_test", build_fed_chatbot_it, (build_fed_chatbot_it.name, build_fed_chatbot_pa.name)
).questions()
WILDCHAT = Chats(
    "wildchat", "wildchat_test", build_fed_wildchat, (build_fed_wildchat.name, build_fed_wildchat_multi.name)
).questions()
