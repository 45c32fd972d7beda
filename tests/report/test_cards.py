"""Cards and Croissant files: in step with a build, complete, valid, and readable by mlcroissant."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fedkit.common.errors import FedkitError
from fedkit.data.builders import BUILDERS
from fedkit.data.export import export_parquet
from fedkit.report.cards import story as story_module
from fedkit.report.cards.__main__ import main, rendered
from fedkit.report.cards.card import render_card
from fedkit.report.cards.croissant import render_croissant
from fedkit.report.cards.numbers import measure, size_category
from fedkit.report.cards.story import read_story, stories
from fedkit.session import Session

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


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return Session("mini", results_dir=tmp_path_factory.mktemp("results"))


def test_every_dataset_has_a_card_and_nothing_else_lies_there():
    assert set(stories()) == set(BUILDERS)
    assert {p.name for p in CARDS.iterdir()} == {f"{n}{end}" for n in BUILDERS for end in (".md", ".croissant.json")}


@pytest.mark.parametrize("name", stories())
def test_the_files_are_what_a_build_gives_today(name, kit):
    """Stale? Run `python -m fedkit.report.cards`."""
    for file, text in rendered([name], kit):
        assert (CARDS / file).read_text(encoding="utf-8") == text, f"{file} is stale; run python -m fedkit.report.cards"


@pytest.mark.parametrize("name", stories())
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
    (tmp_path / "d.croissant.json").write_text(render_croissant(name, read_story(name), file), encoding="utf-8")
    found = mlc.Dataset(jsonld=str(tmp_path / "d.croissant.json"))
    assert not found.metadata.issues.errors and not found.metadata.issues.warnings

    def plain(value, prefix):
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, list):
            return [{k.removeprefix(f"{prefix}/"): plain(v, k) for k, v in part.items()} for part in value]
        return value

    rows = [{k.removeprefix("records/"): plain(v, k) for k, v in record.items()} for record in found.records("records")]
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
    text = render_card("fed_aya", built, kit.profile)
    assert f"| **kept** | **{built.dataset.n_records:,}** | |" in text and "25,513" in text


@pytest.mark.parametrize(("records", "category"), [(999, "n<1K"), (1000, "1K<n<10K"), (52_703, "10K<n<100K")])
def test_size_categories(records, category):
    assert size_category(records) == category


def test_the_command_writes_checks_and_says_what_is_stale(tmp_path, capsys):
    arguments = ["fed_aya", "--profile", "smoke", "--out", str(tmp_path)]
    assert main(arguments) == 0 and (tmp_path / "fed_aya.croissant.json").is_file()
    assert main([*arguments, "--check"]) == 0
    (tmp_path / "fed_aya.md").write_text("old")
    capsys.readouterr()
    assert main([*arguments, "--check"]) == 1
    assert capsys.readouterr().out == "stale: fed_aya.md; run python -m fedkit.report.cards\n"
    assert (tmp_path / "fed_aya.md").read_text() == "old"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("title = ", "bad.toml: .*mend the story"),
        ('title = "only"\n', "bad.toml: .*validation errors.*mend the story"),
    ],
)
def test_a_broken_story_is_named(content, message, tmp_path, monkeypatch):
    (tmp_path / "bad.toml").write_text(content)
    monkeypatch.setattr(story_module, "FOLDER", tmp_path)
    with pytest.raises(FedkitError, match=message):
        read_story("bad")


def test_an_unknown_dataset_is_named(capsys):
    assert main(["fed_ayaa"]) == 2
    assert "unknown dataset with a card 'fed_ayaa'" in capsys.readouterr().err
