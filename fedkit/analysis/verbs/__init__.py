"""What instructions ask for: root verbs and their direct-object nouns (FedLLM-Bench section 3.3 (2), appendix B.2).

Two extractors under one interface: benepar, as in the paper, where a model of it is installed; and rules over a
dictionary that need nothing but the package. `root_verbs` gives the pairs of a dataset, `counts` what figures draw,
`gold` how often an extractor is right.
"""

from .counts import OTHER, top_verbs, verb_counts, verb_nouns, verb_shares
from .extractors import EXTRACTORS, Extractor, extractor, pairs, root_verbs
from .gold import Example, accuracy, gold
from .pair import Pair

__all__ = [
    "EXTRACTORS",
    "OTHER",
    "Example",
    "Extractor",
    "Pair",
    "accuracy",
    "extractor",
    "gold",
    "pairs",
    "root_verbs",
    "top_verbs",
    "verb_counts",
    "verb_nouns",
    "verb_shares",
]
