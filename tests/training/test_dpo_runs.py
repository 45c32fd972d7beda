"""Runs of federated DPO: every algorithm, a start from another run, faults, and a kill that changes no bit."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from core_tools import SHORT, largest, make_config, make_federation, random_state, same, without_time
from pair_tools import PAIRED, make_pairs

from fedkit.algorithms.aggregators import norm, subtract
from fedkit.common.errors import FedkitError
from fedkit.training.checkpoint import read_lines
from fedkit.training.dpo import DPOClient
from fedkit.training.models import initial_state, load_state, nbytes
from fedkit.training.simulation import run

HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.usefixtures("frozen")
ALL = ["fedavg", "fedprox", "scaffold", "fedavgm", "fedadagrad", "fedyogi", "fedadam", "ffa_lora"]


@pytest.fixture(scope="module")
def pairs():
    return make_pairs()


def go(tiny_loaded, tiny_spec, dataset, tmp_path, algorithm="fedavg", train=PAIRED, **params):
    config = make_config(tiny_spec, dataset, algorithm, train, **params)
    return run(config, dataset, tmp_path, loaded=tiny_loaded, progress=False)


@pytest.mark.parametrize("algorithm", ALL)
def test_every_algorithm_runs_and_reports(algorithm, tiny_loaded, tiny_spec, pairs, tmp_path):
    done = go(tiny_loaded, tiny_spec, pairs, tmp_path, algorithm)
    assert [line["round"] for line in done.history] == [0, 1]
    for line in done.history:
        assert line["reported"] == 2 and 0 <= line["accuracy"] <= 1
        weights = [c["samples"] for c in line["clients"]]
        for key in ("loss", "margin", "accuracy"):
            assert line[key] == pytest.approx(np.average([c[key] for c in line["clients"]], weights=weights))
    assert done.history[1]["margin"] > 0


def test_scaffold_divides_by_the_real_steps(tiny_loaded, tiny_spec, pairs, tmp_path):
    """From zero variates c_k = (w - w_k) / (K lr), with each client's own K."""
    train = replace(PAIRED, rounds=1, clients_per_round=5, dynamic_epochs=1.0)
    config = make_config(tiny_spec, pairs, "scaffold", train)
    done = run(config, pairs, tmp_path, loaded=tiny_loaded, progress=False)
    turns = done.history[0]["clients"]
    assert len({c["steps"] for c in turns}) > 2
    for k, turn in enumerate(turns):
        variate = load_state(done.folder / "clients" / f"{k:07d}.r0.safetensors")
        assert norm(variate) == pytest.approx(turn["update_norm"] / (turn["steps"] * train.lr_first), rel=1e-4)


def test_local_is_fedavg_of_one_client(tiny_loaded, tiny_spec, pairs, tmp_path):
    train = replace(PAIRED, clients_per_round=1)
    ends = [
        go(tiny_loaded, tiny_spec, pairs, tmp_path, name, train, clients=("e",)).adapter for name in ("fedavg", "local")
    ]
    assert same(*ends)


def test_fedprox_with_mu_0_is_fedavg_and_with_more_it_stays_nearer(tiny_loaded, tiny_spec, pairs, tmp_path):
    """Nearer to the adapter that the run starts from."""
    start = initial_state(tiny_loaded.model, 0)
    plain = go(tiny_loaded, tiny_spec, pairs, tmp_path).adapter
    zero = go(tiny_loaded, tiny_spec, pairs, tmp_path, "fedprox", mu=0.0).adapter
    held = go(tiny_loaded, tiny_spec, pairs, tmp_path, "fedprox", mu=100.0).adapter
    assert same(plain, zero)
    assert 0 < norm(subtract(held, start)) < norm(subtract(plain, start))


def test_scaffolds_first_round_is_fedavgs(tiny_loaded, tiny_spec, pairs, tmp_path):
    one = replace(PAIRED, rounds=1)
    ends = [go(tiny_loaded, tiny_spec, pairs, tmp_path, name, one).adapter for name in ("fedavg", "scaffold")]
    assert same(*ends)


def test_a_run_starts_from_another_runs_adapter(tiny_loaded, tiny_spec, pairs, tmp_path):
    """It is in the hash; its adapter is the initial one and the reference: margin 0 at the first step."""
    answers = make_federation([3, 6, 9])
    first = run(make_config(tiny_spec, answers), answers, tmp_path, loaded=tiny_loaded, progress=False)
    train = replace(PAIRED, rounds=1, local_steps=1, lr_first=1e-9, lr_last=1e-10)
    config = make_config(tiny_spec, pairs, train=train)
    tuned = replace(config, initial=first.config.hash)
    assert tuned.hash != config.hash
    done = run(tuned, pairs, tmp_path, loaded=tiny_loaded, progress=False)
    assert largest(done.adapter, first.adapter) < 1e-7
    line = done.history[0]
    assert line["margin"] == 0 and line["loss"] == pytest.approx(math.log(2), abs=1e-7)
    assert norm(subtract(first.adapter, random_state(tiny_loaded.model, 0, 0.0))) > 1e-2
    with pytest.raises(FedkitError, match="0123456789ab holds no finished run"):
        run(replace(config, initial="0123456789ab"), pairs, tmp_path, loaded=tiny_loaded, progress=False)


