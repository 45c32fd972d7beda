"""How unlike clients are: FedLLM-Bench's section 3.3 and appendix B, each view with a figure and a number.

- `client_texts`: a dataset of any task as instructions and responses by client, and their lengths in tokens
- `summaries`: what each client holds, in tables: sizes, labels, means
- `measures`: one number a view; `chance`: how much of it is chance; `views`: both as a row of one table
- `splits`: the same numbers from iid over Dirichlet to the natural split
- `quality` (IFD), `preference`, `embedding` (vectors, t-SNE), `verbs` (root verbs and their nouns)
- `toy`, `lora_gap`: problems in the plane, and what averaging LoRA factors loses
- `figures`: what draws all of it
"""

from ..common.door import front_door

__getattr__, __dir__, __all__ = front_door(
    __name__,
    {
        "client_texts": ("Texts", "drawn_clients", "lengths", "of_clients", "texts", "token_counts"),
        "summaries": (
            "by_client",
            "client_means",
            "describe_sizes",
            "describe_split",
            "label_shares",
            "label_skew",
            "lorenz",
            "mean_and_sd",
        ),
        "measures": (
            "entropy",
            "gini",
            "js_divergence",
            "label_divergence",
            "pairwise_js_divergence",
            "silhouette",
            "size_gini",
            "variance_between",
        ),
        "chance": ("beyond_chance", "binomial_spread", "dealt_means", "permutation_test", "quantity_test", "spread"),
        "views": ("collect", "heterogeneity_table", "quantity_view", "read_views", "view", "write_views"),
        "splits": ("split_measures", "split_name", "split_owners", "split_stops"),
        "quality": ("answer_losses", "ifd"),
        "preference": ("length_preference", "quality_preference"),
        "embedding": ("CharacterTfidf", "RemoteEmbedder", "pair_texts", "tsne"),
        "verbs.tokens": ("Pair",),
        "verbs.benepar_parser": ("find_model",),
        "verbs.extractors": ("EXTRACTORS", "accuracy", "extractor", "gold", "pairs", "root_verbs"),
        "verbs.counts": ("top_verbs", "verb_counts", "verb_nouns", "verb_shares"),
        "lora_gap": ("averaging_gap",),
        "figures": (),
        "toy": (),
    },
)
