"""Cards and Croissant files: complete, valid, and readable by mlcroissant."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fedkit.data.datasets.registry import DATASETS
from fedkit.data.export import export_parquet
from fedkit.session import Session
from tools.cards.card import measure, render_card, size_category
from tools.cards.croissant import render_croissant

CARDS = Path(__file__).resolve().parents[2] / "data_cards"
SECTIONS = [
    "What it is",
    "Source and version",
    "Licence and terms of each part",
    "How clients are made",
    "What is dropped, and why",
    "Counts and lengths",
    "Heterogeneity",
    "Known harms and privacy",
    "How to get and build it",
    "Citation",
]


@pytest.mark.parametrize("name", DATASETS)
def test_front_matter_and_sections(name):
    text = (CARDS / f"{name}.md").read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    fields = yaml.safe_load(front)
    assert set(fields) >= {"license", "language", "task_categories", "size_categories", "configs"}
    assert fields["configs"][0]["data_files"][0]["path"] == f"{name}.parquet"
    assert all(isinstance(code, str) for code in fields["language"])
    assert [line[3:] for line in body.splitlines() if line.startswith("## ")] == SECTIONS


@pytest.mark.parametrize("name", ["fed_aya", "fed_wildchat_multi"])
def test_mlcroissant_reads_the_records_that_were_exported(name, tmp_path):
    """Through the description alone: the same records, in the same order, nested turns included."""
    import mlcroissant as mlc

    dataset = Session("smoke", results_dir=tmp_path / "r").build(name).dataset
    file = export_parquet(dataset, tmp_path / f"{name}.parquet")
    (tmp_path / "d.croissant.json").write_text(render_croissant(DATASETS[name], file), encoding="utf-8")
    described = mlc.Dataset(jsonld=str(tmp_path / "d.croissant.json"))
    assert not described.metadata.issues.errors and not described.metadata.issues.warnings

    def plain(value, prefix):
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, list):
            return [{k.removeprefix(f"{prefix}/"): plain(v, k) for k, v in part.items()} for part in value]
        return value

    rows = [
        {k.removeprefix("records/"): plain(v, k) for k, v in record.items()} for record in described.records("records")
    ]
    expected = [{"client_id": c, **r} for c in dataset.clients for r in dataset.records(c)]
    assert len(rows) == len(expected) and rows[:50] == expected[:50] and rows[-1] == expected[-1]


def test_numbers_come_from_the_build(tmp_path):
    kit = Session("smoke", results_dir=tmp_path)
    built = kit.build("fed_aya")
    numbers = measure(built, kit.profile)
    assert dict((what, ours) for what, ours, _ in numbers.counts) == {
        "clients": len(built.dataset),
        "samples": built.dataset.n_records,
    }
    assert sum(records for _, records, _ in numbers.languages) == built.dataset.n_records
    assert sum(records for _, records, _ in numbers.drops) + built.dataset.n_records == built.drops.read
    text = render_card(DATASETS["fed_aya"], built, kit.profile)
    assert f"| **kept** | **{built.dataset.n_records:,}** | |" in text and "25,513" in text


@pytest.mark.parametrize(("records", "category"), [(999, "n<1K"), (1000, "1K<n<10K"), (52_703, "10K<n<100K")])
def test_size_categories(records, category):
    assert size_category(records) == category
