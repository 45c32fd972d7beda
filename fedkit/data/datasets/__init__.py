"""The federated datasets. To add one, write one file here and name it in `registry.FILES`.

The file declares its `RawSource`s, a rule (a function from a raw record to a row, or to the reason why it is dropped),
and a `Dataset` made of them with the published counts, the words of its card and, where it has them, Ref questions and
test records; its `DATASETS` holds it. `base` has the two kinds: `People`, whose clients made the records (`fed_aya` is
the model), and `Dealt`, whose records are dealt at random (`gsm8k`). Card, Croissant file, page of sources, command
line and notebooks follow from the registry.
"""
