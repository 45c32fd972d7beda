"""A Croissant 1.0 description of an exported dataset, by mlcroissant: one Parquet file, one record set."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fedkit.common.errors import FedkitError
from fedkit.common.manifest import versions
from fedkit.data.datasets.base import Dataset

FIRST = datetime(2026, 11, 25)  # when these datasets were first described
DESCRIPTIONS = {
    "client_id": "The client that the record belongs to",
    "instruction": "What the user asked",
    "response": "The answer",
    "chosen": "The answer that the client preferred",
    "rejected": "The other answer",
    "language": "Two-letter code of the language, und where the source does not say",
    "conversation": "The turns in order, the user's first",
    "role": "Who speaks: user or assistant",
    "content": "What is said",
    "domain": "Which of the pooled datasets the record is from",
}


def render_croissant(dataset: Dataset, file: Path) -> str:
    """The JSON-LD of a dataset exported to `file` (Parquet), which it names by file name and SHA-256.

    `FedkitError` where mlcroissant finds an error or a lack in it.
    """
    import mlcroissant as mlc

    name, story = dataset.name, dataset.story
    schema = pq.read_schema(file).remove_metadata()
    logging.getLogger("absl").setLevel(logging.ERROR)  # it prints what is raised below
    metadata = mlc.Metadata(
        name=name,
        description=f"{story.title}: {' '.join(story.what.split())} This copy: fedkit's embedded corpus, profile mini.",
        license=sorted({part.licence for part in story.parts} | {"Apache-2.0"}),
        url=story.url,
        version=versions()["fedkit"],
        date_published=FIRST,
        cite_as=story.citation.strip(),
        keywords=["federated learning", "large language models"],
        distribution=[
            mlc.FileObject(
                id=file.name,
                name=file.name,
                description="All records, ordered by client",
                content_url=file.name,
                encoding_formats=["application/x-parquet"],
                sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            )
        ],
        record_sets=[
            mlc.RecordSet(
                id="records",
                name="records",
                description="One row a record",
                fields=[_field(mlc, column, file.name) for column in schema],
            )
        ],
        personal_sensitive_information=[" ".join(story.privacy.split())],
        data_biases=[" ".join(story.harms.split())],
    )
    problems = [*metadata.issues.errors, *metadata.issues.warnings]
    if problems:
        raise FedkitError(
            f"the Croissant file of {name} is not valid: {problems[0]}; mend its story in fedkit/data/datasets"
        )
    return json.dumps(metadata.to_json(), indent=1, ensure_ascii=False, default=str) + "\n"


def _field(mlc: Any, column: pa.Field, file: str) -> Any:
    """A text column, or a list of turns with a sub-field for each part of a turn."""

    def source(path: str | None = None) -> Any:
        transforms = [mlc.Transform(json_path=path)] if path else []
        return mlc.Source(file_object=file, extract=mlc.Extract(column=column.name), transforms=transforms)

    def field(id: str, name: str, **rest: Any) -> Any:
        return mlc.Field(id=id, name=name, description=DESCRIPTIONS.get(name, name), **rest)

    place = f"records/{column.name}"
    text = [mlc.DataType.TEXT]
    if not pa.types.is_list(column.type):
        return field(place, column.name, data_types=text, source=source())
    parts = [
        field(f"{place}/{part.name}", part.name, data_types=text, source=source(f"$[*].{part.name}"))
        for part in column.type.value_type
    ]
    return field(place, column.name, repeated=True, sub_fields=parts)
