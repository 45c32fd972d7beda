"""Evaluation: how a model answers, who rates the answers, and what a number stands on.

`exam` is the one measuring path (`Session.evaluate`); `handles` are models in hand; `generation` makes answers and
`likelihood` scores texts; `benchmarks` say what is asked and `judges` who rates; `yardsticks` answer
without a model, and `words` compares texts; `sandbox` runs generated code; `cache`
keeps answers; `pairs` asks what a policy prefers, `attacks` what a model gives away; `specs` are the settings.
"""

from __future__ import annotations

from ..common.door import front_door

__getattr__, __dir__, __all__ = front_door(
    __name__,
    {
        "specs": ("AVERAGE", "RIGHT", "EvalSpec"),
        "generation": ("generate",),
        "likelihood": ("completion_loss", "continuation_nll"),
        "handles": ("Handle",),
        "yardsticks": ("Answerer", "yardsticks"),
        "pairs": ("PairRewards", "PairScorer", "hold_out", "length_rules"),
        "attacks": ("advantage", "advantage_bound", "candidate_losses", "exposure", "rank_exposure"),
        "benchmarks.registry": ("BENCHMARKS",),
        "benchmarks.suites": ("SUITES", "Column", "Suite"),
        "benchmarks.rows": ("Row",),
        "benchmarks.advbench": ("refusal_phrases", "refuses"),
        "benchmarks.human_eval": ("human_eval_pass",),
        "judges.judge": ("Judge", "JudgeItem", "ref_item"),
        "judges.reference": ("ReferenceJudge",),
        "judges.client": ("OpenAIJudge",),
        "judges.spec": ("JudgeSpec",),
        "judges.choice": ("JudgeChoice",),
        "judges.report": ("parse_rating",),
        "sandbox.run": ("run_python",),
        "sandbox.backends": ("which_sandbox",),
    },
)
