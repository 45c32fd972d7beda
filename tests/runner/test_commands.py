"""`python -m fedkit export | cards | data-folder`: what they write, and mistakes in a sentence."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fedkit.__main__ import main
from fedkit.data.datasets.registry import DATASETS, SOURCES
from fedkit.data.export import IMPORTS
from fedkit.data.federated import FederatedDataset
from fedkit.runner.commands import all_sources, cards_command, data_folder_page, export_command, rendered
from fedkit.session import Session

ROOT = Path(__file__).resolve().parents[2]
CARDS = ROOT / "data_cards"


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return Session("smoke", results_dir=tmp_path_factory.mktemp("smoke"))


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    return Session("mini", results_dir=tmp_path_factory.mktemp("mini"))


# --- export


@pytest.mark.parametrize(("form", "end"), [("json", ".json"), ("parquet", ".parquet"), ("disk", "")])
def test_export_writes_what_a_session_builds(form, end, smoke, tmp_path, capsys):
    out = tmp_path / f"chats{end}"
    assert export_command(["fed_chatbot_it", "--profile", "smoke", "--format", form, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    dataset = smoke.build("fed_chatbot_it").dataset
    assert IMPORTS[form](out).fingerprint == dataset.fingerprint
    assert f"{len(dataset)} clients, {dataset.n_records} records" in said and dataset.fingerprint[:16] in said
    assert "embedded world" in said and " tie," in said
    instructions = {question.instruction for question in smoke.questions("fed_chatbot_it")}
    assert len(instructions) == 4 and not instructions & {
        r["instruction"] for c in range(3) for r in dataset.records(c)
    }


def test_a_control_is_exported_as_it_is_built(smoke, tmp_path):
    out = tmp_path / "x.json"
    assert export_command(["gsm8k", "--profile", "smoke", "--partition", "iid", "--seed", "3", "--out", str(out)]) == 0
    dataset = smoke.build("gsm8k", partition="iid", seed=3).dataset
    assert FederatedDataset.import_json(out).fingerprint == dataset.fingerprint
    assert list(json.loads(out.read_text(encoding="utf-8"))) == list(dataset.clients)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fed_chat"], "unknown dataset 'fed_chat'; known: .*fed_chatbot_it"),
        (["gsm8k", "--format", "csv"], "unknown export format 'csv'; known: disk, json, parquet"),
        (["gsm8k", "--profile", "tiny"], "unknown profile 'tiny'"),
        (["gsm8k", "--partition", "even"], "unknown partition 'even'"),
        (["gsm8k", "--data-dir", "nowhere"], "nowhere does not exist"),
        (["fed_wildchat", "--profile", "paper", "--offline"], "wildchat.* is not at hand and offline"),
    ],
)
def test_a_mistake_is_a_sentence(words, says, tmp_path, capsys):
    assert main(["export", words[0], "--profile", "smoke", *words[1:], "--out", str(tmp_path / "x")]) == 2
    shown = capsys.readouterr().err
    assert re.search(says, shown) and shown.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_runs_as_a_module():
    words = [sys.executable, "-m", "fedkit", "export", "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "--format" in done.stdout


# --- cards


def test_every_dataset_has_a_card_and_nothing_else_lies_there():
    assert {p.name for p in CARDS.iterdir()} == {f"{n}{end}" for n in DATASETS for end in (".md", ".croissant.json")}


@pytest.mark.parametrize("name", DATASETS)
def test_the_files_are_what_a_build_gives_today(name, mini):
    """Stale? Run `python -m fedkit cards`."""
    for file, text in rendered([name], mini):
        assert (CARDS / file).read_text(encoding="utf-8") == text, f"{file} is stale; run python -m fedkit cards"


def test_cards_writes_checks_and_says_what_is_stale(tmp_path, capsys):
    arguments = ["fed_aya", "--profile", "smoke", "--out", str(tmp_path)]
    assert cards_command(arguments) == 0 and (tmp_path / "fed_aya.croissant.json").is_file()
    assert cards_command([*arguments, "--check"]) == 0
    (tmp_path / "fed_aya.md").write_text("old")
    capsys.readouterr()
    assert cards_command([*arguments, "--check"]) == 1
    assert capsys.readouterr().out == "stale: fed_aya.md; run python -m fedkit cards\n"
    assert (tmp_path / "fed_aya.md").read_text() == "old"


def test_an_unknown_dataset_is_named(capsys):
    assert main(["cards", "fed_ayaa"]) == 2
    assert "unknown dataset 'fed_ayaa'; known: " in capsys.readouterr().err


# --- data-folder


def test_the_page_on_the_data_folder_is_up_to_date():
    """A line a raw source of every dataset and benchmark, with each of its files."""
    page = (ROOT / "docs" / "data_folder.md").read_text(encoding="utf-8")
    assert page == data_folder_page(), "stale; run python -m fedkit data-folder > docs/data_folder.md"
    assert {source.name for source in all_sources()} > {*SOURCES, "mmlu", "mt_bench"}
    assert all(f"| {source.name}: " in page for source in all_sources())
