"""From raw records to federated datasets.

- `place`, `sources`, `origins`: where raw records come from; what a raw dataset is; what was read, for every table
- `streams`, `readers`, `rules`: files within limits; every format, a record at a time; the rules for every record
- `datasets`: one file a dataset (sources, rule, clients, card's story, Ref questions, test records) and the registry
- `partitioners`: rows into clients; `federated`, `content`, `arrow`: a dataset of many clients as one table
- `export`: datasets for other programs, and back
"""

from ..common.door import front_door

__getattr__, __dir__, __all__ = front_door(
    __name__,
    {
        "place": ("Located", "Place"),
        "origins": ("Origin", "Origins"),
        "sources": ("RawSource", "spellings"),
        "rules": ("language_code", "text_fault"),
        "datasets.base": ("Dataset", "Dealt", "Form", "People", "field_of", "paper"),
        "datasets.built": ("CONTROLS", "Built", "Cut", "DropReport"),
        "datasets.questions": ("Question",),
        "datasets.registry": ("DATASETS", "SOURCES"),
        "datasets.story": ("Part", "Story"),
        "partitioners": ("by_language", "dirichlet", "iid", "natural", "quantity_skew"),
        "federated": ("FederatedDataset",),
        "export": ("FORMATS", "IMPORTS", "export"),
    },
)
