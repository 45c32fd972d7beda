"""Which judges a session asks, as plain data: what a notebook's parameters say and worker processes rebuild."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...common.errors import FedkitError, unknown
from ...common.http import OPENAI
from .cache import JudgeCache
from .client import OpenAIJudge
from .spec import JudgeSpec

JUDGED = ("mt_bench", "vicuna", "ref")
# A word in place of a model: a model for each benchmark. "paper": those of FedLLM-Bench (settings, evaluation).
WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"paper": MappingProxyType({"mt_bench": "gpt-4-1106-preview", "vicuna": "gpt-4", "ref": "gpt-4"})}
)
# Of the judge. MT-Bench's is greedy; the Ref score's is 0.2, and so is here that of Vicuna, of which nothing is said.
TEMPERATURES: Mapping[str, float] = MappingProxyType({"mt_bench": 0.0, "vicuna": 0.2, "ref": 0.2})
OTHER_KEY = "FEDKIT_JUDGE_KEY"  # the environment variable of a server that is not OpenAI's; it may be unset
_SET = frozenset(one.name for one in fields(JudgeSpec)) - {"model", "base_url"}


@dataclass(frozen=True)
class JudgeChoice:
    """A judge behind an OpenAI-compatible server for each benchmark whose answers are rated.

    model: its name, or "paper" (the papers' models by benchmark). base_url: None is OpenAI's own. prompts: a file in
    MT-Bench's format; None: fedkit's words. settings: fields of `JudgeSpec` in place of its defaults, e.g. `prices`,
    `concurrency`, or `temperature` in place of `TEMPERATURES`. The key comes from the environment: OPENAI_API_KEY for
    OpenAI's own server, FEDKIT_JUDGE_KEY, if it is set, for any other. `FedkitError` for an address that holds
    more than a place (this choice is written into notebooks), a missing file or an unknown setting.
    """

    model: str
    base_url: str | None = None
    prompts: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise FedkitError("the judge's model has no name; give one, or no judge for the offline one")
        if self.prompts is not None and not Path(self.prompts).is_file():
            raise FedkitError(f"{self.prompts}: no such file of judge's prompts; give MT-Bench's judge_prompts.jsonl")
        for name in self.settings:
            if name not in _SET:
                raise unknown("setting of a judge", name, _SET)
        for name in JUDGED:
            self.spec(name)

    def spec(self, benchmark: str) -> JudgeSpec:
        """Model, server and sampling for a benchmark (one of `JUDGED`)."""
        if benchmark not in JUDGED:
            raise unknown("judged benchmark", benchmark, JUDGED)
        model = WORDS.get(self.model, {}).get(benchmark, self.model)
        url = OPENAI if self.base_url is None else self.base_url  # an empty one is a mistake
        key = None if JudgeSpec(model, url).key_name else OTHER_KEY
        return JudgeSpec(model, url, **{"temperature": TEMPERATURES[benchmark], "key_variable": key, **self.settings})

    def judge(self, benchmark: str, cache: str | Path | JudgeCache | None = None) -> OpenAIJudge:
        """The judge of a benchmark, its replies kept in `cache`."""
        return OpenAIJudge(self.spec(benchmark), cache=cache, prompts=self.prompts)

    def judges(self, cache: str | Path) -> dict[str, OpenAIJudge]:
        """A judge by the name of each judged benchmark; all keep their replies in one file."""
        kept = JudgeCache(cache)
        return {name: self.judge(name, kept) for name in JUDGED}
