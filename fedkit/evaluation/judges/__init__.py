"""Judges: who rates an open answer from 1 to 10.

`judge` has the contract; `reference` the offline judge; `client` a judge behind an OpenAI-compatible server (`spec`
says which, `chat` is the connection, `cache` keeps replies, `prompts` what is asked, `report` how a rating is read and
what it cost); `choice` the judges of a session, as plain data.
"""

from __future__ import annotations

from ...common.door import front_door

__getattr__, __dir__, __all__ = front_door(
    __name__,
    {
        "judge": ("Judge", "JudgeItem", "ref_item", "without_reference"),
        "reference": ("ReferenceJudge",),
        "client": ("OpenAIJudge",),
        "spec": ("JudgeSpec",),
        "choice": ("JudgeChoice",),
        "cache": ("JudgeCache",),
        "prompts": ("JudgePrompt", "load_prompts"),
        "report": ("JudgeReport", "Judgement", "Rating", "parse_rating"),
    },
)
