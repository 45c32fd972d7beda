"""What instructions ask for: root verbs and their direct-object nouns (FedLLM-Bench section 3.3 (2), appendix B.2).

Two extractors under one interface: benepar, as in the paper, where a model of it is installed (`benepar_parser`,
`trees`, `shims`); and rules over a dictionary that need nothing but the package (`offline`, `phrases`, `words`).
`extractors` chooses one, gives the pairs of a dataset and says how often it is right; `counts` is what figures draw.
"""
