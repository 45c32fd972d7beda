"""`python -m fedkit export`: what it writes, and mistakes in a sentence."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fedkit.__main__ import main
from fedkit.data.export import IMPORTS
from fedkit.data.federated import FederatedDataset
from fedkit.session import Session

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return Session("smoke", results_dir=tmp_path_factory.mktemp("smoke"))


@pytest.mark.parametrize(("form", "end"), [("json", ".json"), ("parquet", ".parquet"), ("disk", "")])
def test_export_writes_what_a_session_builds(form, end, smoke, tmp_path, capsys):
    out = tmp_path / f"chats{end}"
    assert main(["export", "fed_chatbot_it", "--profile", "smoke", "--format", form, "--out", str(out)]) == 0
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
    assert main(["export", "gsm8k", "--profile", "smoke", "--partition", "iid", "--seed", "3", "--out", str(out)]) == 0
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
        (["gsm8k", "--data-dir", "nowhere"], "nowhere: it does not exist"),
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
