"""What tools write: the datasets' cards and Croissant files, and the page on the data folder, are fresh."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fedkit.data.datasets.registry import DATASETS, SOURCES
from fedkit.session import Session
from tools.cards.__main__ import main, rendered
from tools.data_folder import all_sources, data_folder_page

ROOT = Path(__file__).resolve().parents[2]
CARDS = ROOT / "data_cards"


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    return Session("mini", results_dir=tmp_path_factory.mktemp("mini"))


def test_every_dataset_has_a_card_and_nothing_else_lies_there():
    assert {p.name for p in CARDS.iterdir()} == {f"{n}{end}" for n in DATASETS for end in (".md", ".croissant.json")}


@pytest.mark.parametrize("name", DATASETS)
def test_the_files_are_what_a_build_gives_today(name, mini):
    """Stale? Run `python -m tools.cards`."""
    for file, text in rendered([name], mini):
        assert (CARDS / file).read_text(encoding="utf-8") == text, f"{file} is stale; run python -m tools.cards"


def test_cards_writes_checks_and_says_what_is_stale(tmp_path, capsys):
    arguments = ["fed_aya", "--profile", "smoke", "--out", str(tmp_path)]
    assert main(arguments) == 0 and (tmp_path / "fed_aya.croissant.json").is_file()
    assert main([*arguments, "--check"]) == 0
    (tmp_path / "fed_aya.md").write_text("old")
    capsys.readouterr()
    assert main([*arguments, "--check"]) == 1
    assert capsys.readouterr().out == "stale: fed_aya.md; run python -m tools.cards\n"
    assert (tmp_path / "fed_aya.md").read_text() == "old"


def test_an_unknown_dataset_is_named():
    words = [sys.executable, "-m", "tools.cards", "fed_ayaa"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "unknown dataset 'fed_ayaa'; known: " in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_on_the_data_folder_is_up_to_date():
    """A line a raw source of every dataset and benchmark, with each of its files."""
    page = (ROOT / "docs" / "data_folder.md").read_text(encoding="utf-8")
    assert page == data_folder_page(), "stale; run python -m tools.data_folder"
    assert {source.name for source in all_sources()} > {*SOURCES, "mmlu", "mt_bench"}
    assert all(f"| {source.name}: " in page for source in all_sources())
