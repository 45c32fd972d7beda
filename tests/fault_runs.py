"""Kills training runs at random moments and says as JSON what came of it; `test_faults.py` starts it as a script.

This process imports everything and loads the model once. Each run is a fork of it, so a start takes a fraction of a
second, and a SIGKILL ends a real process in the middle of whatever it does.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from core_tools import SHORT, make_config, make_federation
from pair_tools import PAIRED, make_pairs

from fedkit.training.models import load_model
from fedkit.training.simulation import run
from fedkit.training.specs import LoraSpec, ModelSpec

# New checkpoints to wait for before each of ten kills, in random order; then up to one and a half turns more. Every
# client's commit and every round's end writes one: 16 x (3 + 1) = 64, so that the kills come before the end.
COMMITS = (0, 1, 1, 2, 2, 3, 3, 3, 4, 4)
TRAIN = replace(SHORT, rounds=16, clients_per_round=3)
SIZES = [3, 6, 9, 12, 20]
# What a third argument names: the federation, the settings, and the algorithms.
CASES = {
    "sft": (make_federation, TRAIN, ("scaffold", "fedadam")),
    "dpo": (make_pairs, replace(PAIRED, rounds=16, clients_per_round=3), ("scaffold",)),
}
fork = multiprocessing.get_context("fork")


def train(config, federation, runs, loaded, log=None):
    """The whole of a child process; with `log`, one line a client that it trained."""
    torch.set_num_threads(1)
    with open(log or os.devnull, "a", buffering=1) as file:
        run(config, federation, runs, loaded=loaded, progress=False, on_client=lambda *turn: print(*turn, file=file))


def start(*arguments):
    child = fork.Process(target=train, args=arguments)
    child.start()
    return child


def stamp(path):
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def kill_later(child, checkpoint, commits, delay):
    """Wait for that many new checkpoints and some seconds more, then SIGKILL; the exit code."""
    last = stamp(checkpoint)
    while commits and child.is_alive():
        now = stamp(checkpoint)
        if now != last:
            last, commits = now, commits - 1
        time.sleep(0.0005)
    time.sleep(delay)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    return child.exitcode


def killed_and_resumed(config, federation, runs, loaded, begin, turn, seed):
    """Ten kills and a last start; `begin` and `turn` are the seconds that a start and a client take."""
    folder, draw, kills, rounds = runs / config.hash, random.Random(seed), 0, []
    for commits in draw.sample(COMMITS, len(COMMITS)):
        child = start(config, federation, runs, loaded)
        # With no checkpoint to wait for, the moment falls into the start or the first turn.
        delay = draw.uniform(0, 1.5 * turn) + (0 if commits else draw.uniform(0, begin))
        code = kill_later(child, folder / "checkpoint.safetensors", commits, delay)
        kills += code == -signal.SIGKILL and not (folder / "manifest.json").exists()
        history = folder / "history.jsonl"
        rounds.append(history.read_text().count("\n") if history.exists() else 0)
    last = start(config, federation, runs, loaded)
    last.join()
    return {"kills": kills, "rounds_after_each": rounds, "end": last.exitcode, "folder": str(folder)}


def side_by_side(config, federation, runs, loaded):
    runs.mkdir(parents=True)
    logs = [runs.parent / f"log{i}" for i in range(2)]
    children = [start(config, federation, runs, loaded, log) for log in logs]
    for child in children:
        child.join()
    trained = [log.read_text().split("\n")[:-1] for log in logs]
    return {"ends": [c.exitcode for c in children], "trained": trained, "folder": str(runs / config.hash)}


def main(model_folder, work, task="sft"):
    make, settings, algorithms = CASES[task]
    spec = ModelSpec(name=model_folder, device="cpu", threads=1, lora=LoraSpec(r=4, alpha=8, dropout=0.1))
    loaded, federation, out = load_model(spec), make(SIZES), {}
    gc.freeze()  # the forks' collections need not walk over all modules
    for seed, algorithm in enumerate(algorithms):
        config = make_config(spec, federation, algorithm, settings)
        began = time.perf_counter()
        whole = start(config, federation, work / "whole", loaded)
        whole.join()
        wall, folder = time.perf_counter() - began, work / "whole" / config.hash
        training = json.loads((folder / "manifest.json").read_text())["seconds"]
        turn = training / (settings.rounds * settings.clients_per_round)
        out[algorithm] = {
            "whole": {"end": whole.exitcode, "folder": str(folder)},
            "killed": killed_and_resumed(config, federation, work / "killed", loaded, wall - training, turn, seed),
        }
    out["together"] = side_by_side(config, federation, work / "together" / "runs", loaded)
    print(json.dumps(out))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
