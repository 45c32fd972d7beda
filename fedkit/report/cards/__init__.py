"""Dataset cards and Croissant files, written from builds: `python -m fedkit.report.cards`.

What is known of a dataset in words lies in `stories/<name>.toml`; every number on a card is computed from the dataset
that the profile `mini` builds, the paper's printed counts beside it. A test builds them again, so no card goes stale.
"""