@pytest.mark.parametrize("algorithm", ["fedavg", "ffa_lora"])
def test_what_no_seed_gives_travels_once(tiny_loaded, tiny_spec, pairs, tmp_path, algorithm):
    """A client of a run that starts from another's adapter gets the reference, and FFA-LoRA's A, when first drawn."""
    answers = make_federation([3, 6, 9])
    first = run(make_config(tiny_spec, answers), answers, tmp_path, loaded=tiny_loaded, progress=False)
    train = replace(PAIRED, rounds=4, clients_per_round=2, local_steps=1)
    config = replace(make_config(tiny_spec, pairs, algorithm, train), initial=first.config.hash)
    whole, b = nbytes(first.adapter), nbytes({n: t for n, t in first.adapter.items() if ".lora_A." not in n})
    turn, heard = (b if algorithm == "ffa_lora" else whole), set()
    done = run(config, pairs, tmp_path, loaded=tiny_loaded, progress=False)
    for line in done.history:
        for client in line["clients"]:
            once = 0 if client["client"] in heard else whole if line["round"] else whole - turn
            assert client["bytes_down"] == turn + once and client["bytes_up"] == turn
        heard |= {client["client"] for client in line["clients"]}
    assert len(heard) > 2  # some are first drawn after round 0
    fresh = run(replace(config, initial=None), pairs, tmp_path, loaded=tiny_loaded, progress=False)
    assert {c["bytes_down"] for line in fresh.history for c in line["clients"]} == {turn}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"task": "ppo"}, "unknown task 'ppo'; known: dpo, sft"),
        ({"task": "sft"}, "task sft reads the columns instruction, response or conversation, but pairs has"),
        ({"beta": 0.0}, "beta is 0.0"),
        ({"dynamic_epochs": -1.0}, "dynamic_epochs is -1.0"),
    ],
)
def test_settings_that_cannot_run_are_refused(change, told, tiny_spec, pairs, tmp_path):
    with pytest.raises(FedkitError, match=told):
        run(make_config(tiny_spec, pairs, train=replace(PAIRED, **change)), pairs, tmp_path)
    assert list(tmp_path.iterdir()) == []
    answers = make_federation([3, 6])
    with pytest.raises(FedkitError, match="task dpo reads the columns instruction, chosen, rejected, but toy has"):
        run(make_config(tiny_spec, answers, train=PAIRED), answers, tmp_path)


def test_a_client_that_is_not_finite_is_left_out(tiny_loaded, tiny_spec, pairs, tmp_path, monkeypatch):
    real = DPOClient.train

    def broken(self, client, *args):
        result = real(self, client, *args)
        if client != "e":
            return result
        local = {name: t * math.nan for name, t in result.local.items()}
        return replace(result, local=local, loss=math.nan, metrics=dict.fromkeys(result.metrics, math.nan))

    monkeypatch.setattr(DPOClient, "train", broken)
    done = go(tiny_loaded, tiny_spec, pairs, tmp_path, train=replace(PAIRED, clients_per_round=5))
    for line in done.history:
        bad = line["clients"][4]
        assert line["left_out"] == ["e"] and line["reported"] == 4
        assert bad["loss"] is None and bad["margin"] is None
        assert math.isfinite(line["margin"]) and math.isfinite(line["loss"])
    assert all(torch.isfinite(t).all() for t in done.adapter.values())


@pytest.fixture(scope="module")
def outcome(tiny_folder, tmp_path_factory):
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
    }
    work = str(tmp_path_factory.mktemp("faults"))
    command = [sys.executable, str(HERE.parent / "fault_runs.py"), str(tiny_folder), work, "dpo"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_killed_ten_times_and_resumed_is_bit_equal_to_unbroken(outcome):
    """Also the reference log-probabilities on disk, whose pairs are computed when they are first drawn."""
    whole, killed = outcome["scaffold"]["whole"], outcome["scaffold"]["killed"]
    assert whole["end"] == killed["end"] == 0 and killed["kills"] == 10, killed
    folders = [Path(x["folder"]) for x in (whole, killed)]
    assert same(*(load_state(f / "adapter.safetensors") for f in folders))
    one, two = (without_time(list(read_lines(f / "history.jsonl"))) for f in folders)
    assert one == two and len(one) == 16
    kept = [{p.name: p.read_bytes() for p in (f / "reference").iterdir()} for f in folders]
    assert kept[0] == kept[1] and len(kept[0]) == 5


def test_sft_is_what_it_was(tiny_loaded, tiny_spec, federation, tmp_path):
    """No task's numbers in its lines, no folder of a reference."""
    done = go(tiny_loaded, tiny_spec, federation, tmp_path, train=SHORT)
    assert not {"margin", "accuracy"} & (set(done.history[0]) | set(done.history[0]["clients"][0]))
    assert not (done.folder / "reference").exists()
