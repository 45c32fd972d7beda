"""The embedded world: records in the upstream schemas, plain text, and a tiny Llama that has read that text.

Everything here is written by this project and generated from a seed; nothing is downloaded. What the package ships of
it lies in `fedkit/mini`: the records as Parquet files, the model and one reader.

Facts, words and people: `lexicon` (17 languages), `tasks` (kinds of fact, and which are held out), `users`, `chat`
(people who talk with models), `harmful`, `sizes`. Datasets: `aya`, `arena`, `wildchat`, `word_problems` (GSM8K),
`instructions` (Alpaca), `code`, `maths`, `finance`, `medical`, `pairs` (UltraFeedback, HH-RLHF), `benchmarks` and
`close_ended`; `corpora` lists them all. The model: `plain` (text), `pretrain`, `muon`, `card`, `build`.
"""
